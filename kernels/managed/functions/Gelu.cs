using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// The exact GELU of Hendrycks and Gimpel, x·Φ(x), with Φ(x) = ½·(1 + erf(x/√2)) the normal
/// distribution. Φ is taken from its smaller tail, so that the result keeps its digits where 1 +
/// erf would cancel. The absolute error is at most 1e-6.
/// </summary>
internal readonly struct Gelu : IFormula
{
    private const float RootHalf = 0.707106781f;            // 1/√2
    private const float InverseRootTwoPi = 0.398942280f;    // 1/√(2π)
    // beyond ±15 the tail of Φ and x·φ(x) are 0 in float32; keeps ∞·0 away
    private const float Settled = 15f;

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    // x·Φ(x)
    public static T Value<T>(T x) where T : struct, IReal<T> => T.Max(T.Of(-Settled), x) * Normal(x, Bell(x));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    // Φ(x) + x·φ(x)
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T>
    {
        var bell = Bell(x);
        var bounded = T.Max(T.Of(-Settled), T.Min(T.Of(Settled), x));
        return T.MultiplyAdd(bounded * T.Of(InverseRootTwoPi), bell, Normal(x, bell));
    }

    /// <summary>exp(−x²/2) = √(2π)·φ(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Bell<T>(T x) where T : struct, IReal<T> => Exponential.Value(x * x * T.Of(-0.5f));

    /// <summary>
    /// Φ(x) for bell = exp(−x²/2): the tail is Φ(−|x|) = ½·exp(−x²/2)·erfcx(|x|/√2), and Φ(|x|) = 1
    /// − tail.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Normal<T>(T x, T bell) where T : struct, IReal<T>
    {
        var tail = T.Of(0.5f) * bell * Erf.ScaledComplement(T.Abs(x) * T.Of(RootHalf));
        return T.Select(T.Less(x, T.Of(0f)), tail, T.One - tail);
    }
}
