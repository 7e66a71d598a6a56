using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// The scale and the zero of one group: w ≈ α·(q − ζ) with whole q from 0 to Q = 2^bits − 1.
/// <para>
/// The widest grid that makes sense reaches from the smallest to the largest weight, α = (max −
/// min)/Q. One outlier then coarsens it for all others, and it is better to let the outlier be
/// clipped: the grid is shrunk about its middle in small steps. For each the codes are assigned,
/// and then, with the codes fixed, α and β = −α·ζ are the line through the points (q, w) with the
/// least squared error,
/// </para>
/// <code>α = Σ (q − q̄)(w − w̄) / Σ (q − q̄)²,   β = w̄ − α·q̄</code>
/// <para>
/// after which the codes are assigned anew. Of all that the grid with the least Σ (w − ŵ)² is
/// taken, ŵ computed in float32 as the kernels do.
/// </para>
/// </summary>
internal static class GroupRounding
{
    private const int Shrinkings = 24;
    private const double SmallestShare = 0.4;       // of the widest grid, at the last step

    /// <summary>The code that is nearest to a weight.</summary>
    /// <param name="weight">w</param>
    /// <param name="grid">α and ζ</param>
    /// <param name="largestCode">Q</param>
    public static byte Code(double weight, GroupGrid grid, int largestCode) =>
        (byte)Math.Clamp(Math.Round(weight / grid.Scale + grid.Zero), 0, largestCode);

    /// <summary>The best grid found for a group.</summary>
    /// <param name="weights">Finite numbers.</param>
    /// <param name="largestCode">Q</param>
    public static GroupGrid BestGrid(ReadOnlySpan<double> weights, int largestCode)
    {
        var (smallest, largest) = (double.PositiveInfinity, double.NegativeInfinity);
        foreach (var weight in weights)
        {
            (smallest, largest) = (Math.Min(smallest, weight), Math.Max(largest, weight));
        }
        if (!float.IsNormal((float)((largest - smallest) / largestCode)))
        {
            return Constant((float)smallest);
        }
        Span<byte> codes = stackalloc byte[weights.Length];
        var (best, leastError) = (Constant((float)smallest), double.PositiveInfinity);
        for (var step = 0; step < Shrinkings; step++)
        {
            var share = 1 - (1 - SmallestShare) * step / (Shrinkings - 1);
            var scale = share * (largest - smallest) / largestCode;
            var lowest = (smallest + largest) / 2 - share * (largest - smallest) / 2;
            var shrunk = new GroupGrid((float)scale, (float)(-lowest / scale));
            Take(shrunk, Assign(weights, shrunk, largestCode, codes), ref best, ref leastError);
            if (LeastSquares(weights, codes) is { } fitted)
            {
                Take(fitted, Assign(weights, fitted, largestCode, codes), ref best, ref leastError);
            }
        }
        return best;
    }

    /// <summary>Gives each weight the nearest code; returns Σ (w − ŵ)².</summary>
    /// <param name="weights">[g]</param>
    /// <param name="grid">α and ζ</param>
    /// <param name="largestCode">Q</param>
    /// <param name="codes">[g], overwritten</param>
    public static double Assign(ReadOnlySpan<double> weights, GroupGrid grid, int largestCode, Span<byte> codes)
    {
        var sum = 0.0;
        for (var i = 0; i < weights.Length; i++)
        {
            codes[i] = Code(weights[i], grid, largestCode);
            var error = weights[i] - grid.Value(codes[i]);
            sum += error * error;
        }
        return sum;
    }

    /// <summary>The line through the points (q, w), or null where all codes are the same.</summary>
    private static GroupGrid? LeastSquares(ReadOnlySpan<double> weights, ReadOnlySpan<byte> codes)
    {
        double sumQ = 0, sumW = 0, sumQQ = 0, sumQW = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            double q = codes[i], w = weights[i];
            (sumQ, sumW, sumQQ, sumQW) = (sumQ + q, sumW + w, sumQQ + q * q, sumQW + q * w);
        }
        var n = weights.Length;
        var scale = (float)((n * sumQW - sumQ * sumW) / (n * sumQQ - sumQ * sumQ));
        // β = w̄ − α·q̄, ζ = −β/α = q̄ − w̄/α
        return float.IsNormal(scale) ? new(scale, (float)((sumQ - sumW / scale) / n)) : null;
    }

    /// <summary>All weights are the same: one code, which stands for exactly that number.</summary>
    private static GroupGrid Constant(float weight) =>
        weight == 0 || !float.IsNormal(weight) ? new(1, -weight) : new(Math.Abs(weight), weight > 0 ? -1 : 1);

    private static void Take(GroupGrid grid, double error, ref GroupGrid best, ref double leastError)
    {
        if (error < leastError)
        {
            (best, leastError) = (grid, error);
        }
    }
}
