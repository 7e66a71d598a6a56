using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// The logistic function σ(x) = 1/(1 + exp(−x)). The absolute error is at most 1e-6.
/// </summary>
internal readonly struct Sigmoid : IFormula
{
    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Output;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T> => T.One / (T.One + Exponential.Value(-x));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => y * (T.One - y);     // σ′ = σ·(1 − σ)
}
