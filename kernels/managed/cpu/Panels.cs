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
    private const int DepthsAtOnce = 16, DepthsAhead = 16;

    /// <summary>Floats that the panels of <paramref name="count"/> lines take.</summary>
    public static long Length(int count, int width, int depth) =>
        (long)PackedProduct.Parts(count, width) * width * depth;

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
        // Sixteen lines at a time fill whole cache lines of the panel; fewer, pieces of them, which must not leave the
        // first-level cache in between.
        var sixteens = Avx512F.IsSupported ? count / CacheLine.Floats * CacheLine.Floats : 0;
        Transposition.Run(panel, width, source, lineStride, sixteens, depth);
        if (sixteens == count)
        {
            return;
        }
        for (var k = 0; k < depth; k += CacheLine.Floats)
        {
            Transposition.Run(panel + (k * width) + sixteens, width, source + (sixteens * lineStride) + k, lineStride,
                count - sixteens, Math.Min(CacheLine.Floats, depth - k));
        }
    }

    /// <summary>The lines lie side by side in memory already: at each depth, a copy.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyLinesSideBySide(float* panel, float* source, nint depthStride, int count, int width,
        int depth)
    {
        for (var k = 0; k < depth; k++)
        {
            // pieces of rows are too short for the processor to foresee; any address will do
            for (var line = 0; Sse.IsSupported && line < count; line += CacheLine.Floats)
            {
                Sse.Prefetch0(source + (DepthsAhead * depthStride) + line);
            }
            var i = 0;
            for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
            {
                Vector512.Load(source + i).Store(panel + i);
            }
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
}
