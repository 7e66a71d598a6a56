using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>A matrix copied into its transpose, block by block in registers.</summary>
internal static unsafe class Transposition
{
    private const int Line = CacheLine.Floats;

    /// <summary>target[j, i] = source[i, j]</summary>
    /// <param name="target">[columns, rows]</param>
    /// <param name="targetStride">Elements between rows of the target.</param>
    /// <param name="source">[rows, columns]</param>
    /// <param name="sourceStride">Elements between rows of the source.</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    public static void Run(float* target, nint targetStride, float* source, nint sourceStride, int rows, int columns)
    {
        var i = 0;
        if (Avx512F.IsSupported)
        {
            var whole = columns / Line * Line;
            for (; i <= rows - Line; i += Line)
            {
                for (var j = 0; j < whole; j += Line)
                {
                    Sixteen(target + (j * targetStride) + i, targetStride, source + (i * sourceStride) + j,
                        sourceStride);
                }
                for (var four = i; whole < columns && four < i + Line; four += 4)
                {
                    FourRows(target + (whole * targetStride) + four, targetStride,
                        source + (four * sourceStride) + whole, sourceStride, columns - whole);
                }
            }
        }
        if (rows < 4)
        {
            for (; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    target[(j * targetStride) + i] = source[(i * sourceStride) + j];
                }
            }
            return;
        }
        for (; i < rows; i += 4)
        {
            i = Math.Min(i, rows - 4);   // the last four may overlap the ones before
            FourRows(target + i, targetStride, source + (i * sourceStride), sourceStride, columns);
        }
    }

    /// <summary>Writes the transposed 4 × 4 block of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Four(Vector128<float> row0, Vector128<float> row1, Vector128<float> row2, Vector128<float> row3,
        float* target, nint stride)
    {
        if (Sse2.IsSupported)
        {
            var low01 = Sse.UnpackLow(row0, row1).AsDouble();      // 00 10 01 11
            var low23 = Sse.UnpackLow(row2, row3).AsDouble();      // 20 30 21 31
            var high01 = Sse.UnpackHigh(row0, row1).AsDouble();    // 02 12 03 13
            var high23 = Sse.UnpackHigh(row2, row3).AsDouble();    // 22 32 23 33
            Sse2.UnpackLow(low01, low23).AsSingle().Store(target);                       // 00 10 20 30
            Sse2.UnpackHigh(low01, low23).AsSingle().Store(target + stride);             // 01 11 21 31
            Sse2.UnpackLow(high01, high23).AsSingle().Store(target + (2 * stride));      // 02 12 22 32
            Sse2.UnpackHigh(high01, high23).AsSingle().Store(target + (3 * stride));     // 03 13 23 33
        }
        else
        {
            Vector128.Create(row0[0], row1[0], row2[0], row3[0]).Store(target);
            Vector128.Create(row0[1], row1[1], row2[1], row3[1]).Store(target + stride);
            Vector128.Create(row0[2], row1[2], row2[2], row3[2]).Store(target + (2 * stride));
            Vector128.Create(row0[3], row1[3], row2[3], row3[3]).Store(target + (3 * stride));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows(float* target, nint targetStride, float* row0, nint sourceStride, int columns)
    {
        var row1 = row0 + sourceStride;
        var row2 = row1 + sourceStride;
        var row3 = row2 + sourceStride;
        var j = 0;
        for (; j <= columns - 4; j += 4)
        {
            // the next four rows, a cache line of one in each step: the hardware foresees long runs and not the short
            // pieces of rows that packing reads, and any address will do
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(row0 + ((4 + (j / 4 % 4)) * sourceStride) + j);
            }
            Four(Vector128.Load(row0 + j), Vector128.Load(row1 + j), Vector128.Load(row2 + j),
                Vector128.Load(row3 + j), target, targetStride);
            target += 4 * targetStride;
        }
        for (; j < columns; j++)
        {
            target[0] = row0[j];
            target[1] = row1[j];
            target[2] = row2[j];
            target[3] = row3[j];
            target += targetStride;
        }
    }

    /// <summary>
    /// 16 × 16: by pairs of rows and by fours within the quarters of a register, as
    /// <see cref="Four"/>, and then the quarters themselves, 4 × 4 of them.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sixteen(float* target, nint targetStride, float* source, nint sourceStride)
    {
        FourLines(source, sourceStride, out var a0, out var a1, out var a2, out var a3);
        FourLines(source + (4 * sourceStride), sourceStride, out var b0, out var b1, out var b2, out var b3);
        FourLines(source + (8 * sourceStride), sourceStride, out var c0, out var c1, out var c2, out var c3);
        FourLines(source + (12 * sourceStride), sourceStride, out var d0, out var d1, out var d2, out var d3);
        Quarters(target, targetStride, a0, b0, c0, d0);
        Quarters(target + targetStride, targetStride, a1, b1, c1, d1);
        Quarters(target + (2 * targetStride), targetStride, a2, b2, c2, d2);
        Quarters(target + (3 * targetStride), targetStride, a3, b3, c3, d3);
    }

    /// <summary>
    /// Four rows of 16: columnJ holds those of their columns J, 4 + J, 8 + J and 12 + J, a quarter
    /// of the register each.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FourLines(float* source, nint stride, out Vector512<float> column0,
        out Vector512<float> column1, out Vector512<float> column2, out Vector512<float> column3)
    {
        var row0 = Vector512.Load(source);
        var row1 = Vector512.Load(source + stride);
        var row2 = Vector512.Load(source + (2 * stride));
        var row3 = Vector512.Load(source + (3 * stride));
        var low01 = Avx512F.UnpackLow(row0, row1).AsDouble();
        var low23 = Avx512F.UnpackLow(row2, row3).AsDouble();
        var high01 = Avx512F.UnpackHigh(row0, row1).AsDouble();
        var high23 = Avx512F.UnpackHigh(row2, row3).AsDouble();
        column0 = Avx512F.UnpackLow(low01, low23).AsSingle();
        column1 = Avx512F.UnpackHigh(low01, low23).AsSingle();
        column2 = Avx512F.UnpackLow(high01, high23).AsSingle();
        column3 = Avx512F.UnpackHigh(high01, high23).AsSingle();
    }

    /// <summary>
    /// Writes the columns 0, 4, 8 and 12 after the first, from their pieces of rows 0 … 3, 4 … 7, 8
    /// … 11 and 12 … 15.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quarters(float* target, nint stride, Vector512<float> a, Vector512<float> b,
        Vector512<float> c, Vector512<float> d)
    {
        const byte First = 0b01_00_01_00, Last = 0b11_10_11_10, Even = 0b10_00_10_00, Odd = 0b11_01_11_01;
        var first = Avx512F.Shuffle4x128(a, b, First);      // a0 a1 b0 b1
        var second = Avx512F.Shuffle4x128(c, d, First);     // c0 c1 d0 d1
        var third = Avx512F.Shuffle4x128(a, b, Last);       // a2 a3 b2 b3
        var fourth = Avx512F.Shuffle4x128(c, d, Last);      // c2 c3 d2 d3
        Avx512F.Shuffle4x128(first, second, Even).Store(target);
        Avx512F.Shuffle4x128(first, second, Odd).Store(target + (4 * stride));
        Avx512F.Shuffle4x128(third, fourth, Even).Store(target + (8 * stride));
        Avx512F.Shuffle4x128(third, fourth, Odd).Store(target + (12 * stride));
    }
}
