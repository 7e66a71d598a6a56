using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// An embedding table with a low-rank update beside it (loralib's and PEFT's LoRA for embeddings).
/// With ids t[n], table E [count, width], A [count, r], B [r, width] and factor s:
/// <code>y[n, :] = E[t[n], :] + s·A[t[n], :]·B</code>
/// which is a <see cref="LinearWithLoRA"/> on rows with a single 1, without those rows: x·A is a
/// look-up. A token's vector moves by its own row of A, in r directions that all tokens share, and
/// <code>dA[t[n], :] += s·dY[n, :]·Bᵀ        dB += s·Σₙ A[t[n], :]ᵀ·dY[n, :]        dE: none, E is frozen</code>
/// so that a row of A is trained by the occurrences of its token alone. A begins as zero and B is
/// drawn: the other way about, tokens that the training never shows would be drawn as well, and
/// move as B does.
/// <para>
/// Why it matters: in a small model, a word's own vector is where much of what full fine-tuning
/// learns goes; linear layers behind it can only use what the vectors tell apart already. Dropout
/// is for the inputs of linear layers and does nothing here, as in PEFT. loralib and PEFT draw B
/// from N(0, 1), √(3·width) times as wide as the default here: learning rates do not carry over.
/// </para>
/// </summary>
internal sealed class EmbeddingWithLoRA : LayerWithLoRA, ITokenLayer
{
    private readonly Submodule<Embedding> embedding;
    private readonly Submodule<LoRALayer> lora;
    private readonly OriginalWeight original;

    /// <summary>
    /// Puts a new update beside a table and freezes the latter; the vectors stay what they were,
    /// for A is zero.
    /// </summary>
    /// <param name="embedding">The table to adapt.</param>
    /// <param name="settings">Rank, alpha, …; the initial values are B's.</param>
    /// <param name="random">Draws B.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public EmbeddingWithLoRA(Embedding embedding, LoRASettings settings, RandomStream random)
    {
        embedding.Freeze();
        original = new OriginalWeight(embedding.Weight);
        this.embedding = Add("embedding", embedding);
        lora = Add("lora", LoRALayer.ForEmbedding(embedding.InFeatures, embedding.OutFeatures, settings, random,
            embedding.Weight.Backend));
        Train(embedding.IsTraining);
    }

    /// <summary>The adapted table E [count, width].</summary>
    public override Embedding Base => embedding.Value;

    /// <summary>The update: A [count, rank] and B [rank, width].</summary>
    public override LoRALayer Lora => lora.Value;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">
    /// Merged and in training: A and B are not part of the computation then.
    /// </exception>
    public Tensor Forward(Indices ids)
    {
        if (HasUpdateInWeight())
        {
            return Base.Forward(ids);
        }
        using var scope = new TensorScope();
        return scope.Return(Base.Forward(ids).AddMatMul(Lora.A.Gather(ids), Lora.B, Lora.Scaling));
    }

    internal override void AppendBaseWeightTo(IncrementalHash hash) => original.AppendTo(hash);

    /// <summary>E ← E + s·AB</summary>
    private protected override void WriteUpdate()
    {
        original.Keep();
        var e = Base.Weight;
        e.Backend.AddProduct(e.Matrix, Lora.A.Matrix, Lora.B.Matrix, Lora.Scaling);
    }

    private protected override void RestoreOriginal() => original.Restore();

    private protected override void DropOriginal() => original.Drop();
}
