namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The product of large matrices after Goto and van de Geijn (Anatomy of High-Performance Matrix
/// Multiplication, 2008). A slab of B is packed into panels; then each piece of work multiplies
/// some rows of A with some of the panels, tile by tile, so that one of the two factors stays in
/// the second-level cache: a panel of B, where A is read where it lies, and otherwise a few rows
/// of A, which the piece packs for itself. How the work is cut depends on the shape alone, and
/// every element of Y is summed in the order of k.
/// </summary>
internal static unsafe class PackedProduct
{
    // The inner dimension of a slab: deep enough that a tile of Y is seldom read and written. A panel of B, 1024 × 48
    // floats, takes 192 KiB: it comes from the second-level cache for every tile, which the processor foresees.
    private const int MaxDepth = 1024;

    // Floats in a slab of B: 768 columns of the greatest depth, 3 MiB. Its panels pass through the second-level cache
    // one by one; fewer of them would mean waiting for all threads more often.
    private const int MaxSlabFloats = MaxDepth * 768;

    // Rows of A and columns of B in one piece of work where A is read in place: so many rows that a panel of B is
    // seldom fetched, so few that the pieces of one product can be shared out evenly.
    private const int MaxBlockRows = 256, BlockColumns = 48;

    // Rows of A in one piece of work that packs them, at most 96 KiB, and multiplies them with the whole slab.
    private const int MaxPackedRows = 24;

    // With fewer pieces than this they are made smaller, but not so small that packing would show.
    private const int FewBlocks = 16, FewestBlockColumns = 128;

    // A is packed if its rows do not lie whole, unless at most so many tiles read a number of it, and for so small a
    // depth that the pointers to the rows would tell; and if the first-level cache would hold more rows than it has
    // ways in the same few places (a way of it is 4 KiB, and it has at least eight).
    private const int FewTiles = 4, FewDepths = 16, FloatsInWay = 1024, Ways = 8;

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
            if (ReadsAInPlace(columns))
            {
                blockColumns = EvenPart(columns, BlockColumns, TTile.Columns);
                var rowBlocks = Math.Max(Parts(task.M, MaxBlockRows), Parts(FewBlocks, ColumnBlocks));
                blockRows = Math.Max(EvenPart(task.M, Parts(task.M, rowBlocks), TTile.Rows), MaxPackedRows);
            }
            else
            {
                blockRows = EvenPart(task.M, MaxPackedRows, TTile.Rows);
                var columnBlocks = Math.Clamp(FewBlocks / RowBlocks, 1, Parts(columns, FewestBlockColumns));
                blockColumns = EvenPart(columns, Parts(columns, columnBlocks), TTile.Columns);
            }
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
            var inPlace = ReadsAInPlace(endColumn - firstColumn);
            var a = new LeftRows<TTile>(task.A.From(task.A.At(firstRow, k)), rows, b.Depth, inPlace);
            var c = new LeftRows<TTile>(task.Second.C.From(firstRow), rows, d.Depth,
                inPlace && task.Second.C.ColumnStride == 1);
            var panels = scratch.ForPanels(a.Length + c.Length);
            a.Pack(panels);
            c.Pack(panels + a.Length);
            for (var at = firstColumn; at < endColumn; at += TTile.Columns)
            {
                var width = Math.Min(TTile.Columns, columns - at);
                for (var row = 0; row < rows; row += TTile.Rows)
                {
                    var tile = new TileOfY(firstRow + row, column + at, Math.Min(TTile.Rows, rows - row), width,
                        b.Panel(at), d.Panel(at));
                    if (!a.IsInPlace(row))
                    {
                        MultiplyTile(tile, a.Packed(row), c, row);
                    }
                    else if (task.A.ColumnStride == 1)
                    {
                        MultiplyTile(tile, a.Rows(row), c, row);
                    }
                    else
                    {
                        MultiplyTile(tile, a.Columns(row), c, row);
                    }
                }
            }
        }

        private bool ReadsAInPlace(int columns) => b.Depth >= FewDepths
            && (task.A.ColumnStride == 1
                ? TTile.Rows <= Ways || task.A.RowStride % FloatsInWay != 0
                : columns <= FewTiles * TTile.Columns && task.A.ColumnStride % FloatsInWay != 0);

        private void MultiplyTile<TLeft>(in TileOfY tile, TLeft a, in LeftRows<TTile> c, int row)
            where TLeft : struct, ILeftPanel
        {
            var y = task.Y.At(tile.Row, tile.Column);
            var z = k > 0 ? task.Y : task.Z;
            var first = z.AtOrNull(tile.Row, tile.Column);
            if (tile.Rows == TTile.Rows && tile.Columns == TTile.Columns && task.Y.ColumnStride == 1)
            {
                Multiply(y, task.Y.RowStride, first, z.RowStride, tile, a, c, row);
                return;
            }
            // Computed beside Y, and scaled and added there as within it: where an element lies changes no bit.
            var beside = stackalloc float[TTile.Rows * TTile.Columns];
            if (first == null)
            {
                Multiply(beside, TTile.Columns, null, 0, tile, a, c, row);
            }
            else
            {
                TileBeside.Load(beside, TTile.Columns, z.From(first), tile.Rows, tile.Columns);
                Multiply(beside, TTile.Columns, beside, TTile.Columns, tile, a, c, row);
            }
            TileBeside.Store(task.Y.From(y), beside, TTile.Columns, tile.Rows, tile.Columns);
        }

        /// <summary>Y = Z + scale · A·B + scale · C·D for one tile.</summary>
        private void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, in TileOfY tile, TLeft a,
            in LeftRows<TTile> c, int row) where TLeft : struct, ILeftPanel
        {
            TTile.Multiply(y, yStride, z, zStride, a, tile.B, b.Depth, task.Scale);
            if (d.Depth == 0)
            {
                return;
            }
            if (c.IsInPlace(row))
            {
                TTile.Multiply(y, yStride, y, yStride, c.Rows(row), tile.D, d.Depth, task.Second.Scale);
            }
            else
            {
                TTile.Multiply(y, yStride, y, yStride, c.Packed(row), tile.D, d.Depth, task.Second.Scale);
            }
        }
    }

    /// <summary>A tile's place and size in Y, and the panels that it is the product with.</summary>
    private readonly struct TileOfY(int row, int column, int rows, int columns, float* b, float* d)
    {
        public readonly int Row = row, Column = column, Rows = rows, Columns = columns;

        public readonly float* B = b, D = d;
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
