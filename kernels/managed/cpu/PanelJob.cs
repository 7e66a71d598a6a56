namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A step of a <see cref="PackedProduct"/> in pieces that share no panel of B: each packs those of
/// a few columns for itself and lets many rows of A pass by, read where they lie or packed before.
/// No thread waits for another to pack B.
/// </summary>
internal readonly unsafe struct PanelJob<TTile, TB> : IJob where TTile : ITile where TB : unmanaged, IRightFactor
{
    // Rows of A in one piece: so many that packing B for them is not more than a few parts in a hundred, so few that
    // they stay in the last-level cache for all columns.
    private const int MaxRows = 1024, FewestRows = 192;

    // Pieces for each thread, and groups of columns in all.
    private const int FewestShares = 4, FewestGroups = 8;

    // The last pieces, one for each thread, are cut by rows into so many, which whoever is free first takes.
    private const int LastParts = 4;

    private readonly ProductTask task;
    private readonly TB b;
    private readonly float* packedA;
    private readonly int firstRow, rows, k, depth, pieceRows, groups, whole, last;

    /// <param name="task">The product.</param>
    /// <param name="b">Its B.</param>
    /// <param name="packedA">
    /// Room for the rows of A, where they are packed; null: they are read in place.
    /// </param>
    /// <param name="firstRow">First row of A.</param>
    /// <param name="rows">Rows of A.</param>
    /// <param name="k">First row of B in this step.</param>
    /// <param name="depth">Rows of B in this step.</param>
    /// <param name="threads">How many work.</param>
    public PanelJob(in ProductTask task, in TB b, float* packedA, int firstRow, int rows, int k, int depth, int threads)
    {
        (this.task, this.b) = (task, b);
        this.packedA = packedA;
        (this.firstRow, this.rows, this.k, this.depth) = (firstRow, rows, k, depth);
        pieceRows = RowsOfPiece(task);
        groups = Groups(task);
        last = threads == 1 ? 0 : threads;
        whole = (groups * PackedProduct.Parts(rows, pieceRows)) - last;
    }

    public int Blocks => whole + (last * LastParts);

    /// <summary>The rows of A, to be packed before the pieces run.</summary>
    public PackedFactor<FloatFactor> A => new(new(task.A.T), packedA, firstRow, rows, k, depth, TTile.Rows);

    /// <summary>Whether there is work enough for all threads to be cut so.</summary>
    public static bool Suits(in ProductTask task, int depth, int threads) =>
        task.M >= FewestRows && depth >= PackedProduct.Deep && Groups(task) >= FewestGroups
        && Groups(task) * (ReadsRowsInPlace(task, depth) ? PackedProduct.Parts(task.M, RowsOfPiece(task)) : 1)
            >= FewestShares * threads;

    /// <summary>Whether tiles read A's rows where they lie, and not packed.</summary>
    public static bool ReadsRowsInPlace(in ProductTask task, int depth) => task.A.ColumnStride == 1
        && Slab<TTile, TB>.ReadsInPlace(task.A, depth, Slab<TTile, TB>.GroupColumns);

    /// <summary>Rows of A in one piece.</summary>
    public static int RowsOfPiece(in ProductTask task) => PackedProduct.EvenPart(task.M, MaxRows, TTile.Rows);

    public void Run(int block, Scratch scratch)
    {
        if (block < whole)
        {
            Run(block, 0, 1, scratch);
        }
        else
        {
            Run(whole + ((block - whole) / LastParts), (block - whole) % LastParts, LastParts, scratch);
        }
    }

    private static int Groups(in ProductTask task) => PackedProduct.Parts(task.N, Slab<TTile, TB>.GroupColumns);

    /// <summary>Computes one of equal parts of a piece.</summary>
    private void Run(int piece, int part, int parts, Scratch scratch)
    {
        var column = piece % groups * Slab<TTile, TB>.GroupColumns;
        var columns = Math.Min(Slab<TTile, TB>.GroupColumns, task.N - column);
        var start = piece / groups * pieceRows;
        var partRows = PackedProduct.EvenPart(pieceRows, PackedProduct.Parts(pieceRows, parts), TTile.Rows);
        var first = start + (part * partRows);
        var end = Math.Min(rows, Math.Min(start + pieceRows, first + partRows));
        if (first >= end)
        {
            return;
        }
        var memory = scratch.ForProduct(Slab<TTile, TB>.Length(task, columns, depth));
        var slab = new Slab<TTile, TB>(task, b, memory, column, columns, k, depth);
        for (var i = 0; i < slab.PackBlocks; i++)
        {
            slab.Pack(i);
        }
        slab.Multiply(firstRow + first, end - first, 0, columns,
            packedA == null ? null : packedA + ((nint)first * depth), scratch);
    }
}
