using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// 6 rows by two registers: 12 accumulators, 2 registers of B and 1 of A out of the 16 of AVX2.
/// </summary>
internal readonly unsafe struct Tile6<V, R> : ITile where V : struct where R : struct, IRegister<V>
{
    public static int Rows => 6;

    public static int Columns => 2 * R.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, TLeft a, float* b, int depth,
        float scale) where TLeft : struct, ILeftPanel
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        V y0l = default, y0r = default;
        V y1l = default, y1r = default;
        V y2l = default, y2r = default;
        V y3l = default, y3r = default;
        V y4l = default, y4r = default;
        V y5l = default, y5r = default;
        for (; depth > 0; depth--)
        {
            var left = R.Load(b);               // B[k, 0 … Width)
            var right = R.Load(b + R.Width);    // B[k, Width … 2·Width)
            var a0 = R.Of(a.At(0));
            y0l = R.MultiplyAdd(a0, left, y0l);
            y0r = R.MultiplyAdd(a0, right, y0r);
            var a1 = R.Of(a.At(1));
            y1l = R.MultiplyAdd(a1, left, y1l);
            y1r = R.MultiplyAdd(a1, right, y1r);
            var a2 = R.Of(a.At(2));
            y2l = R.MultiplyAdd(a2, left, y2l);
            y2r = R.MultiplyAdd(a2, right, y2r);
            var a3 = R.Of(a.At(3));
            y3l = R.MultiplyAdd(a3, left, y3l);
            y3r = R.MultiplyAdd(a3, right, y3r);
            var a4 = R.Of(a.At(4));
            y4l = R.MultiplyAdd(a4, left, y4l);
            y4r = R.MultiplyAdd(a4, right, y4r);
            var a5 = R.Of(a.At(5));
            y5l = R.MultiplyAdd(a5, left, y5l);
            y5r = R.MultiplyAdd(a5, right, y5r);
            a.Next();
            b += Columns;
        }
        var factor = R.Of(scale);
        Tile.StoreRow<V, R>(y, z, y0l, y0r, factor);
        Tile.StoreRow<V, R>(y + yStride, z + zStride, y1l, y1r, factor);
        Tile.StoreRow<V, R>(y + (2 * yStride), z + (2 * zStride), y2l, y2r, factor);
        Tile.StoreRow<V, R>(y + (3 * yStride), z + (3 * zStride), y3l, y3r, factor);
        Tile.StoreRow<V, R>(y + (4 * yStride), z + (4 * zStride), y4l, y4r, factor);
        Tile.StoreRow<V, R>(y + (5 * yStride), z + (5 * zStride), y5l, y5r, factor);
    }
}

/// <summary>4 rows by two registers, for machines of which no more is known.</summary>
internal readonly unsafe struct Tile4<V, R> : ITile where V : struct where R : struct, IRegister<V>
{
    public static int Rows => 4;

    public static int Columns => 2 * R.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, TLeft a, float* b, int depth,
        float scale) where TLeft : struct, ILeftPanel
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        V y0l = default, y0r = default;
        V y1l = default, y1r = default;
        V y2l = default, y2r = default;
        V y3l = default, y3r = default;
        for (; depth > 0; depth--)
        {
            var left = R.Load(b);               // B[k, 0 … Width)
            var right = R.Load(b + R.Width);    // B[k, Width … 2·Width)
            var a0 = R.Of(a.At(0));
            y0l = R.MultiplyAdd(a0, left, y0l);
            y0r = R.MultiplyAdd(a0, right, y0r);
            var a1 = R.Of(a.At(1));
            y1l = R.MultiplyAdd(a1, left, y1l);
            y1r = R.MultiplyAdd(a1, right, y1r);
            var a2 = R.Of(a.At(2));
            y2l = R.MultiplyAdd(a2, left, y2l);
            y2r = R.MultiplyAdd(a2, right, y2r);
            var a3 = R.Of(a.At(3));
            y3l = R.MultiplyAdd(a3, left, y3l);
            y3r = R.MultiplyAdd(a3, right, y3r);
            a.Next();
            b += Columns;
        }
        var factor = R.Of(scale);
        Tile.StoreRow<V, R>(y, z, y0l, y0r, factor);
        Tile.StoreRow<V, R>(y + yStride, z + zStride, y1l, y1r, factor);
        Tile.StoreRow<V, R>(y + (2 * yStride), z + (2 * zStride), y2l, y2r, factor);
        Tile.StoreRow<V, R>(y + (3 * yStride), z + (3 * zStride), y3l, y3r, factor);
    }
}
