using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A frozen layer with a low-rank update beside it that can be merged into it:
/// <see cref="LinearWithLoRA"/> on a float weight, <see cref="LinearWithQALoRA"/> on a quantised
/// one, <see cref="EmbeddingWithLoRA"/> on an embedding table.
/// </summary>
public abstract class LayerWithLoRA : Layer
{
    private bool wasTrainableA, wasTrainableB;  // before Merge froze them

    private protected LayerWithLoRA()
    {
    }

    /// <summary>
    /// Puts a new update beside a layer and freezes the latter. The one place that knows which
    /// update goes beside which kind of layer.
    /// </summary>
    /// <param name="settings">Rank, alpha, …</param>
    /// <param name="random">Draws the update and the dropout masks.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    /// <exception cref="NotSupportedException">The kind of layer has no update.</exception>
    internal static LayerWithLoRA On(WeightLayer layer, LoRASettings settings, RandomStream random) => layer switch
    {
        Linear linear => new LinearWithLoRA(linear, settings, random),
        QuantizedLinear quantized => new LinearWithQALoRA(quantized, settings, random),
        Embedding embedding => new EmbeddingWithLoRA(embedding, settings, random),
        _ => throw new NotSupportedException($"LoRA: there is no update for a {layer.GetType().Name}."),
    };

    /// <summary>Whether such a layer can be put where the base layer is now.</summary>
    /// <param name="layer">The base layer.</param>
    /// <param name="submodule">Its place.</param>
    internal static bool Fits(WeightLayer layer, Submodule submodule) =>
        submodule.Accepts(layer.IsEmbedding ? typeof(EmbeddingWithLoRA) : typeof(LayerWithLoRA));

    /// <summary>The adapted layer, the very object that stood in the model.</summary>
    public abstract WeightLayer Base { get; }

    /// <summary>The update.</summary>
    public abstract ILoRALayer Lora { get; }

    /// <summary>True while the adapted layer holds the update.</summary>
    public bool IsMerged { get; private set; }

    /// <summary>
    /// The adapted layer's output and the update of it; while merged, the adapted layer's output.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="InvalidOperationException">
    /// Merged and in training: A and B are not part of the computation then.
    /// </exception>
    public override Tensor Forward(Tensor x)
    {
        if (HasUpdateInWeight())
        {
            return Base.Forward(x);
        }
        using var scope = new TensorScope();
        return scope.Return(Adapted(x));
    }

    /// <summary>The adapted layer's output and the update of it.</summary>
    private protected virtual Tensor Adapted(Tensor x) => Lora.AddTo(Base.Forward(x), x);

    /// <summary>Whether the adapted layer alone computes the output.</summary>
    /// <exception cref="InvalidOperationException">Merged and in training.</exception>
    private protected bool HasUpdateInWeight() => IsMerged && IsTraining
        ? throw new InvalidOperationException($"{GetType().Name}: a merged layer cannot be trained, A and B have "
            + "gone into its weight. Call Unmerge() first, or Evaluate() to predict.")
        : IsMerged;

    /// <summary>
    /// Writes the update into the adapted layer's weight, in place; the original is kept, and A and
    /// B are frozen until <see cref="Unmerge"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is merged already, or the model is being trained or predicts.
    /// </exception>
    /// <exception cref="InputException">
    /// A zero of a quantised weight would not be finite.
    /// </exception>
    public void Merge()
    {
        using var change = Use.Change("Merging an adapter");
        if (IsMerged)
        {
            throw new InvalidOperationException($"{GetType().Name}: the layer is merged already; merging twice would "
                + "add the update twice. Call Unmerge() first.");
        }
        WriteUpdate();
        (wasTrainableA, wasTrainableB) = (Lora.A.IsTrainable, Lora.B.IsTrainable);
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (false, false);
        IsMerged = true;
    }

    /// <summary>Puts the original weight back, bit for bit.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is not merged, or the model is being trained or predicts.
    /// </exception>
    public void Unmerge()
    {
        using var change = Use.Change("Unmerging an adapter");
        if (!IsMerged)
        {
            throw new InvalidOperationException($"{GetType().Name}: the layer is not merged.");
        }
        RestoreOriginal();
        ForgetOriginal();
    }

    /// <summary>Lets the merged weight stand for good.</summary>
    internal void ForgetOriginal()
    {
        DropOriginal();
        IsMerged = false;
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (wasTrainableA, wasTrainableB);
    }

    /// <inheritdoc/>
    protected override string Details => IsMerged ? "merged" : "";

    /// <summary>
    /// As <see cref="IWeight.AppendTo"/>, of the weight without the update, whether merged or not.
    /// </summary>
    internal abstract void AppendBaseWeightTo(IncrementalHash hash);

    /// <summary>Keeps the original weight and adds the update to it.</summary>
    private protected abstract void WriteUpdate();

    /// <summary>Puts the original weight back.</summary>
    private protected abstract void RestoreOriginal();

    /// <summary>Gives up the original weight.</summary>
    private protected abstract void DropOriginal();
}
