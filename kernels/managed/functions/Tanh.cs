using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// tanh(x), in two pieces: an odd polynomial near 0, where a difference from 1 would lose digits,
/// and ±(1 − 2/(1 + exp(2|x|))) elsewhere. The relative error is at most 1e-6.
/// </summary>
internal readonly struct Tanh : IFormula
{
    private const float Near = 0.55f;

    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Output;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T>
    {
        var square = x * x;
        // tanh(x) = x + x³·P(x²), P minimax in the relative error of tanh (1.1e-9) over |x| ≤ 0.55.
        var p = Polynomial.Of(square, -0.333333194f, 0.133326367f, -0.0538568422f, 0.0210882351f, -0.00629548542f);
        var near = T.MultiplyAdd(x * square, p, x);
        var z = T.Abs(x);
        var far = T.One - T.Of(2f) / (T.One + Exponential.Value(z + z));
        return T.Select(T.Less(z, T.Of(Near)), near, T.Select(T.Less(x, T.Of(0f)), -far, far));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => T.One - y * y;    // tanh′ = 1 − tanh²
}
