using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// 12 rows by one register: for a product of no more columns than a register has, such as x·A of a
/// rank of 16. 12 accumulators hide the latency of the multiply-adds, and there are about as many
/// loads.
/// </summary>
internal readonly unsafe struct NarrowTile<V, R> : ITile where V : struct where R : struct, IRegister<V>
{
    public static int Rows => 12;

    public static int Columns => R.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, TLeft a, float* b, int depth,
        float scale) where TLeft : struct, ILeftPanel
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        V y0 = default, y1 = default, y2 = default, y3 = default;
        V y4 = default, y5 = default, y6 = default, y7 = default;
        V y8 = default, y9 = default, y10 = default, y11 = default;
        for (; depth > 0; depth--)
        {
            var columns = R.Load(b);            // B[k, 0 … Width)
            y0 = R.MultiplyAdd(R.Of(a.At(0)), columns, y0);
            y1 = R.MultiplyAdd(R.Of(a.At(1)), columns, y1);
            y2 = R.MultiplyAdd(R.Of(a.At(2)), columns, y2);
            y3 = R.MultiplyAdd(R.Of(a.At(3)), columns, y3);
            y4 = R.MultiplyAdd(R.Of(a.At(4)), columns, y4);
            y5 = R.MultiplyAdd(R.Of(a.At(5)), columns, y5);
            y6 = R.MultiplyAdd(R.Of(a.At(6)), columns, y6);
            y7 = R.MultiplyAdd(R.Of(a.At(7)), columns, y7);
            y8 = R.MultiplyAdd(R.Of(a.At(8)), columns, y8);
            y9 = R.MultiplyAdd(R.Of(a.At(9)), columns, y9);
            y10 = R.MultiplyAdd(R.Of(a.At(10)), columns, y10);
            y11 = R.MultiplyAdd(R.Of(a.At(11)), columns, y11);
            a.Next();
            b += Columns;
        }
        var factor = R.Of(scale);
        Tile.Store<V, R>(y, z, y0, factor);
        Tile.Store<V, R>(y + yStride, z + zStride, y1, factor);
        Tile.Store<V, R>(y + (2 * yStride), z + (2 * zStride), y2, factor);
        Tile.Store<V, R>(y + (3 * yStride), z + (3 * zStride), y3, factor);
        Tile.Store<V, R>(y + (4 * yStride), z + (4 * zStride), y4, factor);
        Tile.Store<V, R>(y + (5 * yStride), z + (5 * zStride), y5, factor);
        Tile.Store<V, R>(y + (6 * yStride), z + (6 * zStride), y6, factor);
        Tile.Store<V, R>(y + (7 * yStride), z + (7 * zStride), y7, factor);
        Tile.Store<V, R>(y + (8 * yStride), z + (8 * zStride), y8, factor);
        Tile.Store<V, R>(y + (9 * yStride), z + (9 * zStride), y9, factor);
        Tile.Store<V, R>(y + (10 * yStride), z + (10 * zStride), y10, factor);
        Tile.Store<V, R>(y + (11 * yStride), z + (11 * zStride), y11, factor);
    }
}
