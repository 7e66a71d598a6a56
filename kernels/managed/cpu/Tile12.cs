using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>12 rows by two registers: 24 accumulators, 2 registers of B and 1 of A out of the 32 of AVX-512, and 24 multiply-adds for 14 loads.</summary>
internal readonly unsafe struct Tile12<TRegisters, TRegister> : ITile where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
{
    public static int Rows => 12;

    public static int Columns => 2 * TRegisters.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* y, nint yStride, float* a, float* b, int depth, float scale, bool accumulate)
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        TRegister y0l = default, y0r = default;
        TRegister y1l = default, y1r = default;
        TRegister y2l = default, y2r = default;
        TRegister y3l = default, y3r = default;
        TRegister y4l = default, y4r = default;
        TRegister y5l = default, y5r = default;
        TRegister y6l = default, y6r = default;
        TRegister y7l = default, y7r = default;
        TRegister y8l = default, y8r = default;
        TRegister y9l = default, y9r = default;
        TRegister y10l = default, y10r = default;
        TRegister y11l = default, y11r = default;
        for (; depth > 0; depth--)
        {
            var left = TRegisters.Load(b);                        // B[k, 0 … Width)
            var right = TRegisters.Load(b + TRegisters.Width);    // B[k, Width … 2·Width)
            var a0 = TRegisters.Broadcast(a[0]);
            y0l = TRegisters.MultiplyAdd(a0, left, y0l);
            y0r = TRegisters.MultiplyAdd(a0, right, y0r);
            var a1 = TRegisters.Broadcast(a[1]);
            y1l = TRegisters.MultiplyAdd(a1, left, y1l);
            y1r = TRegisters.MultiplyAdd(a1, right, y1r);
            var a2 = TRegisters.Broadcast(a[2]);
            y2l = TRegisters.MultiplyAdd(a2, left, y2l);
            y2r = TRegisters.MultiplyAdd(a2, right, y2r);
            var a3 = TRegisters.Broadcast(a[3]);
            y3l = TRegisters.MultiplyAdd(a3, left, y3l);
            y3r = TRegisters.MultiplyAdd(a3, right, y3r);
            var a4 = TRegisters.Broadcast(a[4]);
            y4l = TRegisters.MultiplyAdd(a4, left, y4l);
            y4r = TRegisters.MultiplyAdd(a4, right, y4r);
            var a5 = TRegisters.Broadcast(a[5]);
            y5l = TRegisters.MultiplyAdd(a5, left, y5l);
            y5r = TRegisters.MultiplyAdd(a5, right, y5r);
            var a6 = TRegisters.Broadcast(a[6]);
            y6l = TRegisters.MultiplyAdd(a6, left, y6l);
            y6r = TRegisters.MultiplyAdd(a6, right, y6r);
            var a7 = TRegisters.Broadcast(a[7]);
            y7l = TRegisters.MultiplyAdd(a7, left, y7l);
            y7r = TRegisters.MultiplyAdd(a7, right, y7r);
            var a8 = TRegisters.Broadcast(a[8]);
            y8l = TRegisters.MultiplyAdd(a8, left, y8l);
            y8r = TRegisters.MultiplyAdd(a8, right, y8r);
            var a9 = TRegisters.Broadcast(a[9]);
            y9l = TRegisters.MultiplyAdd(a9, left, y9l);
            y9r = TRegisters.MultiplyAdd(a9, right, y9r);
            var a10 = TRegisters.Broadcast(a[10]);
            y10l = TRegisters.MultiplyAdd(a10, left, y10l);
            y10r = TRegisters.MultiplyAdd(a10, right, y10r);
            var a11 = TRegisters.Broadcast(a[11]);
            y11l = TRegisters.MultiplyAdd(a11, left, y11l);
            y11r = TRegisters.MultiplyAdd(a11, right, y11r);
            a += Rows;
            b += Columns;
        }
        var factor = TRegisters.Broadcast(scale);
        Tile.StoreRow<TRegisters, TRegister>(y, y0l, y0r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + yStride, y1l, y1r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (2 * yStride), y2l, y2r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (3 * yStride), y3l, y3r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (4 * yStride), y4l, y4r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (5 * yStride), y5l, y5r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (6 * yStride), y6l, y6r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (7 * yStride), y7l, y7r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (8 * yStride), y8l, y8r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (9 * yStride), y9l, y9r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (10 * yStride), y10l, y10r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (11 * yStride), y11l, y11r, factor, accumulate);
    }
}
