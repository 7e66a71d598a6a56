using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// A quantised linear layer with an update beside it that its zeros can take: y = xŴᵀ + b + s·(P(x̃)A)B. Equations: <see cref="QALoRAGradients"/>.
/// <para>
/// <see cref="Merge"/> writes the update into the zeros, <see cref="Unmerge"/> puts the original ones back, bit for bit. Merged, the layer is a <see cref="Engine.NN.QuantizedLinear"/> of unchanged size.
/// </para>
/// </summary>
public sealed class LinearWithQALoRA : Layer
{
    private readonly Slot<QuantizedLinear> linear;
    private readonly Slot<QALoRALayer> lora;
    private GroupGrid[]? original;              // scales and zeros as they were, while merged
    private bool wasTrainableA, wasTrainableB;  // before Merge froze them

    /// <summary>Puts a given QA-LoRA layer beside a quantised linear layer and freezes the latter's bias.</summary>
    /// <param name="linear">The layer to adapt.</param> <param name="lora">The update; same widths and groups.</param>
    /// <exception cref="ShapeMismatchException">Widths or groups differ.</exception>
    public LinearWithQALoRA(QuantizedLinear linear, QALoRALayer lora)
    {
        if (lora.InFeatures != linear.InFeatures || lora.OutFeatures != linear.OutFeatures || lora.GroupSize != linear.Weight.Format.GroupSize)
        {
            throw new ShapeMismatchException(
                $"LinearWithQALoRA: the linear layer maps {linear.InFeatures} → {linear.OutFeatures} in groups of {linear.Weight.Format.GroupSize}, " +
                $"the QA-LoRA layer {lora.InFeatures} → {lora.OutFeatures} in groups of {lora.GroupSize}; they must agree.");
        }
        linear.Freeze();
        this.linear = Add("linear", linear);
        this.lora = Add("lora", lora);
        Train(linear.IsTraining);
    }

    /// <summary>Puts a new QA-LoRA layer beside a quantised linear layer; the output stays what it was, for B is zero.</summary>
    /// <param name="linear">The layer to adapt.</param> <param name="settings">Rank, alpha, pooling, …</param> <param name="random">Draws A and the dropout masks.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LinearWithQALoRA(QuantizedLinear linear, QALoRASettings settings, RandomStream random)
        : this(linear, new QALoRALayer(linear.InFeatures, linear.OutFeatures, linear.Weight.Format.GroupSize, settings, random, linear.Weight.Backend))
    {
    }

    /// <summary>The adapted layer: Ŵ [out, in] and b.</summary>
    public QuantizedLinear Linear => linear.Value;

    /// <summary>The update: A [in/g, rank] and B [rank, out].</summary>
    public QALoRALayer Lora => lora.Value;

    /// <summary>True while the zeros of Ŵ hold the update.</summary>
    public bool IsMerged => original is not null;

    /// <summary>y = xŴᵀ + b + s·(P(x̃)A)B; while merged, xŴᵀ + b with the merged zeros.</summary>
    /// <param name="x">[…, in]</param> <returns>[…, out]</returns>
    /// <exception cref="InvalidOperationException">Merged and in training: A and B are not part of the computation then.</exception>
    public override Tensor Forward(Tensor x)
    {
        if (IsMerged)
        {
            return IsTraining
                ? throw new InvalidOperationException("LinearWithQALoRA: a merged layer cannot be trained, A and B have gone into the zeros. Call Unmerge() first, or Evaluate() to predict.")
                : Linear.Forward(x);
        }
        using var scope = new TensorScope();
        return scope.Return(Lora.AddTo(Linear.Forward(x), x));
    }

    /// <summary>ζ ← ζ − s·κ·(AB)ᵀ/α; see <see cref="QALoRAMerge"/>. A and B are frozen until <see cref="Unmerge"/>.</summary>
    /// <exception cref="InvalidOperationException">It is merged already.</exception>
    /// <exception cref="InputException">A zero would not be finite.</exception>
    public void Merge()
    {
        if (IsMerged)
        {
            throw new InvalidOperationException("LinearWithQALoRA: the layer is merged already; merging twice would add the update twice. Call Unmerge() first.");
        }
        var merged = QALoRAMerge.Merge(Linear.Weight, Lora);
        original = Linear.Weight.Grids();
        Linear.Weight.SetGrids(merged);
        (wasTrainableA, wasTrainableB) = (Lora.A.IsTrainable, Lora.B.IsTrainable);
        Lora.Freeze();
    }

    /// <summary>Puts the original zeros back, bit for bit.</summary>
    /// <exception cref="InvalidOperationException">It is not merged.</exception>
    public void Unmerge()
    {
        if (original is null)
        {
            throw new InvalidOperationException("LinearWithQALoRA: the layer is not merged.");
        }
        Linear.Weight.SetGrids(original);
        original = null;
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (wasTrainableA, wasTrainableB);
    }

    /// <inheritdoc/>
    protected override string Details => IsMerged ? "merged" : "";
}
