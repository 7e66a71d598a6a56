using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// Polynomials with constant coefficients by Horner's rule, lowest power first: c₀ + x·(c₁ + x·(c₂
/// + …)).
/// </summary>
internal static class Polynomial
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Of<T>(T x, float c0, float c1, float c2, float c3) where T : struct, IReal<T> =>
        T.MultiplyAdd(T.MultiplyAdd(T.MultiplyAdd(T.Of(c3), x, T.Of(c2)), x, T.Of(c1)), x, T.Of(c0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Of<T>(T x, float c0, float c1, float c2, float c3, float c4) where T : struct, IReal<T> =>
        T.MultiplyAdd(Of(x, c1, c2, c3, c4), x, T.Of(c0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Of<T>(T x, float c0, float c1, float c2, float c3, float c4, float c5, float c6) where T : struct,
    IReal<T> =>
        T.MultiplyAdd(T.MultiplyAdd(Of(x, c2, c3, c4, c5, c6), x, T.Of(c1)), x, T.Of(c0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Of<T>(T x, float c0, float c1, float c2, float c3, float c4, float c5, float c6, float c7)
    where T : struct, IReal<T> =>
        T.MultiplyAdd(Of(x, c1, c2, c3, c4, c5, c6, c7), x, T.Of(c0));
}
