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

    // A is read where it lies if at most so many tiles read a number of it: packing would cost more than it saves. Not
    // if the first-level cache would hold its rows in the same few places (a way of it is 4 KiB), and not for so small
    // a depth that the pointers to the rows would tell.
    private const int FewTiles = 4, FloatsInWay = 1024, FewDepths = 16;

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
        var lengthOfB = PackedFactor<TTile, TB>.Length(columns, depth);
        var packed = scratch.ForProduct(
            lengthOfB + PackedFactor<TTile, FloatFactor>.Length(columns, task.Second.Depth));
        for (var column = 0; column < task.N; column += columns)
        {
            for (var k = 0; k < task.K; k += depth)
            {
                var slab = new Slab<TTile, TB>(task, b, packed, packed + lengthOfB, column,
                    Math.Min(columns, task.N - column), k, Math.Min(depth, task.K - k));
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

    /// <summary>
    /// One step: [M, Depth] of A times [Depth, Columns] of B. The last one of some columns adds the
    /// second product, each tile of it while the tile of Y is still in the first-level cache.
    /// </summary>
    private readonly struct Slab<TTile, TB> where TTile : ITile where TB : unmanaged, IRightFactor
    {
        private readonly ProductTask task;
        private readonly PackedFactor<TTile, TB> b;
        private readonly PackedFactor<TTile, FloatFactor> d;
        private readonly int column, columns, k, blockRows, blockColumns;

        public Slab(in ProductTask task, in TB b, float* packedB, float* packedD, int column, int columns, int k,
            int depth)
        {
            this.task = task;
            (this.column, this.columns, this.k) = (column, columns, k);
            this.b = new(b, packedB, column, columns, k, depth);
            d = new(new(task.Second.D), packedD, column, columns, 0, k + depth == task.K ? task.Second.Depth : 0);
            blockRows = EvenPart(task.M, MaxBlockRows, TTile.Rows);
            var columnBlocks = Math.Clamp(FewBlocks / RowBlocks, 1, Parts(columns, FewestBlockColumns));
            blockColumns = EvenPart(columns, Parts(columns, columnBlocks), TTile.Columns);
        }

        public int PackBlocks => b.PackBlocks + d.PackBlocks;

        public int Blocks => RowBlocks * ColumnBlocks;

        private int RowBlocks => Parts(task.M, blockRows);

        private int ColumnBlocks => Parts(columns, blockColumns);

        public void Pack(int block)
        {
            if (block < b.PackBlocks)
            {
                b.Pack(block);
            }
            else
            {
                d.Pack(block - b.PackBlocks);
            }
        }

        public void Multiply(int block, Scratch scratch)
        {
            var firstRow = block / ColumnBlocks * blockRows;
            var firstColumn = block % ColumnBlocks * blockColumns;
            var rows = Math.Min(blockRows, task.M - firstRow);
            var endColumn = Math.Min(firstColumn + blockColumns, columns);
            var inPlace = ReadsAInPlace(endColumn - firstColumn) ? rows / TTile.Rows * TTile.Rows : 0;
            var lengthOfA = Panels.Length(blockRows, TTile.Rows, b.Depth);
            var packedA = scratch.ForPanels(lengthOfA + Panels.Length(blockRows, TTile.Rows, d.Depth));
            var packedC = packedA + lengthOfA;
            if (inPlace < rows)
            {
                PackLeft(packedA, task.A, firstRow + inPlace, inPlace, rows, k, b.Depth);
            }
            if (d.Depth > 0)
            {
                PackLeft(packedC, task.Second.C, firstRow, 0, rows, 0, d.Depth);
            }
            for (var at = firstColumn; at < endColumn; at += TTile.Columns)
            {
                var width = Math.Min(TTile.Columns, columns - at);
                for (var row = 0; row < rows; row += TTile.Rows)
                {
                    var tile = new TileOfY(firstRow + row, column + at, Math.Min(TTile.Rows, rows - row), width,
                        b.Panel(at), packedC + ((nint)row * d.Depth), d.Panel(at));
                    var a = task.A.At(firstRow + row, k);
                    if (row >= inPlace)
                    {
                        MultiplyTile(tile, new SideBySide(packedA + ((nint)row * b.Depth), TTile.Rows));
                    }
                    else if (task.A.ColumnStride == 1)
                    {
                        MultiplyTile(tile, new RowByRow(a, task.A.RowStride));
                    }
                    else
                    {
                        MultiplyTile(tile, new SideBySide(a, task.A.ColumnStride));
                    }
                }
            }
        }

        private bool ReadsAInPlace(int columns) => columns <= FewTiles * TTile.Columns && b.Depth >= FewDepths
            && Math.Max(task.A.RowStride, task.A.ColumnStride) % FloatsInWay != 0;

        /// <summary>Packs rows of a block from <paramref name="from"/> on.</summary>
        private static void PackLeft(float* panels, in Operand a, int row, int from, int rows, int k, int depth) =>
            Panels.Pack(panels + ((nint)from * depth), (nint)TTile.Rows * depth, a.At(row, k), a.RowStride,
                a.ColumnStride, rows - from, TTile.Rows, depth);

        private void MultiplyTile<TLeft>(in TileOfY tile, TLeft a) where TLeft : struct, ILeftPanel
        {
            var y = task.Y.At(tile.Row, tile.Column);
            var z = k > 0 ? task.Y : task.Z;
            var first = z.AtOrNull(tile.Row, tile.Column);
            if (tile.Rows == TTile.Rows && tile.Columns == TTile.Columns && task.Y.ColumnStride == 1)
            {
                Multiply(y, task.Y.RowStride, first, z.RowStride, tile, a);
                return;
            }
            // Computed beside Y, and scaled and added there as within it: where an element lies changes no bit.
            var beside = stackalloc float[TTile.Rows * TTile.Columns];
            if (first == null)
            {
                Multiply(beside, TTile.Columns, null, 0, tile, a);
            }
            else
            {
                TileBeside.Load(beside, TTile.Columns, z.From(first), tile.Rows, tile.Columns);
                Multiply(beside, TTile.Columns, beside, TTile.Columns, tile, a);
            }
            TileBeside.Store(task.Y.From(y), beside, TTile.Columns, tile.Rows, tile.Columns);
        }

        /// <summary>Y = Z + scale · A·B + scale · C·D for one tile.</summary>
        private void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, in TileOfY tile, TLeft a)
            where TLeft : struct, ILeftPanel
        {
            TTile.Multiply(y, yStride, z, zStride, a, tile.B, b.Depth, task.Scale);
            if (d.Depth > 0)
            {
                TTile.Multiply(y, yStride, y, yStride, new SideBySide(tile.C, TTile.Rows), tile.D, d.Depth,
                    task.Second.Scale);
            }
        }
    }

    /// <summary>A tile's place and size in Y, and the panels that it is the product of.</summary>
    private readonly struct TileOfY(int row, int column, int rows, int columns, float* b, float* c, float* d)
    {
        public readonly int Row = row, Column = column, Rows = rows, Columns = columns;

        public readonly float* B = b, C = c, D = d;
    }

    private readonly struct PackJob<TTile, TB>(Slab<TTile, TB> slab) : IJob where TTile : ITile where TB : unmanaged,
        IRightFactor
    {
        public void Run(int block, Scratch scratch) => slab.Pack(block);
    }

    private readonly struct MultiplyJob<TTile, TB>(Slab<TTile, TB> slab) : IJob where TTile : ITile
        where TB : unmanaged, IRightFactor
    {
        public void Run(int block, Scratch scratch) => slab.Multiply(block, scratch);
    }
}
