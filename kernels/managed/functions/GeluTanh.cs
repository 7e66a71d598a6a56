using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// GELU with Hendrycks and Gimpel's approximation of the normal distribution, x·½·(1 + tanh u) with
/// u = √(2/π)·(x + 0.044715·x³); written as x·σ(2u), which is the same and keeps the digits that
/// 1 + tanh would cancel. The absolute error is at most 1e-6.
/// </summary>
internal readonly struct GeluTanh : IFormula
{
    private const float Slope = 1.59576912f;                // 2·√(2/π)
    private const float Cubic = 0.0713548163f;              // 2·√(2/π)·0.044715
    // beyond ±15 the value is 0 or x in float32; keeps ∞·0 away
    private const float Settled = 15f;

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    // x·σ(2u)
    public static T Value<T>(T x) where T : struct, IReal<T> =>
        T.Max(T.Of(-Settled), x) * Sigmoid.Value(Twice(Bounded(x)));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    // σ + x·σ·(1 − σ)·2u′
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T>
    {
        var bounded = Bounded(x);
        var z = Twice(bounded);
        // σ(|z|) = 1/(1 + e) and 1 − σ(|z|) = e/(1 + e): a difference from 1 would lose digits that x·u′ makes large
        var e = Exponential.Value(-T.Abs(z));
        var larger = T.One / (T.One + e);
        var smaller = e * larger;
        var slope = T.MultiplyAdd(bounded * bounded, T.Of(3 * Cubic), T.Of(Slope));     // 2u′
        return T.MultiplyAdd(bounded * larger * smaller, slope, T.Select(T.Less(z, T.Of(0f)), smaller, larger));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Bounded<T>(T x) where T : struct, IReal<T> =>
        T.Max(T.Of(-Settled), T.Min(T.Of(Settled), x));

    /// <summary>2u = x·(2√(2/π) + 2√(2/π)·0.044715·x²)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Twice<T>(T x) where T : struct, IReal<T> =>
        x * T.MultiplyAdd(x * x, T.Of(Cubic), T.Of(Slope));
}
