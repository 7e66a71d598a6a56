using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// The error function erf(x) = 2/√π · ∫₀ˣ exp(−t²) dt, in two pieces: x·P(x²) near 0, where a
/// difference from 1 would lose digits, and ±(1 − exp(−x²)·erfcx(|x|)) elsewhere. The relative
/// error is at most 1e-6.
/// </summary>
internal readonly struct Erf : IFormula
{
    private const float TwoOverRootPi = 1.12837917f;        // 2/√π
    private const float Near = 0.5f;

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T>
    {
        var square = x * x;
        // erf(x)/x, minimax in x² over |x| ≤ ½ (1.5e-9 before its coefficients were rounded, 6.1e-8 after).
        var near = x * Polynomial.Of(square, 1.12837911f, -0.376118451f, 0.112674639f, -0.0257704966f, 0.00273956149f);
        var z = T.Abs(x);
        var far = T.One - Exponential.Value(-square) * ScaledComplement(z);
        return T.Select(T.Less(z, T.Of(Near)), near, T.Select(T.Less(x, T.Of(0f)), -far, far));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    // erf′ = 2/√π · exp(−x²)
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> =>
    T.Of(TwoOverRootPi) * Exponential.Value(-(x * x));

    /// <summary>
    /// erfcx(z) = exp(z²)·(1 − erf(z)) for z ≥ 0: the slowly falling factor of the Gaussian tail.
    /// As a function of t = 1/(1 + z·43/128) it is t times a polynomial, minimax over all z ≥ 0 in
    /// the absolute error of exp(−z²)·erfcx(z) (2.9e-8; its relative error is at most 1e-5).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T ScaledComplement<T>(T z) where T : struct, IReal<T>
    {
        var t = T.One / T.MultiplyAdd(z, T.Of(43f / 128f), T.One);
        return t * Polynomial.Of(t, 0.189530998f, 0.189493939f, 0.180945322f, 0.135518461f, 0.224658325f, -0.129492164f,
            0.315638512f, -0.106293418f);
    }
}
