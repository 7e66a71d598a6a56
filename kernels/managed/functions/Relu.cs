using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>max(0, x), with derivative 0 at 0.</summary>
internal readonly struct Relu : IFormula
{
    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Output;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T> => T.Max(T.Of(0f), x);     // x comes second: a NaN passes

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> =>
    T.Select(T.Less(T.Of(0f), y), T.One, T.Of(0f));
}
