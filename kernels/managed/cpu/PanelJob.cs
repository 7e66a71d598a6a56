namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A step of a <see cref="PackedProduct"/> in pieces that share nothing: each packs the panels of a
/// few columns of B for itself and lets many rows of A pass by, read where they lie. No thread waits
/// for another to pack.
/// </summary>
internal readonly unsafe struct PanelJob<TTile, TB> : IJob where TTile : ITile where TB : unmanaged, IRightFactor
{
    // Rows of A in one piece: so many that packing B for them is not more than a few parts in a hundred, so few that
    // they stay in the last-level cache for all columns.
    private const int MaxRows = 1024, FewestRows = 192;

    // Pieces for each thread, and in all.
    private const int FewestShares = 4, FewestGroups = 8;

    // The last pieces, one for each thread, are cut by rows into so many, which whoever is free first takes.
    private const int LastParts = 4;

    private readonly ProductTask task;
    private readonly TB b;
    private readonly int k, depth, threads, rows, groups, whole;

    /// <param name="task">The product.</param>
    /// <param name="b">Its B.</param>
    /// <param name="k">First row of B in this step.</param>
    /// <param name="depth">Rows of B in this step.</param>
    /// <param name="threads">How many work.</param>
    public PanelJob(in ProductTask task, in TB b, int k, int depth, int threads)
    {
        (this.task, this.b, this.k, this.depth, this.threads) = (task, b, k, depth, threads);
        rows = RowsOfPiece(task);
        groups = Groups(task);
        var pieces = groups * PackedProduct.Parts(task.M, rows);
        whole = threads == 1 ? pieces : pieces - threads;
    }

    public int Blocks => whole + (threads == 1 ? 0 : threads * LastParts);

    /// <summary>Whether there is work enough for all threads to be cut so.</summary>
    public static bool Suits(in ProductTask task, int depth, int threads) =>
        task.M >= FewestRows && depth >= PackedProduct.Deep && task.A.ColumnStride == 1 && Groups(task) >= FewestGroups
        && Groups(task) * PackedProduct.Parts(task.M, RowsOfPiece(task)) >= FewestShares * threads
        && Slab<TTile, TB>.ReadsInPlace(task.A, depth, Slab<TTile, TB>.GroupColumns);

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

    private static int RowsOfPiece(in ProductTask task) => PackedProduct.EvenPart(task.M, MaxRows, TTile.Rows);

    private static int Groups(in ProductTask task) => PackedProduct.Parts(task.N, Slab<TTile, TB>.GroupColumns);

    private void Run(int piece, int part, int parts, Scratch scratch)
    {
        var column = Column(piece);
        var columns = Columns(piece);
        var slab = new Slab<TTile, TB>(task, b, scratch.ForProduct(Slab<TTile, TB>.Length(task, columns, depth)), column,
            columns, k, depth);
        for (var i = 0; i < slab.PackBlocks; i++)
        {
            slab.Pack(i);
        }
        var partRows = PackedProduct.EvenPart(rows, PackedProduct.Parts(rows, parts), TTile.Rows);
        var first = (piece / groups * rows) + (part * partRows);
        var end = Math.Min(task.M, Math.Min((piece / groups * rows) + rows, first + partRows));
        slab.Multiply(first, end - first, 0, columns, scratch);
    }

    private int Column(int piece) => piece % groups * Slab<TTile, TB>.GroupColumns;

    private int Columns(int piece) => Math.Min(Slab<TTile, TB>.GroupColumns, task.N - Column(piece));
}
