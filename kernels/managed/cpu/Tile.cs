using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The innermost part of a matrix product: a tile of Y that stays in registers while a panel of A
/// passes by a panel of B. The accumulators are named one by one because the JIT keeps named locals
/// in registers and arrays in memory.
/// </summary>
internal unsafe interface ITile
{
    /// <summary>Rows of the tile: the width of a packed panel of A.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of the tile: the width of a packed panel of B.</summary>
    static abstract int Columns { get; }

    /// <summary>Y = scale · A·B, or Y += scale · A·B.</summary>
    /// <param name="y">[Rows, Columns], rows <paramref name="yStride"/> apart</param>
    /// <param name="a">[depth, Rows]: a panel of A, packed column by column</param>
    /// <param name="b">[depth, Columns]: a panel of B</param>
    /// <param name="depth">The inner dimension.</param>
    static abstract void Multiply(float* y, nint yStride, float* a, float* b, int depth, float scale, bool accumulate);
}

/// <summary>What the tiles share.</summary>
internal static unsafe class Tile
{
    /// <summary>
    /// Asks for the rows of a tile before the loop over the inner dimension, so that they have come
    /// when it ends.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* y, nint yStride, int rows, int columns)
    {
        const int line = 16;   // floats
        if (Sse.IsSupported)
        {
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j += line)
                {
                    Sse.Prefetch0(y + (i * yStride) + j);
                }
            }
        }
    }

    /// <summary>y[0 … 2·Width) = factor · (left, right), or += .</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRow<V, R>(float* y, V left, V right, V factor, bool accumulate)
        where V : struct where R : struct, IRegister<V>
    {
        Store<V, R>(y, left, factor, accumulate);
        Store<V, R>(y + R.Width, right, factor, accumulate);
    }

    /// <summary>y[0 … 3·Width) = factor · (left, middle, right), or += .</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRow<V, R>(float* y, V left, V middle, V right, V factor, bool accumulate)
        where V : struct where R : struct, IRegister<V>
    {
        StoreRow<V, R>(y, left, middle, factor, accumulate);
        Store<V, R>(y + (2 * R.Width), right, factor, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, R>(float* y, V value, V factor, bool accumulate) where V : struct where R : struct,
    IRegister<V> =>
        R.Store(y, accumulate ? R.MultiplyAdd(value, factor, R.Load(y)) : R.Multiply(value, factor));
}
