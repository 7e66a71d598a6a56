using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A linear layer whose weight is a product of two thin ones, W = U·D with D [k, in] and U [out,
/// k]: y = (x·Dᵀ)·Uᵀ + b. Two <see cref="Linear"/> layers, one after the other, and named as such:
/// down.weight is D, up.weight and up.bias are U and b. It costs k·(in + out) multiplications for a
/// row instead of in·out, and as many numbers, so it saves nothing from k = in·out/(in + out) on;
/// see <see cref="LargestSavingRank"/>.
/// <para>
/// Gradients, with h = x·Dᵀ [N, k] and dH = dY·U: dU += dYᵀ·h, db += Σ rows of dY, dD += dHᵀ·x, dX
/// += dH·D. W, [out, in], is never formed.
/// </para>
/// <para>
/// LoRA on such a layer is LoRA on both factors, for W's own update has no place in them: y =
/// (x·(Dᵀ + s·A₁B₁))·(Uᵀ + s·A₂B₂) + b.
/// </para>
/// </summary>
internal sealed class LowRankLinear : Layer
{
    private readonly Submodule<Layer> down, up;

    /// <summary>A layer of two given ones.</summary>
    /// <param name="down">D [k, in], without a bias.</param>
    /// <param name="up">U [out, k], with the bias of the layer or none.</param>
    /// <exception cref="ShapeMismatchException">
    /// The inner widths differ, or the first one has a bias.
    /// </exception>
    public LowRankLinear(Linear down, Linear up)
    {
        if (down.OutFeatures != up.InFeatures || down.Bias is not null)
        {
            throw new ShapeMismatchException($"LowRankLinear: down {down.Weight.Shape} "
                + $"{(down.Bias is null ? "" : "with a bias ")}and up {up.Weight.Shape} are no factors: D [k, in] "
                + "without a bias and U [out, k] are expected.");
        }
        (InFeatures, OutFeatures, Rank) = (down.InFeatures, up.OutFeatures, down.OutFeatures);
        this.down = Add<Layer>("down", down);
        this.up = Add<Layer>("up", up);
    }

    /// <summary>The low-rank form of a linear layer; its bias becomes this one's.</summary>
    /// <param name="linear">The layer.</param>
    /// <param name="factors">W ≈ (A·B)ᵀ: D = Aᵀ and U = Bᵀ.</param>
    /// <exception cref="ShapeMismatchException">The factors are of another weight.</exception>
    public static LowRankLinear Of(Linear linear, LowRankFactors factors)
    {
        var (k, backend) = (factors.Rank, linear.Weight.Backend);
        if (factors.InFeatures != linear.InFeatures || factors.OutFeatures != linear.OutFeatures)
        {
            throw new ShapeMismatchException($"LowRankLinear: factors of a [{factors.OutFeatures}, "
                + $"{factors.InFeatures}] weight do not fit {linear.Weight.Shape}.");
        }
        var layer = new LowRankLinear(
            new Linear(new Parameter("weight", RowMajor.Transposed(factors.A, factors.InFeatures, k),
                new Shape(k, factors.InFeatures), backend), null),
            new Linear(new Parameter("weight", RowMajor.Transposed(factors.B, k, factors.OutFeatures),
                new Shape(factors.OutFeatures, k), backend), linear.Bias));
        layer.Train(linear.IsTraining);
        return layer;
    }

    /// <summary>Width of the input.</summary>
    public int InFeatures { get; }

    /// <summary>Width of the output.</summary>
    public int OutFeatures { get; }

    /// <summary>k</summary>
    public int Rank { get; }

    /// <summary>
    /// The factors of the low-rank layers below a module, which are linear layers of their own:
    /// path of the factor → path of the layer.
    /// </summary>
    public static IReadOnlyDictionary<string, string> Factors(Module model) => model.NamedModules<LowRankLinear>()
        .SelectMany(entry => entry.Module.Children
            .Select(child => (Factor: entry.Path.Length == 0 ? child.Name : $"{entry.Path}.{child.Name}", entry.Path)))
            .ToDictionary();

    /// <summary>
    /// The largest k with k·(in + out) &lt; in·out; 0 where there is none, in a layer of one input
    /// or output.
    /// </summary>
    public static int LargestSavingRank(int inFeatures, int outFeatures) =>
        (int)(((long)inFeatures * outFeatures - 1) / (inFeatures + outFeatures));

    /// <summary>y = (x·Dᵀ)·Uᵀ + b</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(up.Value.Forward(down.Value.Forward(x)));
    }

    /// <inheritdoc/>
    protected override string Details => $"in_features={InFeatures}, out_features={OutFeatures}, rank={Rank}";
}
