namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A part of a factor, [depth, columns] of it, in panels that one tile's columns are wide; or of a
/// left factor's transpose, in panels of one tile's rows.
/// </summary>
/// <param name="b">The factor.</param>
/// <param name="panels">Room for it: <see cref="Panels.Length"/>.</param>
/// <param name="column">First column of the part.</param>
/// <param name="columns">Columns of the part.</param>
/// <param name="k">First row of the part.</param>
/// <param name="depth">Rows of the part; 0: there is none.</param>
/// <param name="width">Columns of a panel.</param>
internal readonly unsafe struct PackedFactor<TB>(TB b, float* panels, int column, int columns, int k, int depth,
    int width) where TB : unmanaged, IRightFactor
{
    private const int DepthsToPack = 32;   // by one piece of work

    /// <summary>Rows of the part; 0: there is none.</summary>
    public int Depth => depth;

    /// <summary>
    /// Pieces of the work of packing it: a few rows of B each, or, where they are its columns that
    /// lie whole in memory, one panel.
    /// </summary>
    public int PackBlocks => depth == 0 ? 0
        : b.RowsLieWhole ? PackedProduct.Parts(depth, DepthsToPack) : PackedProduct.Parts(columns, width);

    /// <summary>The panel that begins at a column of the part.</summary>
    public float* Panel(int column) => panels + ((nint)column * depth);

    /// <summary>Packs one piece.</summary>
    public void Pack(int block)
    {
        if (b.RowsLieWhole)
        {
            var first = block * DepthsToPack;
            Pack(first, 0, Math.Min(DepthsToPack, depth - first), columns);
        }
        else
        {
            var first = block * width;
            Pack(0, first, depth, Math.Min(width, columns - first));
        }
    }

    private void Pack(int firstDepth, int firstColumn, int depths, int count) =>
        b.Pack(Panel(firstColumn) + (firstDepth * width), (nint)width * depth, k + firstDepth,
            column + firstColumn, depths, count, width);

    /// <summary>Packs a piece of a factor that all threads read.</summary>
    public readonly struct Job(PackedFactor<TB> factor) : IJob
    {
        public void Run(int block, Scratch scratch) => factor.Pack(block);
    }
}
