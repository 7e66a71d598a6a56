using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// Softplus: log(1 + eˣ), the integral of the logistic function σ. The relative error is at most
/// 1e-6.
/// </summary>
internal readonly struct Softplus : IFormula
{
    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T>                    // max(x, 0) + log(1 + e⁻|ˣ|)
    {
        // log(1 + e) = 2·artanh(z) with z = e/(2 + e) ≤ 1/3: the series is short, and loses no digit of a small e
        var e = Exponential.Value(-T.Abs(x));
        var z = e / (T.Of(2) + e);
        var series = Polynomial.Of(z * z, 1, 1f / 3, 1f / 5, 1f / 7, 1f / 9, 1f / 11, 1f / 13, 1f / 15);
        return T.MultiplyAdd(z + z, series, T.Max(T.Of(0), x));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => Sigmoid.Value(x);
}
