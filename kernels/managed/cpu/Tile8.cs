using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// 8 rows by three registers: 24 accumulators, 3 registers of B and 1 of A out of the 32 of
/// AVX-512, and 24 multiply-adds for 11 loads. That is three loads fewer than a
/// <see cref="Tile12{V, R}"/> takes, which tells where another thread shares the core.
/// </summary>
internal readonly unsafe struct Tile8<V, R> : ITile where V : struct where R : struct, IRegister<V>
{
    public static int Rows => 8;

    public static int Columns => 3 * R.Width;

    /// <summary>
    /// Whether a product of so many columns is faster with this tile: the zeros beside its last
    /// columns must not cost what the loads save, about 4 %.
    /// </summary>
    public static bool Suits(int columns) =>
        31 * Panels.Length(columns, Columns, depth: 1) <= 32 * Panels.Length(columns, Tile12<V, R>.Columns, depth: 1);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, TLeft a, float* b, int depth,
        float scale) where TLeft : struct, ILeftPanel
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        V y0l = default, y0m = default, y0r = default;
        V y1l = default, y1m = default, y1r = default;
        V y2l = default, y2m = default, y2r = default;
        V y3l = default, y3m = default, y3r = default;
        V y4l = default, y4m = default, y4r = default;
        V y5l = default, y5m = default, y5r = default;
        V y6l = default, y6m = default, y6r = default;
        V y7l = default, y7m = default, y7r = default;
        for (; depth > 0; depth--)
        {
            var left = R.Load(b);                     // B[k, 0 … Width)
            var middle = R.Load(b + R.Width);         // B[k, Width … 2·Width)
            var right = R.Load(b + (2 * R.Width));    // B[k, 2·Width … 3·Width)
            var a0 = R.Of(a.At(0));
            y0l = R.MultiplyAdd(a0, left, y0l);
            y0m = R.MultiplyAdd(a0, middle, y0m);
            y0r = R.MultiplyAdd(a0, right, y0r);
            var a1 = R.Of(a.At(1));
            y1l = R.MultiplyAdd(a1, left, y1l);
            y1m = R.MultiplyAdd(a1, middle, y1m);
            y1r = R.MultiplyAdd(a1, right, y1r);
            var a2 = R.Of(a.At(2));
            y2l = R.MultiplyAdd(a2, left, y2l);
            y2m = R.MultiplyAdd(a2, middle, y2m);
            y2r = R.MultiplyAdd(a2, right, y2r);
            var a3 = R.Of(a.At(3));
            y3l = R.MultiplyAdd(a3, left, y3l);
            y3m = R.MultiplyAdd(a3, middle, y3m);
            y3r = R.MultiplyAdd(a3, right, y3r);
            var a4 = R.Of(a.At(4));
            y4l = R.MultiplyAdd(a4, left, y4l);
            y4m = R.MultiplyAdd(a4, middle, y4m);
            y4r = R.MultiplyAdd(a4, right, y4r);
            var a5 = R.Of(a.At(5));
            y5l = R.MultiplyAdd(a5, left, y5l);
            y5m = R.MultiplyAdd(a5, middle, y5m);
            y5r = R.MultiplyAdd(a5, right, y5r);
            var a6 = R.Of(a.At(6));
            y6l = R.MultiplyAdd(a6, left, y6l);
            y6m = R.MultiplyAdd(a6, middle, y6m);
            y6r = R.MultiplyAdd(a6, right, y6r);
            var a7 = R.Of(a.At(7));
            y7l = R.MultiplyAdd(a7, left, y7l);
            y7m = R.MultiplyAdd(a7, middle, y7m);
            y7r = R.MultiplyAdd(a7, right, y7r);
            a.Next();
            b += Columns;
        }
        var factor = R.Of(scale);
        Tile.StoreRow<V, R>(y, z, y0l, y0m, y0r, factor);
        Tile.StoreRow<V, R>(y + yStride, z + zStride, y1l, y1m, y1r, factor);
        Tile.StoreRow<V, R>(y + (2 * yStride), z + (2 * zStride), y2l, y2m, y2r, factor);
        Tile.StoreRow<V, R>(y + (3 * yStride), z + (3 * zStride), y3l, y3m, y3r, factor);
        Tile.StoreRow<V, R>(y + (4 * yStride), z + (4 * zStride), y4l, y4m, y4r, factor);
        Tile.StoreRow<V, R>(y + (5 * yStride), z + (5 * zStride), y5l, y5m, y5r, factor);
        Tile.StoreRow<V, R>(y + (6 * yStride), z + (6 * zStride), y6l, y6m, y6r, factor);
        Tile.StoreRow<V, R>(y + (7 * yStride), z + (7 * zStride), y7l, y7m, y7r, factor);
    }
}
