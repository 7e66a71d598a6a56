using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>x²</summary>
internal readonly struct Square : IFormula
{
    /// <inheritdoc/>
    public static Reads DerivativeReads => Reads.Input;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : struct, IReal<T> => x * x;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => x + x;    // (x²)′ = 2x
}
