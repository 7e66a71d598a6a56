namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The product of large matrices after Goto and van de Geijn (Anatomy of High-Performance Matrix
/// Multiplication, 2008): B is packed into panels, and rows of A pass by a panel tile by tile, so
/// that one of the two factors stays in the second-level cache. Work is cut by rows and columns,
/// and along the inner dimension by the shape alone: every element of Y is summed in the order of
/// k, whoever computes it.
/// </summary>
internal static unsafe class PackedProduct
{
    /// <summary>
    /// The inner dimension of a slab: deep enough that a tile of Y is seldom read and written. A
    /// panel of B, 1024 × 48 floats, takes 192 KiB: it comes from the second-level cache for every
    /// tile, which the processor foresees.
    /// </summary>
    internal const int MaxDepth = 1024;

    /// <summary>
    /// From this depth on what is read decides, a panel of B above all; a product that is less deep
    /// is bound by writing Y, which it does row by row.
    /// </summary>
    internal const int Deep = 128;

    // Floats in a slab of B: 768 columns of the greatest depth, 3 MiB, of which a panel at a time passes through the
    // second-level cache; or 1.25 MiB, which stay there while rows of A are packed and pass by.
    private const int MaxSlabFloats = MaxDepth * 768, MaxSlabInCache = 320 << 10;

    /// <summary>
    /// Computes one product, on the workers, or on this thread where there are none.
    /// </summary>
    public static void Run<TTile>(in ProductTask task, Scratch scratch, WorkerPool? workers) where TTile : ITile =>
        Run<TTile, FloatFactor>(task, new(task.B), scratch, workers);

    /// <summary>The same with another kind of B in place of the task's.</summary>
    public static void Run<TTile, TB>(in ProductTask task, in TB b, Scratch scratch, WorkerPool? workers)
        where TTile : ITile where TB : unmanaged, IRightFactor
    {
        var threads = workers?.Threads ?? 1;
        var depth = Math.Min(task.K, EvenPart(task.K, MaxDepth, Math.Max(4, TB.Multiple)));
        if (PanelJob<TTile, TB>.Suits(task, depth, threads))
        {
            RunPanels<TTile, TB>(task, b, depth, threads, scratch, workers);
        }
        else
        {
            RunSlabs<TTile, TB>(task, b, depth, threads, scratch, workers);
        }
    }

    /// <summary>
    /// The size of equal parts of at most about <paramref name="most"/>, rounded up to a multiple.
    /// </summary>
    internal static int EvenPart(int total, int most, int multiple)
    {
        var parts = Parts(total, most);
        return Parts(Parts(total, parts), multiple) * multiple;
    }

    internal static int Parts(int total, int part) => (total + part - 1) / part;

    private static void RunPanels<TTile, TB>(in ProductTask task, in TB b, int depth, int threads, Scratch scratch,
        WorkerPool? workers) where TTile : ITile where TB : unmanaged, IRightFactor
    {
        var inPlace = PanelJob<TTile, TB>.ReadsRowsInPlace(task, depth);
        var rows = inPlace ? task.M : PanelJob<TTile, TB>.RowsOfPiece(task);
        var packedA = inPlace ? null : scratch.ForShared(Panels.Length(rows, TTile.Rows, depth));
        for (var k = 0; k < task.K; k += depth)
        {
            for (var row = 0; row < task.M; row += rows)
            {
                var job = new PanelJob<TTile, TB>(task, b, packedA, row, Math.Min(rows, task.M - row), k,
                    Math.Min(depth, task.K - k), threads);
                if (!inPlace)
                {
                    var a = job.A;
                    WorkerPool.Run(workers, a.PackBlocks, new PackedFactor<FloatFactor>.Job(a), scratch);
                }
                WorkerPool.Run(workers, job.Blocks, job, scratch);
            }
        }
    }

    private static void RunSlabs<TTile, TB>(in ProductTask task, in TB b, int depth, int threads, Scratch scratch,
        WorkerPool? workers) where TTile : ITile where TB : unmanaged, IRightFactor
    {
        var floats = Slab<TTile, TB>.ReadsInPlace(task.A, depth, task.N) ? MaxSlabFloats : MaxSlabInCache;
        // The larger of the two is a multiple of the other: panels of 2 to 48 columns, blocks of 16 codes.
        var columns = EvenPart(task.N, floats / depth, Math.Max(TTile.Columns, TB.Multiple));
        var memory = scratch.ForProduct(Slab<TTile, TB>.Length(task, columns, depth));
        for (var column = 0; column < task.N; column += columns)
        {
            for (var k = 0; k < task.K; k += depth)
            {
                var slab = new Slab<TTile, TB>(task, b, memory, column, Math.Min(columns, task.N - column), k,
                    Math.Min(depth, task.K - k));
                WorkerPool.Run(workers, slab.PackBlocks, new PackJob<TTile, TB>(slab), scratch);
                var job = new MultiplyJob<TTile, TB>(slab, task.M, threads);
                WorkerPool.Run(workers, job.Blocks, job, scratch);
            }
        }
    }

    /// <summary>Packs a slab that all threads read.</summary>
    private readonly struct PackJob<TTile, TB>(Slab<TTile, TB> slab) : IJob where TTile : ITile where TB : unmanaged,
        IRightFactor
    {
        public void Run(int block, Scratch scratch) => slab.Pack(block);
    }

    /// <summary>Multiplies some rows with some of the columns of a slab that is packed.</summary>
    private readonly struct MultiplyJob<TTile, TB> : IJob where TTile : ITile where TB : unmanaged, IRightFactor
    {
        // Rows of A in a piece that reads them in place, so many that fetching a panel of B for them does not show; and
        // in one that packs them, at most 96 KiB, and multiplies them with the whole slab.
        private const int RowsInPlace = 256, PackedRows = 24;

        // With fewer pieces than this they are made smaller, but not so small that packing would show.
        private const int FewBlocks = 16, FewestColumns = 128;

        private readonly Slab<TTile, TB> slab;
        private readonly int rows, blockRows, blockColumns;

        public MultiplyJob(in Slab<TTile, TB> slab, int rows, int threads)
        {
            (this.slab, this.rows) = (slab, rows);
            var inPlace = slab.ReadsAInPlace(slab.Columns);
            if (inPlace && threads == 1)
            {
                // nobody to share with
                (blockRows, blockColumns) = (EvenPart(rows, RowsInPlace, TTile.Rows), slab.Columns);
            }
            else if (inPlace && slab.Depth >= Deep)
            {
                blockColumns = Slab<TTile, TB>.GroupColumns;
                var rowBlocks = Math.Max(Parts(rows, RowsInPlace), Parts(FewBlocks, ColumnBlocks));
                blockRows = Math.Max(EvenPart(rows, Parts(rows, rowBlocks), TTile.Rows), PackedRows);
            }
            else
            {
                blockRows = EvenPart(rows, PackedRows, TTile.Rows);
                var columnBlocks = Math.Clamp(FewBlocks / RowBlocks, 1, Parts(slab.Columns, FewestColumns));
                blockColumns = EvenPart(slab.Columns, Parts(slab.Columns, columnBlocks), TTile.Columns);
            }
        }

        public int Blocks => RowBlocks * ColumnBlocks;

        private int RowBlocks => Parts(rows, blockRows);

        private int ColumnBlocks => Parts(slab.Columns, blockColumns);

        public void Run(int block, Scratch scratch)
        {
            var row = block / ColumnBlocks * blockRows;
            var column = block % ColumnBlocks * blockColumns;
            slab.Multiply(row, Math.Min(blockRows, rows - row), column,
                Math.Min(column + blockColumns, slab.Columns), null, scratch);
        }
    }
}
