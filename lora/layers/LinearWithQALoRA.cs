using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// A quantised linear layer with an update beside it that its zeros can take: y = xŴᵀ + b +
/// s·(P(x̃)A)B. Equations: <see cref="QALoRAGradients"/>.
/// <para>
/// <see cref="LayerWithLoRA.Merge"/> writes the update into the zeros,
/// <see cref="LayerWithLoRA.Unmerge"/> puts the original ones back, bit for bit. Merged, the layer
/// is a <see cref="QuantizedLinear"/> of unchanged size.
/// </para>
/// </summary>
internal sealed class LinearWithQALoRA : LayerWithLoRA
{
    private readonly Submodule<QuantizedLinear> linear;
    private readonly Submodule<QALoRALayer> lora;
    private GroupGrid[]? original;  // scales and zeros as they were, while merged

    /// <summary>
    /// Puts a given QA-LoRA layer beside a quantised linear layer and freezes the latter's bias.
    /// </summary>
    /// <param name="lora">The update; same widths and groups.</param>
    /// <exception cref="ShapeMismatchException">Widths or groups differ.</exception>
    public LinearWithQALoRA(QuantizedLinear linear, QALoRALayer lora)
    {
        if (lora.InFeatures != linear.InFeatures || lora.OutFeatures != linear.OutFeatures
            || lora.GroupSize != linear.Weight.Format.GroupSize)
        {
            throw new ShapeMismatchException(
                $"LinearWithQALoRA: the linear layer maps {linear.InFeatures} → {linear.OutFeatures} in groups of "
                    + $"{linear.Weight.Format.GroupSize}, " +
                $"the QA-LoRA layer {lora.InFeatures} → {lora.OutFeatures} in groups of {lora.GroupSize}; they must "
                    + "agree.");
        }
        linear.Freeze();
        this.linear = Add("linear", linear);
        this.lora = Add("lora", lora);
        Train(linear.IsTraining);
    }

    /// <summary>
    /// Puts a new QA-LoRA layer beside a quantised linear layer; the output stays what it was, for
    /// B is zero.
    /// </summary>
    /// <param name="settings">Rank, alpha, pooling, …</param>
    /// <param name="random">Draws A and the dropout masks.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LinearWithQALoRA(QuantizedLinear linear, LoRASettings settings, RandomStream random)
        : this(linear, new QALoRALayer(linear.InFeatures, linear.OutFeatures, linear.Weight.Format.GroupSize, settings,
            random, linear.Weight.Backend))
    {
    }

    /// <summary>The adapted layer: Ŵ [out, in] and b.</summary>
    public override QuantizedLinear Base => linear.Value;

    /// <summary>The update: A [in/g, rank] and B [rank, out].</summary>
    public override QALoRALayer Lora => lora.Value;

    internal override void AppendBaseWeightTo(IncrementalHash hash) =>
        Base.Weight.AppendTo(hash, original ?? Base.Weight.Grids());

    /// <summary>ζ ← ζ − s·κ·(AB)ᵀ/α; see <see cref="QALoRAMerge"/>.</summary>
    private protected override void WriteUpdate()
    {
        var merged = QALoRAMerge.Merge(Base.Weight, Lora);
        original = Base.Weight.Grids();
        Base.Weight.SetGrids(merged);
    }

    private protected override void RestoreOriginal() => Base.Weight.SetGrids(original!);

    private protected override void DropOriginal() => original = null;
}
