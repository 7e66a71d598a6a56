using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <summary>6 rows by two registers: 12 accumulators, 2 registers of B and 1 of A out of the 16 of AVX2.</summary>
internal readonly unsafe struct Tile6<T> : ITile where T : struct, ILanes<T>
{
    public static int Rows => 6;

    public static int Columns => 2 * T.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* y, nint yStride, float* a, float* b, int depth, float scale, bool accumulate)
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        T y0l = default, y0r = default;
        T y1l = default, y1r = default;
        T y2l = default, y2r = default;
        T y3l = default, y3r = default;
        T y4l = default, y4r = default;
        T y5l = default, y5r = default;
        for (; depth > 0; depth--)
        {
            var left = T.Load(b);               // B[k, 0 … Width)
            var right = T.Load(b + T.Width);    // B[k, Width … 2·Width)
            var a0 = T.Of(a[0]);
            y0l = T.MultiplyAdd(a0, left, y0l);
            y0r = T.MultiplyAdd(a0, right, y0r);
            var a1 = T.Of(a[1]);
            y1l = T.MultiplyAdd(a1, left, y1l);
            y1r = T.MultiplyAdd(a1, right, y1r);
            var a2 = T.Of(a[2]);
            y2l = T.MultiplyAdd(a2, left, y2l);
            y2r = T.MultiplyAdd(a2, right, y2r);
            var a3 = T.Of(a[3]);
            y3l = T.MultiplyAdd(a3, left, y3l);
            y3r = T.MultiplyAdd(a3, right, y3r);
            var a4 = T.Of(a[4]);
            y4l = T.MultiplyAdd(a4, left, y4l);
            y4r = T.MultiplyAdd(a4, right, y4r);
            var a5 = T.Of(a[5]);
            y5l = T.MultiplyAdd(a5, left, y5l);
            y5r = T.MultiplyAdd(a5, right, y5r);
            a += Rows;
            b += Columns;
        }
        var factor = T.Of(scale);
        Tile.StoreRow<T>(y, y0l, y0r, factor, accumulate);
        Tile.StoreRow<T>(y + yStride, y1l, y1r, factor, accumulate);
        Tile.StoreRow<T>(y + (2 * yStride), y2l, y2r, factor, accumulate);
        Tile.StoreRow<T>(y + (3 * yStride), y3l, y3r, factor, accumulate);
        Tile.StoreRow<T>(y + (4 * yStride), y4l, y4r, factor, accumulate);
        Tile.StoreRow<T>(y + (5 * yStride), y5l, y5r, factor, accumulate);
    }
}

/// <summary>4 rows by two registers, for machines of which no more is known.</summary>
internal readonly unsafe struct Tile4<T> : ITile where T : struct, ILanes<T>
{
    public static int Rows => 4;

    public static int Columns => 2 * T.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* y, nint yStride, float* a, float* b, int depth, float scale, bool accumulate)
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        T y0l = default, y0r = default;
        T y1l = default, y1r = default;
        T y2l = default, y2r = default;
        T y3l = default, y3r = default;
        for (; depth > 0; depth--)
        {
            var left = T.Load(b);               // B[k, 0 … Width)
            var right = T.Load(b + T.Width);    // B[k, Width … 2·Width)
            var a0 = T.Of(a[0]);
            y0l = T.MultiplyAdd(a0, left, y0l);
            y0r = T.MultiplyAdd(a0, right, y0r);
            var a1 = T.Of(a[1]);
            y1l = T.MultiplyAdd(a1, left, y1l);
            y1r = T.MultiplyAdd(a1, right, y1r);
            var a2 = T.Of(a[2]);
            y2l = T.MultiplyAdd(a2, left, y2l);
            y2r = T.MultiplyAdd(a2, right, y2r);
            var a3 = T.Of(a[3]);
            y3l = T.MultiplyAdd(a3, left, y3l);
            y3r = T.MultiplyAdd(a3, right, y3r);
            a += Rows;
            b += Columns;
        }
        var factor = T.Of(scale);
        Tile.StoreRow<T>(y, y0l, y0r, factor, accumulate);
        Tile.StoreRow<T>(y + yStride, y1l, y1r, factor, accumulate);
        Tile.StoreRow<T>(y + (2 * yStride), y2l, y2r, factor, accumulate);
        Tile.StoreRow<T>(y + (3 * yStride), y3l, y3r, factor, accumulate);
    }
}
