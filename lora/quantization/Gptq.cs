using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// GPTQ (Frantar et al. 2022, arXiv 2210.17323): weights are rounded one input after the other, and
/// what rounding one of them did to the output is made up for by those that are not rounded yet.
/// <para>
/// For one output with the weights w, the output error of ŵ is (w − ŵ)ᵀH(w − ŵ) with H of
/// <see cref="CalibrationHessian"/>. Let F be the inputs still to be rounded and i the first of
/// them. If ŵᵢ is fixed, the least error is reached with
/// </para>
/// <code>w_F ← w_F − (wᵢ − ŵᵢ) / [H_F⁻¹]ᵢᵢ · [H_F⁻¹]ᵢ,F</code>
/// <para>
/// These inverses are not computed one by one: with the upper triangular U for which H⁻¹ = UᵀU, the
/// first row of H_F⁻¹ is Uᵢᵢ·U[i, F], and so
/// </para>
/// <code>eᵢ = (wᵢ − ŵᵢ)/Uᵢᵢ,   w[j] ← w[j] − eᵢ·U[i, j]  for j > i</code>
/// <para>
/// U is the inverse of the upper triangular R with H = RRᵀ, which <see cref="TriangularFactor"/>
/// finds from the last row up. One per cent of H's mean diagonal is added to its diagonal before
/// (damping), so that R exists even where an input was never active. Inputs are taken in their own
/// order (act-order off), so groups are neighbours and packed like any others; a group's grid is
/// chosen by <see cref="GroupRounding"/> when its first input is reached, from the weights as they
/// are by then.
/// </para>
/// <para>
/// Blockwise: within a block of up to 128 inputs the updates are made at once, those of the inputs
/// behind it when the block is done, for a few outputs at a time: the rows of U are read once for
/// all of them. The order of the additions for one weight is that of the inputs, as without blocks.
/// </para>
/// </summary>
internal static class Gptq
{
    /// <summary>What is added to the diagonal of H, as a share of the diagonal's mean.</summary>
    public const double Damping = 0.01;

    private const int MaxBlock = 128;
    private const int OutputsAtOnce = 16;

    /// <summary>Quantises a weight.</summary>
    /// <param name="weight">W, row-major [out, in]</param>
    /// <param name="outFeatures">out</param>
    /// <param name="hessian">
    /// H [in, in] of the layer's inputs on calibration texts, see
    /// <see cref="CalibrationHessian.ToArray"/>
    /// </param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="InputException">
    /// The groups do not divide the input, or a weight is not finite.
    /// </exception>
    /// <exception cref="ShapeMismatchException">H is not [in, in] for the weight.</exception>
    public static GroupQuantizedWeight Quantize(
        ReadOnlyMemory<float> weight, int outFeatures, double[] hessian, QuantizationFormat format,
        IBackend? backend = null, string layer = "the layer")
    {
        var inFeatures = (int)Math.Round(Math.Sqrt(hessian.Length));
        RoundToNearest.Check(weight.Span, outFeatures, inFeatures, format, layer);
        var u = TriangularFactor.OfInverse(Damped(hessian, inFeatures), inFeatures);
        var codes = new byte[weight.Length];
        var grids = new GroupGrid[weight.Length / format.GroupSize];
        Parallel.For(0, (outFeatures + OutputsAtOnce - 1) / OutputsAtOnce, part =>
        {
            var first = part * OutputsAtOnce;
            new Outputs(weight.Span, first, Math.Min(OutputsAtOnce, outFeatures - first), u, inFeatures, format, codes,
                grids).Round();
        });
        return new GroupQuantizedWeight(format, outFeatures, inFeatures, codes, grids, backend);
    }

    private static double[] Damped(double[] hessian, int n)
    {
        var mean = 0.0;
        for (var i = 0; i < n; i++)
        {
            mean += hessian[i * n + i] / n;
        }
        var damped = (double[])hessian.Clone();
        for (var i = 0; i < n; i++)
        {
            damped[i * n + i] += mean > 0 ? Damping * mean : 1;         // inputs that are always 0: any grid will do
        }
        return damped;
    }

    /// <summary>A few outputs on their way through all inputs.</summary>
    private sealed class Outputs(
        ReadOnlySpan<float> weight, int first, int count, double[] u, int inFeatures, QuantizationFormat format,
        byte[] codes, GroupGrid[] grids)
    {
        private readonly double[] w = Copy(weight.Slice(first * inFeatures, count * inFeatures));       // [count, in]
        // e [count, inputs of the block]
        private readonly double[] errors = new double[count * MaxBlock];
        private readonly GroupGrid[] current = new GroupGrid[count];

        public void Round()
        {
            var block = Math.Max(1, MaxBlock / format.GroupSize) * format.GroupSize;                   // whole groups
            for (var start = 0; start < inFeatures; start += block)
            {
                var end = Math.Min(start + block, inFeatures);
                RoundBlock(start, end);
                for (var i = start; i < end; i++)
                {
                    Update(i, start, end, inFeatures);
                }
            }
        }

        private void RoundBlock(int start, int end)
        {
            for (var i = start; i < end; i++)
            {
                for (var row = 0; row < count; row++)
                {
                    var weights = w.AsSpan(row * inFeatures, inFeatures);
                    var output = first + row;
                    if (i % format.GroupSize == 0)
                    {
                        current[row] = GroupRounding.BestGrid(weights.Slice(i, format.GroupSize), format.LargestCode);
                        grids[(output * inFeatures + i) / format.GroupSize] = current[row];
                    }
                    var code = GroupRounding.Code(weights[i], current[row], format.LargestCode);
                    codes[output * inFeatures + i] = code;
                    // eᵢ
                    errors[row * MaxBlock + i - start] = (weights[i] - current[row].Value(code))
                        / u[i * inFeatures + i];
                }
                Update(i, start, i + 1, end);
            }
        }

        /// <summary>
        /// w[j] ← w[j] − eᵢ·U[i, j] for j from <paramref name="from"/> to <paramref name="to"/>.
        /// </summary>
        private void Update(int i, int blockStart, int from, int to)
        {
            var rowOfU = u.AsSpan(i * inFeatures + from, to - from);
            for (var row = 0; row < count; row++)
            {
                Vectors.AddScaled(w.AsSpan(row * inFeatures + from, to - from),
                    -errors[row * MaxBlock + i - blockStart], rowOfU);
            }
        }

        private static double[] Copy(ReadOnlySpan<float> values)
        {
            var copy = new double[values.Length];
            for (var i = 0; i < copy.Length; i++)
            {
                copy[i] = values[i];
            }
            return copy;
        }
    }
}
