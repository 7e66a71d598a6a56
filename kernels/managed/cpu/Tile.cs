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

    /// <summary>Y = Z + scale · A·B, or without Z.</summary>
    /// <param name="y">[Rows, Columns], rows <paramref name="yStride"/> apart</param>
    /// <param name="yStride">Elements between rows of y.</param>
    /// <param name="z">[Rows, Columns]; null: none, with a stride of 0</param>
    /// <param name="zStride">Elements between rows of z.</param>
    /// <param name="a">[Rows, depth]</param>
    /// <param name="b">[depth, Columns]: a panel of B</param>
    /// <param name="depth">The inner dimension.</param>
    static abstract void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, TLeft a, float* b, int depth,
        float scale) where TLeft : struct, ILeftPanel;
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
        if (Sse.IsSupported)
        {
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j += CacheLine.Floats)
                {
                    Sse.Prefetch0(y + (i * yStride) + j);
                }
            }
        }
    }

    /// <summary>y[0 … Width) = z + factor · value, or without z where that is null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<V, R>(float* y, float* z, V value, V factor) where V : struct
        where R : struct, IRegister<V> =>
        R.Store(y, z == null ? R.Multiply(value, factor) : R.MultiplyAdd(value, factor, R.Load(z)));

    /// <summary>y[0 … 2·Width) = z + factor · (left, right), or without z.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRow<V, R>(float* y, float* z, V left, V right, V factor)
        where V : struct where R : struct, IRegister<V>
    {
        if (z == null)
        {
            R.Store(y, R.Multiply(left, factor));
            R.Store(y + R.Width, R.Multiply(right, factor));
        }
        else
        {
            R.Store(y, R.MultiplyAdd(left, factor, R.Load(z)));
            R.Store(y + R.Width, R.MultiplyAdd(right, factor, R.Load(z + R.Width)));
        }
    }

    /// <summary>y[0 … 3·Width) = z + factor · (left, middle, right), or without z.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRow<V, R>(float* y, float* z, V left, V middle, V right, V factor)
        where V : struct where R : struct, IRegister<V>
    {
        StoreRow<V, R>(y, z, left, middle, factor);
        if (z == null)
        {
            R.Store(y + (2 * R.Width), R.Multiply(right, factor));
        }
        else
        {
            R.Store(y + (2 * R.Width), R.MultiplyAdd(right, factor, R.Load(z + (2 * R.Width))));
        }
    }
}
