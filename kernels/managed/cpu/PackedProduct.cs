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
            var inPlace = ReadsAInPlace(endColumn - firstColumn) ? rows / TTile.Rows * TTile.Rows : 0;
            var packedA = scratch.ForPanels(Panels.Length(blockRows, TTile.Rows, depth));
            if (inPlace < rows)
            {
                Panels.Pack(packedA + ((nint)inPlace * depth), (nint)TTile.Rows * depth,
                    task.A.At(firstRow + inPlace, k), task.A.RowStride, task.A.ColumnStride, rows - inPlace,
                    TTile.Rows, depth);
            }
            for (var at = firstColumn; at < endColumn; at += TTile.Columns)
            {
                var panelB = packedB + ((nint)at * depth);
                var width = Math.Min(TTile.Columns, columns - at);
                for (var row = 0; row < rows; row += TTile.Rows)
                {
                    var y = task.Y.At(firstRow + row, column + at);
                    var z = k > 0 ? y : task.Z.AtOrNull(firstRow + row, column + at);
                    var height = Math.Min(TTile.Rows, rows - row);
                    var a = task.A.At(firstRow + row, k);
                    if (row >= inPlace)
                    {
                        MultiplyTile(y, z, new SideBySide(packedA + ((nint)row * depth), TTile.Rows), panelB,
                            height, width);
                    }
                    else if (task.A.ColumnStride == 1)
                    {
                        MultiplyTile(y, z, new RowByRow(a, task.A.RowStride), panelB, height, width);
                    }
                    else
                    {
                        MultiplyTile(y, z, new SideBySide(a, task.A.ColumnStride), panelB, height, width);
                    }
                }
            }
        }

        private bool ReadsAInPlace(int columns) => columns <= FewTiles * TTile.Columns && depth >= FewDepths
            && Math.Max(task.A.RowStride, task.A.ColumnStride) % FloatsInWay != 0;

        private void Pack(int firstDepth, int firstColumn, int depths, int width) =>
            b.Pack(packedB + ((nint)firstColumn * depth) + (firstDepth * TTile.Columns), (nint)TTile.Columns * depth,
                k + firstDepth, column + firstColumn, depths, width, TTile.Columns);

        private void MultiplyTile<TLeft>(float* y, float* z, TLeft a, float* b, int rows, int columns)
            where TLeft : struct, ILeftPanel
        {
            var strides = k > 0 ? task.Y : task.Z;
            if (rows == TTile.Rows && columns == TTile.Columns && task.Y.ColumnStride == 1)
            {
                TTile.Multiply(y, task.Y.RowStride, z, strides.RowStride, a, b, depth, task.Scale);
            }
            else
            {
                MultiplyBeside(y, z, strides, a, b, rows, columns);
            }
        }

        /// <summary>
        /// A tile that reaches over the edge of Y, or whose rows do not lie whole there, is
        /// computed beside it, and the part within is copied. Scaled and added to what is there by
        /// the tile, as within Y: the bits do not depend on where an element lies.
        /// </summary>
        private void MultiplyBeside<TLeft>(float* y, float* z, in Operand strides, TLeft a, float* b, int rows,
            int columns) where TLeft : struct, ILeftPanel
        {
            var tile = stackalloc float[TTile.Rows * TTile.Columns];
            if (z != null && task.Scale != 1)
            {
                Copy(tile, TTile.Columns, 1, z, strides.RowStride, strides.ColumnStride, rows, columns);
                TTile.Multiply(tile, TTile.Columns, tile, TTile.Columns, a, b, depth, task.Scale);
                Copy(y, task.Y.RowStride, task.Y.ColumnStride, tile, TTile.Columns, 1, rows, columns);
                return;
            }
            TTile.Multiply(tile, TTile.Columns, null, 0, a, b, depth, task.Scale);
            if (task.Y.ColumnStride == 1)
            {
                AddLines(y, task.Y.RowStride, z, strides.RowStride, tile, TTile.Columns, rows, columns);
                return;
            }
            var transposed = stackalloc float[TTile.Columns * TTile.Rows];
            Panels.Transpose(transposed, TTile.Rows, tile, TTile.Columns, rows, columns);
            AddLines(y, task.Y.ColumnStride, z, strides.ColumnStride, transposed, TTile.Rows, columns, rows);
        }

        private static void Copy(float* to, nint toRows, nint toColumns, float* from, nint fromRows, nint fromColumns,
            int rows, int columns)
        {
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    to[(i * toRows) + (j * toColumns)] = from[(i * fromRows) + (j * fromColumns)];
                }
            }
        }

        /// <summary>y = z + values, or without z, line by line.</summary>
        private static void AddLines(float* y, nint yStride, float* z, nint zStride, float* values, int stride,
            int lines, int length)
        {
            for (var i = 0; i < lines; i++)
            {
                for (var j = 0; j < length; j++)
                {
                    y[j] = z == null ? values[j] : z[j] + values[j];
                }
                y += yStride;
                z += zStride;
                values += stride;
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
