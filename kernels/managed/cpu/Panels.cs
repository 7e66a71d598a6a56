using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Packing: a slab of a matrix is copied into panels, each so many rows of A (or columns of B)
/// wide, in which the microkernel finds the numbers in the order in which it reads them. Whatever
/// strides and transpositions a matrix has are gone afterwards.
/// </summary>
internal static unsafe class Panels
{
    private const int CacheLine = 16;      // floats
    private const int DepthsAtOnce = 8;

    /// <summary>Floats that the panels of <paramref name="count"/> lines take.</summary>
    public static long Length(int count, int width, int depth) => (long)((count + width - 1) / width) * width * depth;

    /// <summary>
    /// Packs panels: line i at depth k goes to panel i / width, place k·width + i mod width. The
    /// last panel is filled up with zeros.
    /// </summary>
    /// <param name="panels">Where depth 0 of the first panel goes.</param>
    /// <param name="panelLength">
    /// Elements from one panel to the next: width · depth, or more where only a part of the depth
    /// is packed.
    /// </param>
    /// <param name="source">Line 0 at depth 0.</param>
    /// <param name="lineStride">
    /// Elements between neighbouring lines (rows of A, columns of B).
    /// </param>
    /// <param name="depthStride">
    /// Elements between neighbours along the inner dimension. One of the two strides is 1.
    /// </param>
    /// <param name="count">Number of lines.</param>
    /// <param name="width">Lines in a panel, at least 4.</param>
    /// <param name="depth">Length of the lines.</param>
    public static void Pack(float* panels, nint panelLength, float* source, nint lineStride, nint depthStride,
        int count, int width, int depth)
    {
        if (lineStride != 1 && depthStride != 1)
        {
            throw new ArgumentException("A matrix needs neighbours along its rows or its columns; the strides are "
                + $"{lineStride} and {depthStride}.");
        }
        // Memory is read in the order in which it lies, which the hardware foresees: lines that lie side by side a few
        // depths at a time over all panels, lines that lie one behind the other panel by panel. A piece of a panel
        // stays in the first-level cache until it is full.
        var depthStep = lineStride == 1 ? DepthsAtOnce : depth;
        for (var k = 0; k < depth; k += depthStep)
        {
            for (var line = 0; line < count; line += width)
            {
                PackPanel(panels + (line / width * panelLength) + (k * width),
                    source + (line * lineStride) + (k * depthStride), lineStride, depthStride,
                    Math.Min(width, count - line), width, Math.Min(depthStep, depth - k));
            }
        }
    }

    /// <summary>Copies one line into one piece.</summary>
    public static void CopyLine(float* target, float* source, nint depthStride, int depth)
    {
        if (depthStride == 1)
        {
            new ReadOnlySpan<float>(source, depth).CopyTo(new Span<float>(target, depth));
            return;
        }
        for (var k = 0; k < depth; k++)
        {
            target[k] = source[k * depthStride];
        }
    }

    private static void PackPanel(float* panel, float* source, nint lineStride, nint depthStride, int count, int width,
        int depth)
    {
        if (count < width)
        {
            new Span<float>(panel, width * depth).Clear();
        }
        if (lineStride == 1)
        {
            CopyLinesSideBySide(panel, source, depthStride, count, width, depth);
            return;
        }
        for (var k = 0; k < depth; k += CacheLine)
        {
            Transpose(panel + (k * width), width, source + k, lineStride, count, Math.Min(CacheLine, depth - k));
        }
    }

    /// <summary>The lines lie side by side in memory already: at each depth, a copy.</summary>
    private static void CopyLinesSideBySide(float* panel, float* source, nint depthStride, int count, int width,
        int depth)
    {
        for (var k = 0; k < depth; k++)
        {
            var i = 0;
            for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                Vector256.Load(source + i).Store(panel + i);
            }
            for (; i <= count - Vector128<float>.Count; i += Vector128<float>.Count)
            {
                Vector128.Load(source + i).Store(panel + i);
            }
            for (; i < count; i++)
            {
                panel[i] = source[i];
            }
            panel += width;
            source += depthStride;
        }
    }

    /// <summary>
    /// target[j, i] = source[i, j], four rows at a time; the last four may overlap the ones before.
    /// </summary>
    /// <param name="target">[columns, rows]</param>
    /// <param name="targetStride">Elements between rows of the target.</param>
    /// <param name="source">[rows, columns]</param>
    /// <param name="sourceStride">Elements between rows of the source.</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    public static void Transpose(float* target, nint targetStride, float* source, nint sourceStride, int rows,
        int columns)
    {
        if (rows < 4)
        {
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    target[(j * targetStride) + i] = source[(i * sourceStride) + j];
                }
            }
            return;
        }
        for (var i = 0; i < rows; i += 4)
        {
            i = Math.Min(i, rows - 4);
            var row0 = source + (i * sourceStride);
            var row1 = row0 + sourceStride;
            var row2 = row1 + sourceStride;
            var row3 = row2 + sourceStride;
            var column = target + i;
            var j = 0;
            for (; j <= columns - 4; j += 4)
            {
                // the next four rows, a cache line of one in each step
                Prefetch(row0 + ((4 + (j / 4 % 4)) * sourceStride) + j);
                TransposeFour(Vector128.Load(row0 + j), Vector128.Load(row1 + j), Vector128.Load(row2 + j),
                    Vector128.Load(row3 + j), column, targetStride);
                column += 4 * targetStride;
            }
            for (; j < columns; j++)
            {
                column[0] = row0[j];
                column[1] = row1[j];
                column[2] = row2[j];
                column[3] = row3[j];
                column += targetStride;
            }
        }
    }

    /// <summary>
    /// Asks for a line of memory. The hardware foresees long runs and not the short pieces of rows
    /// that packing reads. Any address will do.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(float* address)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(address);
        }
    }

    /// <summary>Writes the transposed 4 × 4 block of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransposeFour(Vector128<float> row0, Vector128<float> row1, Vector128<float> row2,
        Vector128<float> row3, float* target, nint stride)
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
}
