using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// eˣ. With n = round(x / ln 2) and r = x − n·ln 2, so that |r| ≤ ½ ln 2, eˣ = 2ⁿ·eʳ, and eʳ is a
/// polynomial. +∞ above 88.73, denormals below −87.34, 0 below −103.98. The relative error is at
/// most 1e-6 where the result is a normal float.
/// </summary>
internal readonly struct Exponential : IFormula
{
    private const float Log2OfE = 1.44269504f;              // 1 / ln 2
    // the first 15 bits of ln 2: n·Ln2High is exact for |n| < 512, fused or not
    private const float Ln2High = 22713f / 32768f;
    private const float Ln2Low = 1.42860677e-6f;            // ln 2 − Ln2High
    private const float Lowest = -104f, Highest = 89f;      // beyond them the result has settled at 0 and +∞

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Output;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T>
    {
        x = T.Max(T.Of(Lowest), T.Min(T.Of(Highest), x));   // x comes second: a NaN passes
        var n = T.Round(x * T.Of(Log2OfE));
        var r = T.MultiplyAdd(n, T.Of(-Ln2Low), T.MultiplyAdd(n, T.Of(-Ln2High), x));
        // eʳ = 1 + r + r²·P(r), P minimax in the relative error of eʳ (3.3e-9) over |r| ≤ ½ ln 2.
        var p = Polynomial.Of(r, 0.49999994f, 0.166665152f, 0.0416680835f, 0.00836934987f, 0.00138404302f);
        return T.ScaleByPowerOfTwo(T.One + T.MultiplyAdd(p, r * r, r), n);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => y;    // (eˣ)′ = eˣ
}
