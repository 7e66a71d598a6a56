using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// A layer with random weights and a random input, rounded to whole numbers in double by the page's
/// equations, and the product without rounding.
/// </summary>
internal sealed class DynamicInt8Reference
{
    private readonly int rows, inFeatures, outFeatures;
    private readonly double[] nearX, nearW;
    private readonly double[] stepsOfX, stepsOfW;

    public DynamicInt8Reference(int rows, int inFeatures, int outFeatures, Func<float, float>? change = null)
    {
        (this.rows, this.inFeatures, this.outFeatures) = (rows, inFeatures, outFeatures);
        X = [.. Values.Normal(rows * inFeatures, rows + 3 * inFeatures)
            .Select(value => change?.Invoke(value) ?? value)];
        W = Values.Normal(outFeatures * inFeatures, 5 * outFeatures + inFeatures, 0.05);
        (nearX, stepsOfX) = (new double[X.Length], new double[rows]);
        (nearW, stepsOfW) = (new double[W.Length], new double[outFeatures]);
        for (var n = 0; n < rows; n++)
        {
            var row = X.Skip(n * inFeatures).Take(inFeatures).ToArray();
            var (low, high) = (Math.Min(0.0, row.Min()), Math.Max(0.0, row.Max()));
            stepsOfX[n] = (high - low) / 255;
            var zero = Math.Round(-low / stepsOfX[n]);
            for (var i = 0; i < inFeatures; i++)
            {
                nearX[n * inFeatures + i] = stepsOfX[n]
                    * (Math.Clamp(Math.Round(row[i] / stepsOfX[n]) + zero, 0, 255) - zero);
            }
        }
        for (var j = 0; j < outFeatures; j++)
        {
            stepsOfW[j] = W.Skip(j * inFeatures).Take(inFeatures).Max(Math.Abs) / 127.0;
            for (var i = 0; i < inFeatures; i++)
            {
                nearW[j * inFeatures + i] = stepsOfW[j] * Math.Round(W[j * inFeatures + i] / stepsOfW[j]);
            }
        }
    }

    /// <summary>[rows, in]</summary>
    public float[] X { get; }

    /// <summary>[out, in]</summary>
    public float[] W { get; }

    /// <summary>X̂·Ŵᵀ</summary>
    public double[] Product => Times(nearX, nearW);

    /// <summary>X·Wᵀ</summary>
    public double[] Exact => Times(Values.ToDouble(X), Values.ToDouble(W));

    /// <summary>
    /// How far a layer's result may be from <see cref="Exact"/>: β/2·Σ|w| for the rounding of x,
    /// α/2·Σ|x̂| for that of w, and for float32: the quotient x/β, up to 255, has an error of at
    /// most 255·2⁻²³ before it is rounded, which a step of 2⁻¹² of β covers, and the four roundings
    /// of the result one of 2⁻²² of its size.
    /// </summary>
    public double[] Bound
    {
        get
        {
            var (sizeOfW, sizeOfX, exact) =
                (W.Select(value => Math.Abs((double)value)).ToArray(), nearX.Select(Math.Abs).ToArray(), Exact);
            var bound = new double[rows * outFeatures];
            for (var n = 0; n < rows; n++)
            {
                for (var j = 0; j < outFeatures; j++)
                {
                    var (sumW, sumX) = (sizeOfW.Skip(j * inFeatures).Take(inFeatures).Sum(),
                        sizeOfX.Skip(n * inFeatures).Take(inFeatures).Sum());
                    var rounding = stepsOfX[n] * (0.5 + Math.Pow(2, -12)) * sumW
                        + stepsOfW[j] * 0.5 * (1 + 1e-6) * (sumX + stepsOfX[n] * inFeatures * Math.Pow(2, -12));
                    bound[n * outFeatures + j] = rounding
                        + Math.Pow(2, -22) * (Math.Abs(exact[n * outFeatures + j]) + rounding);
                }
            }
            return bound;
        }
    }

    /// <summary>The op without recording a gradient for x.</summary>
    public Tensor Compute(Tensor bias)
    {
        using var weight = ChannelQuantizedWeight.Quantize(W, outFeatures, inFeatures, bias.Backend);
        using var x = Tensor.From(X, new Shape(rows, inFeatures), bias.Backend);
        return x.DynamicInt8Linear(weight, bias);
    }

    private double[] Times(double[] x, double[] w) =>
        Reference.Product(x, Reference.Transpose(w, outFeatures, inFeatures), rows, inFeatures, outFeatures);
}
