using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// Merging QA-LoRA into the zeros of a quantised weight, ζ′[j, l] = ζ[j, l] − s·κ·(AB)[l, j]/α[j,
/// l]; derived in <see cref="QALoRAGradients"/>. Codes and scales stay, and with them the size.
/// <para>
/// In exact arithmetic nothing changes. Here it is computed in double and rounded to float32 once,
/// which moves a weight of the group by at most |α·ζ′|·2⁻²⁴. It does not hold if zeros have to be
/// whole numbers, as some files of packed weights have them: <see cref="RoundZeros"/> does that and
/// says what it costs.
/// </para>
/// </summary>
internal static class QALoRAMerge
{
    /// <summary>ζ′ [out, in/g] before it is rounded to float32.</summary>
    /// <param name="grids">α and ζ [out, in/g]</param>
    /// <param name="a">A [in/g, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="rank">r</param>
    /// <param name="scaling">s</param>
    /// <param name="poolingFactor">κ</param>
    /// <exception cref="ShapeMismatchException">The sizes do not fit together.</exception>
    public static double[] Zeros(ReadOnlySpan<GroupGrid> grids, ReadOnlySpan<float> a, ReadOnlySpan<float> b, int rank,
        double scaling, double poolingFactor)
    {
        var (groups, outputs) = (a.Length / rank, b.Length / rank);
        if (groups * rank != a.Length || outputs * rank != b.Length || groups * outputs != grids.Length)
        {
            throw new ShapeMismatchException($"QALoRAMerge: {grids.Length} groups, A of {a.Length} and B of "
                + $"{b.Length} elements do not fit together at rank {rank}.");
        }
        var zeros = new double[grids.Length];
        for (var j = 0; j < outputs; j++)
        {
            for (var l = 0; l < groups; l++)
            {
                var sum = 0.0;                                                  // (AB)[l, j]
                for (var k = 0; k < rank; k++)
                {
                    sum += (double)a[l * rank + k] * b[k * outputs + j];
                }
                var grid = grids[j * groups + l];
                zeros[j * groups + l] = grid.Zero - scaling * poolingFactor * sum / grid.Scale;
            }
        }
        return zeros;
    }

    /// <summary>The grids of a weight with a layer's update in their zeros.</summary>
    /// <param name="weight">Ŵ</param>
    /// <param name="layer">s, κ, A and B; same widths and groups.</param>
    /// <returns>[out, in/g]</returns>
    /// <exception cref="ShapeMismatchException">Widths or groups differ.</exception>
    /// <exception cref="InputException">
    /// A zero would not be finite: the update is not, or a scale is very small.
    /// </exception>
    public static GroupGrid[] Merge(GroupQuantizedWeight weight, QALoRALayer layer)
    {
        if (layer.InFeatures != weight.InFeatures || layer.OutFeatures != weight.OutFeatures
            || layer.GroupSize != weight.Format.GroupSize)
        {
            throw new ShapeMismatchException(
                $"QALoRAMerge: the weight {weight} cannot take a layer [{layer.InFeatures} → {layer.OutFeatures}] "
                    + $"with groups of {layer.GroupSize}; widths and groups must be the same.");
        }
        var grids = weight.Grids();
        var zeros = Zeros(grids, layer.A.ToArray(), layer.B.ToArray(), layer.Rank, layer.Scaling, layer.PoolingFactor);
        for (var i = 0; i < grids.Length; i++)
        {
            grids[i] = new GroupGrid(grids[i].Scale, (float)zeros[i]);
            if (!float.IsFinite(grids[i].Zero))
            {
                throw new InputException($"QALoRAMerge: the zero of output {i / weight.Groups}, group "
                    + $"{i % weight.Groups} would be {grids[i].Zero}: A and B are not finite, or the scale "
                    + $"{grids[i].Scale} is too small for them.");
            }
        }
        return grids;
    }

    /// <summary>
    /// Rounds the zeros of a weight to whole numbers from 0 to 2^bits − 1, as files with packed
    /// zeros hold them; the weight itself is not touched.
    /// </summary>
    /// <param name="weight">Ŵ</param>
    public static RoundedZeros RoundZeros(GroupQuantizedWeight weight)
    {
        var (before, grids) = (weight.Dequantize(), weight.Grids());
        var size = weight.Format.GroupSize;
        double squares = 0, errors = 0, largest = 0;
        var outside = 0;
        for (var l = 0; l < grids.Length; l++)
        {
            var (scale, zero) = (grids[l].Scale, MathF.Round(grids[l].Zero));
            var rounded = Math.Clamp(zero, 0, weight.Format.LargestCode);
            outside += rounded == zero ? 0 : 1;
            var error = Math.Abs((double)scale * (grids[l].Zero - rounded));     // of every weight of the group
            errors += size * error * error;
            largest = Math.Max(largest, error);
            grids[l] = new GroupGrid(scale, rounded);
        }
        foreach (var w in before)
        {
            squares += (double)w * w;
        }
        return new RoundedZeros(grids, Math.Sqrt(errors / squares), largest, outside);
    }
}

/// <summary>Zeros as whole numbers, and what that does to the weight.</summary>
/// <param name="Grids">[out, in/g]; <see cref="GroupQuantizedWeight.SetGrids"/> takes them.</param>
/// <param name="RelativeError">‖Ŵ′ − Ŵ‖/‖Ŵ‖, over all weights.</param>
/// <param name="LargestError">The largest change of a weight.</param>
/// <param name="Outside">
/// Groups whose zero lay outside of the codes and was moved to the nearest of them.
/// </param>
internal sealed record RoundedZeros(GroupGrid[] Grids, double RelativeError, double LargestError, int Outside);
