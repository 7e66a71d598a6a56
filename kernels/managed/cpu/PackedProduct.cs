namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The product of large matrices after Goto and van de Geijn (Anatomy of High-Performance Matrix
/// Multiplication, 2008). A slab of B is packed into panels and stays in the second-level cache;
/// then each piece of work packs a few rows of A and multiplies them with all panels of the slab,
/// tile by tile. How the work is cut depends on the shape alone, and every element of Y is summed
/// in the order of k.
/// </summary>
internal static unsafe class PackedProduct
{
    // The inner dimension of a slab: deep enough that a tile of Y is seldom read and written. A panel of B, 384 × 48
    // floats, takes 72 KiB, more than the first-level cache has: it comes from the second for every tile, and shallower
    // slabs are no faster.
    private const int MaxDepth = 384;

    // Floats in a slab of B: 1.25 MiB of a second-level cache of 2.
    private const int MaxSlabFloats = 320 << 10;

    // Rows of A in one piece of work: few, so that the pieces of one product can be shared out evenly.
    private const int MaxBlockRows = 24;

    // With fewer pieces than this the columns are divided too, but not below so many that packing A would show.
    private const int FewBlocks = 16, FewestBlockColumns = 128;

    /// <summary>
    /// Computes one product, on the workers, or on this thread where there are none.
    /// </summary>
    public static void Run<TTile>(in ProductTask task, Scratch scratch, WorkerPool? workers) where TTile : ITile =>
        Run<TTile, FloatFactor>(task, new(task.B), scratch, workers);

    /// <summary>The same with another kind of B in place of the task's.</summary>
    public static void Run<TTile, TB>(in ProductTask task, in TB b, Scratch scratch, WorkerPool? workers)
        where TTile : ITile where TB : unmanaged, IRightFactor
    {
        var depth = EvenPart(task.K, MaxDepth, Math.Max(4, TB.Multiple));
        // The larger of the two is a multiple of the other: panels of 2 to 48 columns, blocks of 16 codes.
        var columns = EvenPart(task.N, MaxSlabFloats / depth, Math.Max(TTile.Columns, TB.Multiple));
        var packedB = scratch.ForProduct(Panels.Length(columns, TTile.Columns, depth));
        for (var column = 0; column < task.N; column += columns)
        {
            for (var k = 0; k < task.K; k += depth)
            {
                var slab = new Slab<TTile, TB>(task, b, packedB, column, Math.Min(columns, task.N - column), k,
                    Math.Min(depth, task.K - k));
                WorkerPool.Run(workers, slab.PackBlocks, new PackJob<TTile, TB>(slab), scratch);
                WorkerPool.Run(workers, slab.Blocks, new MultiplyJob<TTile, TB>(slab), scratch);
            }
        }
    }

    /// <summary>
    /// The size of equal parts of at most about <paramref name="most"/>, rounded up to a multiple.
    /// </summary>
    private static int EvenPart(int total, int most, int multiple)
    {
        var parts = Parts(total, most);
        return Parts(Parts(total, parts), multiple) * multiple;
    }

    private static int Parts(int total, int part) => (total + part - 1) / part;

    /// <summary>One step: [M, Depth] of A times [Depth, Columns] of B.</summary>
    private readonly struct Slab<TTile, TB> where TTile : ITile where TB : unmanaged, IRightFactor
    {
        private const int DepthsToPack = 32;   // by one piece of work

        private readonly ProductTask task;
        private readonly TB b;
        private readonly float* packedB;
        private readonly int column, columns, k, depth, blockRows, blockColumns;

        public Slab(in ProductTask task, in TB b, float* packedB, int column, int columns, int k, int depth)
        {
            (this.task, this.b) = (task, b);
            this.packedB = packedB;
            (this.column, this.columns, this.k, this.depth) = (column, columns, k, depth);
            blockRows = EvenPart(task.M, MaxBlockRows, TTile.Rows);
            var columnBlocks = Math.Clamp(FewBlocks / RowBlocks, 1, Parts(columns, FewestBlockColumns));
            blockColumns = EvenPart(columns, Parts(columns, columnBlocks), TTile.Columns);
        }

        // A piece of work packs a few rows of B, or, where they are its columns that lie whole in memory, one panel.
        public int PackBlocks => b.RowsLieWhole ? Parts(depth, DepthsToPack) : Parts(columns, TTile.Columns);

        public int Blocks => RowBlocks * ColumnBlocks;

        private int RowBlocks => Parts(task.M, blockRows);

        private int ColumnBlocks => Parts(columns, blockColumns);

        public void PackB(int block)
        {
            if (b.RowsLieWhole)
            {
                var first = block * DepthsToPack;
                Pack(first, 0, Math.Min(DepthsToPack, depth - first), columns);
            }
            else
            {
                var first = block * TTile.Columns;
                Pack(0, first, depth, Math.Min(TTile.Columns, columns - first));
            }
        }

        public void Multiply(int block, Scratch scratch)
        {
            var firstRow = block / ColumnBlocks * blockRows;
            var firstColumn = block % ColumnBlocks * blockColumns;
            var rows = Math.Min(blockRows, task.M - firstRow);
            var endColumn = Math.Min(firstColumn + blockColumns, columns);
            var packedA = scratch.ForPanels(Panels.Length(blockRows, TTile.Rows, depth));
            Panels.Pack(packedA, (nint)TTile.Rows * depth, task.A.At(firstRow, k), task.A.RowStride,
                task.A.ColumnStride, rows, TTile.Rows, depth);
            for (var at = firstColumn; at < endColumn; at += TTile.Columns)
            {
                for (var row = 0; row < rows; row += TTile.Rows)
                {
                    MultiplyTile(task.Y.At(firstRow + row, column + at), packedA + ((nint)row * depth),
                        packedB + ((nint)at * depth),
                        Math.Min(TTile.Rows, rows - row), Math.Min(TTile.Columns, columns - at));
                }
            }
        }

        private void Pack(int firstDepth, int firstColumn, int depths, int width) =>
            b.Pack(packedB + ((nint)firstColumn * depth) + (firstDepth * TTile.Columns), (nint)TTile.Columns * depth,
                k + firstDepth, column + firstColumn, depths, width, TTile.Columns);

        private void MultiplyTile(float* y, float* a, float* b, int rows, int columns)
        {
            var accumulate = task.Accumulate || k > 0;
            if (rows == TTile.Rows && columns == TTile.Columns)
            {
                TTile.Multiply(y, task.Y.RowStride, a, b, depth, task.Scale, accumulate);
            }
            else
            {
                MultiplyEdge(y, a, b, rows, columns, accumulate);
            }
        }

        /// <summary>
        /// A tile that reaches over the edge of Y is computed whole, beside it, and the part within
        /// is copied.
        /// </summary>
        private void MultiplyEdge(float* y, float* a, float* b, int rows, int columns, bool accumulate)
        {
            var tile = stackalloc float[TTile.Rows * TTile.Columns];
            TTile.Multiply(tile, TTile.Columns, a, b, depth, task.Scale, accumulate: false);
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    y[j] = accumulate ? y[j] + tile[j] : tile[j];
                }
                y += task.Y.RowStride;
                tile += TTile.Columns;
            }
        }
    }

    private readonly struct PackJob<TTile, TB>(Slab<TTile, TB> slab) : IJob where TTile : ITile where TB : unmanaged,
        IRightFactor
    {
        public void Run(int block, Scratch scratch) => slab.PackB(block);
    }

    private readonly struct MultiplyJob<TTile, TB>(Slab<TTile, TB> slab) : IJob where TTile : ITile
        where TB : unmanaged, IRightFactor
    {
        public void Run(int block, Scratch scratch) => slab.Multiply(block, scratch);
    }
}
