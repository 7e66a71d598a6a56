using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>6 rows by two registers: 12 accumulators, 2 registers of B and 1 of A out of the 16 of AVX2.</summary>
internal readonly unsafe struct Tile6<TRegisters, TRegister> : ITile where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
{
    public static int Rows => 6;

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
    }
}

/// <summary>4 rows by two registers, for machines of which no more is known.</summary>
internal readonly unsafe struct Tile4<TRegisters, TRegister> : ITile where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
{
    public static int Rows => 4;

    public static int Columns => 2 * TRegisters.Width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* y, nint yStride, float* a, float* b, int depth, float scale, bool accumulate)
    {
        Tile.Prefetch(y, yStride, Rows, Columns);
        TRegister y0l = default, y0r = default;
        TRegister y1l = default, y1r = default;
        TRegister y2l = default, y2r = default;
        TRegister y3l = default, y3r = default;
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
            a += Rows;
            b += Columns;
        }
        var factor = TRegisters.Broadcast(scale);
        Tile.StoreRow<TRegisters, TRegister>(y, y0l, y0r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + yStride, y1l, y1r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (2 * yStride), y2l, y2r, factor, accumulate);
        Tile.StoreRow<TRegisters, TRegister>(y + (3 * yStride), y3l, y3r, factor, accumulate);
    }
}
