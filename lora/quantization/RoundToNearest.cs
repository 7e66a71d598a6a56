using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// Round to nearest: every weight takes the code that is nearest to it, on the grid that leaves the
/// least squared error in its group (<see cref="GroupRounding"/>).
/// </summary>
internal static class RoundToNearest
{
    /// <summary>Quantises a weight.</summary>
    /// <param name="weight">W, row-major [out, in]</param>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in, a multiple of the group size</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="InputException">
    /// The groups do not divide the input, or a weight is not finite.
    /// </exception>
    public static GroupQuantizedWeight Quantize(
        ReadOnlyMemory<float> weight, int outFeatures, int inFeatures, QuantizationFormat format,
        IBackend? backend = null, string layer = "the layer")
    {
        Check(weight.Span, outFeatures, inFeatures, format, layer);
        var codes = new byte[weight.Length];
        var grids = new GroupGrid[weight.Length / format.GroupSize];
        Parallel.For(0, outFeatures, row =>
        {
            Span<double> group = stackalloc double[format.GroupSize];
            for (var start = row * inFeatures; start < (row + 1) * inFeatures; start += group.Length)
            {
                for (var i = 0; i < group.Length; i++)
                {
                    group[i] = weight.Span[start + i];
                }
                var grid = GroupRounding.BestGrid(group, format.LargestCode);
                grids[start / group.Length] = grid;
                GroupRounding.Assign(group, grid, format.LargestCode, codes.AsSpan(start, group.Length));
            }
        });
        return new GroupQuantizedWeight(format, outFeatures, inFeatures, codes, grids, backend);
    }

    /// <summary>Throws where a weight cannot be quantised.</summary>
    internal static void Check(ReadOnlySpan<float> weight, int outFeatures, int inFeatures, QuantizationFormat format,
        string layer)
    {
        format.CheckInput(layer, inFeatures);
        if (weight.Length != (long)outFeatures * inFeatures)
        {
            throw new ShapeMismatchException($"Quantisation of {layer}: a weight [{outFeatures}, {inFeatures}] has "
                + $"{(long)outFeatures * inFeatures} elements, got {weight.Length}.");
        }
        for (var i = 0; i < weight.Length; i++)
        {
            if (!float.IsFinite(weight[i]))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"Quantisation of {layer}: the weight at [{i / inFeatures}, {i % inFeatures}] is {weight[i]}. "
                        + $"The checkpoint is damaged, or its training has diverged; quantise an earlier one."));
            }
        }
    }
}
