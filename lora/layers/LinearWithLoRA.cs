using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A linear layer with a low-rank update beside it: y = xWᵀ + b + s·(x̃A)B. It holds the very same <see cref="Engine.NN.Linear"/> object, W is neither copied nor
/// changed by training; its gradient dX = dY·W + s·(dY·Bᵀ)·Aᵀ and the others are derived in <see cref="LoRAGradients"/>.
/// <para>
/// <see cref="Merge"/> writes W + s·(AB)ᵀ into W for use without the extra products, <see cref="Unmerge"/> puts the original bits back: they are kept, since
/// subtracting the update again would leave rounding errors behind.
/// </para>
/// </summary>
public sealed class LinearWithLoRA : Layer
{
    private readonly Slot<Linear> linear;
    private readonly Slot<LoRALayer> lora;
    private Tensor? original;                   // W as it was, while merged
    private bool wasTrainableA, wasTrainableB;  // before Merge froze them

    /// <summary>Puts a given LoRA layer beside a linear layer and freezes the latter.</summary>
    /// <param name="linear">The layer to adapt.</param> <param name="lora">The update; same widths.</param>
    /// <exception cref="ShapeMismatchException">The widths differ.</exception>
    public LinearWithLoRA(Linear linear, LoRALayer lora)
    {
        if (lora.InFeatures != linear.InFeatures || lora.OutFeatures != linear.OutFeatures)
        {
            throw new ShapeMismatchException($"LinearWithLoRA: the linear layer maps {linear.InFeatures} → {linear.OutFeatures}, the LoRA layer {lora.InFeatures} → {lora.OutFeatures}; they must agree.");
        }
        linear.Freeze();
        this.linear = Add("linear", linear);
        this.lora = Add("lora", lora);
        Train(linear.IsTraining);
    }

    /// <summary>Puts a new LoRA layer beside a linear layer and freezes the latter; the output stays what it was, for B is zero.</summary>
    /// <param name="linear">The layer to adapt.</param> <param name="settings">Rank, alpha, …</param> <param name="random">Draws A and the dropout masks.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LinearWithLoRA(Linear linear, LoRASettings settings, RandomStream random)
        : this(linear, new LoRALayer(linear.InFeatures, linear.OutFeatures, settings, random, linear.Weight.Backend))
    {
    }

    /// <summary>The same, as the tutorials create it, with the default scaling alpha/rank.</summary>
    /// <param name="linear">The layer to adapt.</param> <param name="rank">r ≥ 1</param> <param name="alpha">alpha above 0</param> <param name="random">Draws A.</param>
    public LinearWithLoRA(Linear linear, int rank, double alpha, RandomStream random) : this(linear, new LoRASettings(rank, alpha), random)
    {
    }

    /// <summary>The adapted layer: W [out, in] and b.</summary>
    public Linear Linear => linear.Value;

    /// <summary>The update: A [in, rank] and B [rank, out].</summary>
    public LoRALayer Lora => lora.Value;

    /// <summary>True while W holds W + s·(AB)ᵀ.</summary>
    public bool IsMerged => original is not null;

    /// <summary>W without the update, row-major [out, in], merged or not.</summary>
    internal float[] BaseWeight() => (original ?? Linear.Weight).ToArray();

    /// <summary>y = xWᵀ + b + s·(x̃A)B; while merged, xWᵀ + b with the merged W.</summary>
    /// <param name="x">[…, in]</param> <returns>[…, out]</returns>
    /// <exception cref="InvalidOperationException">Merged and in training: A and B are not part of the computation then.</exception>
    public override Tensor Forward(Tensor x)
    {
        if (IsMerged)
        {
            return IsTraining
                ? throw new InvalidOperationException("LinearWithLoRA: a merged layer cannot be trained, A and B have gone into W. Call Unmerge() first, or Evaluate() to predict.")
                : Linear.Forward(x);
        }
        using var scope = new TensorScope();
        return scope.Return(Lora.AddTo(Linear.Forward(x), x));
    }

    /// <summary>
    /// W ← W + s·(AB)ᵀ, in place; the original is kept and A, B are frozen until <see cref="Unmerge"/>. Up to float32 rounding the outputs stay: each of them moves by at most
    /// 2γ·(|x|·|W|ᵀ + |b| + s·|x|·|A|·|B|), the absolute values element by element, γ = nu/(1 − nu), n = in + r + 4, u = 2⁻²⁴.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is merged already.</exception>
    public void Merge()
    {
        if (IsMerged)
        {
            throw new InvalidOperationException("LinearWithLoRA: the layer is merged already; merging twice would add the update twice. Call Unmerge() first.");
        }
        var w = Linear.Weight;
        original = Tensor.Zeros(w.Shape, w.Backend);
        w.Backend.Copy(original.Data, w.Data);
        w.Backend.AddProduct(w.Matrix, Lora.B.Matrix.T, Lora.A.Matrix.T, Lora.Scaling);     // W += s·BᵀAᵀ
        (wasTrainableA, wasTrainableB) = (Lora.A.IsTrainable, Lora.B.IsTrainable);
        Lora.Freeze();
    }

    /// <summary>Puts the original W back, bit for bit.</summary>
    /// <exception cref="InvalidOperationException">It is not merged.</exception>
    public void Unmerge()
    {
        if (original is null)
        {
            throw new InvalidOperationException("LinearWithLoRA: the layer is not merged.");
        }
        Linear.Weight.Backend.Copy(Linear.Weight.Data, original.Data);
        ForgetOriginal();
    }

    /// <summary>Lets the merged W stand for good.</summary>
    internal void ForgetOriginal()
    {
        original?.Dispose();
        original = null;
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (wasTrainableA, wasTrainableB);
    }

    /// <inheritdoc/>
    protected override string Details => IsMerged ? "merged" : "";
}
