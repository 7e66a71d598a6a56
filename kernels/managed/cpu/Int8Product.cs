using System.Numerics;
using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// S = X·Wᵀ in whole numbers. A piece of work has some rows of X, which stay in the second-level
/// cache, and some panels of W, each of which stays in the first while all those rows pass by, six
/// at a time. Sums are exact, so they do not depend on how the work is cut, nor on the code path.
/// </summary>
internal static unsafe class Int8Product
{
    private const int MaxBlockRows = 8 * IInt8Tile.MaxRows;
    private const long ProductsOfBlock = 1 << 22;           // multiply-adds: tens of microseconds
    // of W: what few rows of X, which have few products, wait for is memory
    private const int BytesOfBlock = 256 << 10;
    // multiply-adds that one thread has done before another one is awake
    private const long SmallProduct = 1 << 17;

    /// <summary>Computes one product.</summary>
    /// <param name="s">[rows, out]</param>
    /// <param name="x">[rows, <see cref="Int8Matrix.RowStride"/>]</param>
    /// <param name="panels">The codes of the weight.</param>
    /// <param name="shape">Its sizes.</param>
    public static void Run<TTile>(int* s, byte* x, int rows, sbyte* panels, in Int8Matrix shape, WorkerPool workers)
        where TTile : struct, IInt8Tile
    {
        var job = new Job<TTile>(s, x, rows, panels, shape.Outputs, shape.RowStride);
        var isSmall = (long)rows * shape.Outputs * shape.RowStride <= SmallProduct;
        WorkerPool.Run(isSmall ? null : workers, job.Blocks, job, workers.CallerScratch);
    }

    private readonly struct Job<TTile> : IJob where TTile : struct, IInt8Tile
    {
        private readonly int* s;
        private readonly byte* x;
        private readonly sbyte* panels;
        private readonly int rows, outputs, rowStride, blockRows, blockPanels;

        public Job(int* s, byte* x, int rows, sbyte* panels, int outputs, int rowStride)
        {
            this.s = s;
            this.x = x;
            this.panels = panels;
            (this.rows, this.outputs, this.rowStride) = (rows, outputs, rowStride);
            blockRows = Math.Min(rows, MaxBlockRows);
            var panelBytes = (long)Int8Matrix.PanelOutputs * rowStride;
            blockPanels = (int)Math.Clamp(
                Math.Min(ProductsOfBlock / (blockRows * panelBytes), BytesOfBlock / panelBytes), 1, Panels);
        }

        public int Blocks => Parts(rows, blockRows) * PanelBlocks;

        private int Panels => Parts(outputs, Int8Matrix.PanelOutputs);

        private int PanelBlocks => Parts(Panels, blockPanels);

        public void Run(int block, Scratch scratch)
        {
            var first = block / PanelBlocks * blockRows;
            var count = Math.Min(blockRows, rows - first);
            var from = x + (nint)first * rowStride;
            if (TTile.BytesOfCode > 1)
            {
                from = Widened(from, count, scratch);
            }
            var xStride = (nint)rowStride * TTile.BytesOfCode;
            var endPanel = Math.Min((block % PanelBlocks + 1) * blockPanels, Panels);
            for (var panel = block % PanelBlocks * blockPanels; panel < endPanel; panel++)
            {
                for (var row = 0; row < count; row += IInt8Tile.MaxRows)
                {
                    Multiply(first + row, panel, from + row * xStride, xStride,
                        Math.Min(IInt8Tile.MaxRows, count - row));
                }
            }
        }

        private void Multiply(int row, int panel, byte* from, nint xStride, int count)
        {
            const int Width = Int8Matrix.PanelOutputs;
            var codes = panels + (nint)panel * Width * rowStride;
            var to = s + (nint)row * outputs + panel * Width;
            var columns = Math.Min(Width, outputs - panel * Width);
            if (columns == Width)
            {
                TTile.Multiply(to, outputs, from, xStride, count, codes, rowStride / Int8Matrix.Quad);
                return;
            }
            var tile = stackalloc int[IInt8Tile.MaxRows * Width];
            TTile.Multiply(tile, Width, from, xStride, count, codes, rowStride / Int8Matrix.Quad);
            for (var i = 0; i < count; i++)
            {
                new ReadOnlySpan<int>(tile + i * Width, columns).CopyTo(new Span<int>(to + (nint)i * outputs, columns));
            }
        }

        /// <summary>The codes of some rows in 16 bits.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private byte* Widened(byte* from, int count, Scratch scratch)
        {
            var length = (nint)count * rowStride;
            var to = (ushort*)scratch.ForPanels((length + 1) / 2);
            nint i = 0;
            for (; i <= length - Vector<byte>.Count; i += Vector<byte>.Count)
            {
                Vector.Widen(Vector.Load(from + i), out var low, out var high);
                Vector.Store(low, to + i);
                Vector.Store(high, to + i + Vector<ushort>.Count);
            }
            for (; i < length; i++)
            {
                to[i] = from[i];
            }
            return (byte*)to;
        }

        private static int Parts(int total, int part) => (total + part - 1) / part;
    }
}
