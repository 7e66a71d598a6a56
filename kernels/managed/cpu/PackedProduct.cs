namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The product of large matrices after Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication, 2008): the inner dimension is cut so
/// that a panel of B stays in the first-level cache while the panels of A pass by it out of the second level; both are packed first.
/// How the work is cut depends on the shape alone, and every element of Y is summed in the order of k.
/// </summary>
internal static unsafe class PackedProduct
{
    // A panel of B, 256 × 32 floats, takes 32 KiB of a first-level cache of 48; a panel of A 12.
    private const int MostDepth = 256;

    // Slabs of A and B: up to 4 MiB each of packed memory.
    private const int MostSlabRows = 4080;
    private const int MostSlabColumns = 4096;

    // A block of A for one piece of work: up to 240 × 256 floats of the second-level cache.
    private const int MostBlockRows = 240;

    /// <summary>Computes one product, on the workers, or on this thread where there are none.</summary>
    public static void Run<TTile>(in ProductTask task, Scratch scratch, WorkerPool? workers) where TTile : ITile
    {
        var slabRows = EvenPart(task.M, MostSlabRows, TTile.Rows);
        var slabColumns = EvenPart(task.N, MostSlabColumns, TTile.Columns);
        var depth = EvenPart(task.K, MostDepth, 4);
        var packedA = scratch.ForProduct(Panels.Length(slabRows, TTile.Rows, depth) + Panels.Length(slabColumns, TTile.Columns, depth));
        var packedB = packedA + Panels.Length(slabRows, TTile.Rows, depth);
        for (var column = 0; column < task.N; column += slabColumns)
        {
            for (var k = 0; k < task.K; k += depth)
            {
                for (var row = 0; row < task.M; row += slabRows)
                {
                    var slab = new Slab<TTile>(task, packedA, packedB, row, Math.Min(slabRows, task.M - row), column, Math.Min(slabColumns, task.N - column),
                        k, Math.Min(depth, task.K - k));
                    WorkerPool.Run(workers, slab.PackBlocks, new PackJob<TTile>(slab), scratch);
                    WorkerPool.Run(workers, slab.Blocks, new MultiplyJob<TTile>(slab), scratch);
                }
            }
        }
    }

    /// <summary>The size of equal parts of at most <paramref name="most"/>, rounded up to a multiple.</summary>
    private static int EvenPart(int total, int most, int multiple)
    {
        var parts = Math.Max(1, (total + most - 1) / most);
        var part = (total + parts - 1) / parts;
        return (part + multiple - 1) / multiple * multiple;
    }

    /// <summary>One step: the product of a slab of A, [Rows, Depth], with one of B, [Depth, Columns].</summary>
    private readonly struct Slab<TTile> where TTile : ITile
    {
        private const int PanelsOfAToPack = 8, PanelsOfBToPack = 2;   // by one piece of work

        private readonly ProductTask _task;
        private readonly float* _packedA, _packedB;
        private readonly int _row, _rows, _column, _columns, _k, _depth, _blockRows, _blockColumns;

        public Slab(in ProductTask task, float* packedA, float* packedB, int row, int rows, int column, int columns, int k, int depth)
        {
            _task = task;
            _packedA = packedA;
            _packedB = packedB;
            (_row, _rows, _column, _columns, _k, _depth) = (row, rows, column, columns, k, depth);
            _blockRows = EvenPart(rows, MostBlockRows, TTile.Rows);
            _blockColumns = EvenPart(columns, 2 * TTile.Columns, TTile.Columns);
        }

        public int PackBlocks => PackBlocksOfB + Parts(_rows, PanelsOfAToPack * TTile.Rows);

        public int Blocks => Parts(_rows, _blockRows) * Parts(_columns, _blockColumns);

        private int PackBlocksOfB => _row == 0 ? Parts(_columns, PanelsOfBToPack * TTile.Columns) : 0;   // B is packed once for all slabs of A

        public void Pack(int block)
        {
            if (block < PackBlocksOfB)
            {
                var step = PanelsOfBToPack * TTile.Columns;
                var first = block * step;
                Panels.Pack(_packedB + ((nint)first * _depth), _task.B.At(_k, _column + first),
                    _task.B.ColumnStride, _task.B.RowStride, Math.Min(step, _columns - first), TTile.Columns, _depth);
            }
            else
            {
                var step = PanelsOfAToPack * TTile.Rows;
                var first = (block - PackBlocksOfB) * step;
                Panels.Pack(_packedA + ((nint)first * _depth), _task.A.At(_row + first, _k),
                    _task.A.RowStride, _task.A.ColumnStride, Math.Min(step, _rows - first), TTile.Rows, _depth);
            }
        }

        /// <summary>A block of Y. Neighbouring numbers share the rows of A, which stay in the second-level cache.</summary>
        public void Multiply(int block)
        {
            var columnBlocks = Parts(_columns, _blockColumns);
            var firstRow = block / columnBlocks * _blockRows;
            var firstColumn = block % columnBlocks * _blockColumns;
            var endRow = Math.Min(firstRow + _blockRows, _rows);
            var endColumn = Math.Min(firstColumn + _blockColumns, _columns);
            for (var column = firstColumn; column < endColumn; column += TTile.Columns)
            {
                for (var row = firstRow; row < endRow; row += TTile.Rows)
                {
                    MultiplyTile(row, column);
                }
            }
        }

        private void MultiplyTile(int row, int column)
        {
            var y = _task.Y.At(_row + row, _column + column);
            var a = _packedA + ((nint)row * _depth);
            var b = _packedB + ((nint)column * _depth);
            var accumulate = _task.Accumulate || _k > 0;
            var rows = _rows - row;
            var columns = _columns - column;
            if (rows >= TTile.Rows && columns >= TTile.Columns)
            {
                TTile.Multiply(y, _task.Y.RowStride, a, b, _depth, _task.Scale, accumulate);
            }
            else
            {
                MultiplyEdge(y, a, b, Math.Min(rows, TTile.Rows), Math.Min(columns, TTile.Columns), accumulate);
            }
        }

        /// <summary>A tile that reaches over the edge of Y is computed whole, beside it, and the part within is copied.</summary>
        private void MultiplyEdge(float* y, float* a, float* b, int rows, int columns, bool accumulate)
        {
            var tile = stackalloc float[TTile.Rows * TTile.Columns];
            TTile.Multiply(tile, TTile.Columns, a, b, _depth, _task.Scale, accumulate: false);
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    y[j] = accumulate ? y[j] + tile[j] : tile[j];
                }
                y += _task.Y.RowStride;
                tile += TTile.Columns;
            }
        }

        private static int Parts(int total, int part) => (total + part - 1) / part;
    }

    private readonly struct PackJob<TTile>(Slab<TTile> slab) : IJob where TTile : ITile
    {
        private readonly Slab<TTile> _slab = slab;

        public void Run(int block, Scratch scratch) => _slab.Pack(block);
    }

    private readonly struct MultiplyJob<TTile>(Slab<TTile> slab) : IJob where TTile : ITile
    {
        private readonly Slab<TTile> _slab = slab;

        public void Run(int block, Scratch scratch) => _slab.Multiply(block);
    }
}
