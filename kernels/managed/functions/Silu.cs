using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>SiLU, also called swish: x·σ(x) with the logistic function σ.</summary>
internal readonly struct Silu : IFormula
{
    private const float Settled = 105f;     // beyond ±105 σ(x) is 0 or 1 in float32; keeps ∞·0 away

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T> => T.Max(T.Of(-Settled), x) * Sigmoid.Value(x);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T>                          // σ + x·σ·(1 − σ)
    {
        var sigmoid = Sigmoid.Value(x);
        var bounded = T.Max(T.Of(-Settled), T.Min(T.Of(Settled), x));
        return T.MultiplyAdd(bounded * sigmoid, T.One - sigmoid, sigmoid);
    }
}
