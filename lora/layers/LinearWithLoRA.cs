using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A linear layer with a low-rank update beside it: y = xWᵀ + b + s·(x̃A)B. It holds the very same
/// <see cref="Engine.NN.Linear"/> object, W is neither copied nor changed by training; its gradient
/// dX = dY·W + s·(dY·Bᵀ)·Aᵀ and the others are derived in <see cref="LoRAGradients"/>.
/// <para>
/// <see cref="LayerWithLoRA.Merge"/> writes W + s·(AB)ᵀ into W for use without the extra products,
/// <see cref="LayerWithLoRA.Unmerge"/> puts the original bits back: they are kept, since
/// subtracting the update again would leave rounding errors behind.
/// </para>
/// </summary>
public sealed class LinearWithLoRA : LayerWithLoRA
{
    private readonly Submodule<Linear> linear;
    private readonly Submodule<LoRALayer> lora;
    private readonly OriginalWeight original;

    /// <summary>Puts a given LoRA layer beside a linear layer and freezes the latter.</summary>
    /// <param name="linear">The layer to adapt.</param>
    /// <param name="lora">The update; same widths.</param>
    /// <exception cref="ShapeMismatchException">The widths differ.</exception>
    public LinearWithLoRA(Linear linear, LoRALayer lora)
    {
        if (lora.InFeatures != linear.InFeatures || lora.OutFeatures != linear.OutFeatures)
        {
            throw new ShapeMismatchException($"LinearWithLoRA: the linear layer maps {linear.InFeatures} → "
                + $"{linear.OutFeatures}, the LoRA layer {lora.InFeatures} → {lora.OutFeatures}; they must agree.");
        }
        linear.Freeze();
        original = new OriginalWeight(linear.Weight);
        this.linear = Add("linear", linear);
        this.lora = Add("lora", lora);
        Train(linear.IsTraining);
    }

    /// <summary>
    /// Puts a new LoRA layer beside a linear layer and freezes the latter; the output stays what it
    /// was, for B is zero.
    /// </summary>
    /// <param name="linear">The layer to adapt.</param>
    /// <param name="settings">Rank, alpha, …</param>
    /// <param name="random">Draws A and the dropout masks.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LinearWithLoRA(Linear linear, LoRASettings settings, RandomStream random)
        : this(linear, new LoRALayer(linear.InFeatures, linear.OutFeatures, settings, random, linear.Weight.Backend))
    {
    }

    /// <summary>
    /// The same, as the tutorials create it, with the default scaling alpha/rank.
    /// </summary>
    /// <param name="linear">The layer to adapt.</param>
    /// <param name="rank">r ≥ 1</param>
    /// <param name="alpha">alpha above 0</param>
    /// <param name="random">Draws A.</param>
    public LinearWithLoRA(Linear linear, int rank, double alpha, RandomStream random)
        : this(linear, new LoRASettings(rank, alpha), random)
    {
    }

    /// <summary>The adapted layer: W [out, in] and b.</summary>
    public override Linear Base => linear.Value;

    /// <summary>The update: A [in, rank] and B [rank, out].</summary>
    public override LoRALayer Lora => lora.Value;

    private protected override Tensor Adapted(Tensor x) => Lora.AddTo(Base, x);

    internal override void AppendBaseWeightTo(IncrementalHash hash) => original.AppendTo(hash);

    /// <summary>
    /// W ← W + s·(AB)ᵀ. Up to float32 rounding the outputs stay: each of them moves by at most
    /// 2γ·(|x|·|W|ᵀ + |b| + s·|x|·|A|·|B|), the absolute values element by element, γ = nu/(1 −
    /// nu), n = in + r + 4, u = 2⁻²⁴.
    /// </summary>
    private protected override void WriteUpdate()
    {
        original.Keep();
        var w = Base.Weight;
        w.Backend.AddProduct(w.Matrix, Lora.B.Matrix.T, Lora.A.Matrix.T, Lora.Scaling);     // W += s·BᵀAᵀ
    }

    private protected override void RestoreOriginal() => original.Restore();

    private protected override void DropOriginal() => original.Drop();
}
