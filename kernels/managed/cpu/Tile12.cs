using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <summary>12 rows by two registers: 24 accumulators, 2 registers of B and 1 of A out of the 32 of AVX-512, and 24 multiply-adds for 14 loads.</summary>
internal readonly unsafe struct Tile12<T> : ITile where T : struct, ILanes<T>
{
    public static int Rows => 12;

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
        T y6l = default, y6r = default;
        T y7l = default, y7r = default;
        T y8l = default, y8r = default;
        T y9l = default, y9r = default;
        T y10l = default, y10r = default;
        T y11l = default, y11r = default;
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
            var a6 = T.Of(a[6]);
            y6l = T.MultiplyAdd(a6, left, y6l);
            y6r = T.MultiplyAdd(a6, right, y6r);
            var a7 = T.Of(a[7]);
            y7l = T.MultiplyAdd(a7, left, y7l);
            y7r = T.MultiplyAdd(a7, right, y7r);
            var a8 = T.Of(a[8]);
            y8l = T.MultiplyAdd(a8, left, y8l);
            y8r = T.MultiplyAdd(a8, right, y8r);
            var a9 = T.Of(a[9]);
            y9l = T.MultiplyAdd(a9, left, y9l);
            y9r = T.MultiplyAdd(a9, right, y9r);
            var a10 = T.Of(a[10]);
            y10l = T.MultiplyAdd(a10, left, y10l);
            y10r = T.MultiplyAdd(a10, right, y10r);
            var a11 = T.Of(a[11]);
            y11l = T.MultiplyAdd(a11, left, y11l);
            y11r = T.MultiplyAdd(a11, right, y11r);
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
        Tile.StoreRow<T>(y + (6 * yStride), y6l, y6r, factor, accumulate);
        Tile.StoreRow<T>(y + (7 * yStride), y7l, y7r, factor, accumulate);
        Tile.StoreRow<T>(y + (8 * yStride), y8l, y8r, factor, accumulate);
        Tile.StoreRow<T>(y + (9 * yStride), y9l, y9r, factor, accumulate);
        Tile.StoreRow<T>(y + (10 * yStride), y10l, y10r, factor, accumulate);
        Tile.StoreRow<T>(y + (11 * yStride), y11l, y11r, factor, accumulate);
    }
}
