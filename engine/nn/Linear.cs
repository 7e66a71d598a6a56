using LoraScratch.Kernels;

namespace LoraScratch.Engine.NN;

/// <summary>
/// A fully connected layer, y = xWᵀ + b, with W [out, in] and b [out] as PyTorch stores them.
/// </summary>
public sealed class Linear : WeightLayer
{
    /// <summary>A layer with torch.nn.Linear's initial values: W and b uniform in ±1/√in.</summary>
    /// <param name="inFeatures">in</param>
    /// <param name="outFeatures">out</param>
    /// <param name="random">Source of the initial values.</param>
    /// <param name="bias">False: no b.</param>
    /// <param name="backend">Where to put it.</param>
    public Linear(int inFeatures, int outFeatures, RandomStream random, bool bias = true, IBackend? backend = null)
        : this(inFeatures, outFeatures, random.Uniform(new Shape(outFeatures, inFeatures).Count, Bound(inFeatures)),
            bias ? random.Uniform(outFeatures, Bound(inFeatures)) : null, backend)
    {
    }

    /// <summary>A layer with given values.</summary>
    /// <param name="inFeatures">in</param>
    /// <param name="outFeatures">out</param>
    /// <param name="weight">W, row-major [out, in].</param>
    /// <param name="bias">b [out], or null for none.</param>
    /// <param name="backend">Where to put it.</param>
    public Linear(int inFeatures, int outFeatures, float[] weight, float[]? bias, IBackend? backend = null)
        : this(new Parameter("weight", weight, new Shape(outFeatures, inFeatures), backend),
            bias is null ? null : new Parameter("bias", bias, new Shape(outFeatures), backend))
    {
    }

    /// <summary>A layer of given parameters.</summary>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">b [out], or null for none.</param>
    /// <exception cref="ShapeMismatchException">
    /// The weight is no matrix, or the bias does not have one element per output.
    /// </exception>
    public Linear(Parameter weight, Parameter? bias)
    {
        if (weight.Shape.Rank != 2 || bias is not null && bias.Shape != new Shape(weight.Shape[0]))
        {
            throw new ShapeMismatchException("Linear: needs a weight of shape [out, in] and a bias of shape [out], "
                + $"got {weight.Shape} and {bias?.Shape.ToString() ?? "none"}.");
        }
        Weight = Add(weight);
        Bias = bias is null ? null : Add(bias);
    }

    /// <summary>W [out, in]</summary>
    public override Parameter Weight { get; }

    /// <summary>b [out], or null</summary>
    public override Parameter? Bias { get; }

    /// <summary>y = xWᵀ + b</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x) => x.Linear(Weight, Bias);

    /// <inheritdoc/>
    protected override string Details =>
        $"in_features={InFeatures}, out_features={OutFeatures}, bias={Bias is not null}";

    private static float Bound(int inFeatures) => 1 / MathF.Sqrt(inFeatures);
}
