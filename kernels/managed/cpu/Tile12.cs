using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// 12 rows by two registers: 24 accumulators, 2 registers of B and 1 of A out of the 32 of AVX-512,
/// and 24 multiply-adds for 14 loads.
/// </summary>
internal readonly unsafe struct Tile12<V, R> : ITile where V : struct where R : struct, IRegister<V>
{
    public static int Rows => 12;

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
        V y6l = default, y6r = default;
        V y7l = default, y7r = default;
        V y8l = default, y8r = default;
        V y9l = default, y9r = default;
        V y10l = default, y10r = default;
        V y11l = default, y11r = default;
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
            var a6 = R.Of(a.At(6));
            y6l = R.MultiplyAdd(a6, left, y6l);
            y6r = R.MultiplyAdd(a6, right, y6r);
            var a7 = R.Of(a.At(7));
            y7l = R.MultiplyAdd(a7, left, y7l);
            y7r = R.MultiplyAdd(a7, right, y7r);
            var a8 = R.Of(a.At(8));
            y8l = R.MultiplyAdd(a8, left, y8l);
            y8r = R.MultiplyAdd(a8, right, y8r);
            var a9 = R.Of(a.At(9));
            y9l = R.MultiplyAdd(a9, left, y9l);
            y9r = R.MultiplyAdd(a9, right, y9r);
            var a10 = R.Of(a.At(10));
            y10l = R.MultiplyAdd(a10, left, y10l);
            y10r = R.MultiplyAdd(a10, right, y10r);
            var a11 = R.Of(a.At(11));
            y11l = R.MultiplyAdd(a11, left, y11l);
            y11r = R.MultiplyAdd(a11, right, y11r);
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
        Tile.StoreRow<V, R>(y + (6 * yStride), z + (6 * zStride), y6l, y6r, factor);
        Tile.StoreRow<V, R>(y + (7 * yStride), z + (7 * zStride), y7l, y7r, factor);
        Tile.StoreRow<V, R>(y + (8 * yStride), z + (8 * zStride), y8l, y8r, factor);
        Tile.StoreRow<V, R>(y + (9 * yStride), z + (9 * zStride), y9l, y9r, factor);
        Tile.StoreRow<V, R>(y + (10 * yStride), z + (10 * zStride), y10l, y10r, factor);
        Tile.StoreRow<V, R>(y + (11 * yStride), z + (11 * zStride), y11l, y11r, factor);
    }
}
