namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A part of a right factor, [depth, columns] of it, in panels that one tile's columns are wide.
/// </summary>
/// <param name="b">The factor.</param>
/// <param name="panels">Room for <see cref="Length"/> floats.</param>
/// <param name="column">First column of the part.</param>
/// <param name="columns">Columns of the part.</param>
/// <param name="k">First row of the part.</param>
/// <param name="depth">Rows of the part; 0: there is none.</param>
internal readonly unsafe struct PackedFactor<TTile, TB>(TB b, float* panels, int column, int columns, int k, int depth)
    where TTile : ITile where TB : unmanaged, IRightFactor
{
    private const int DepthsToPack = 32;   // by one piece of work

    /// <summary>Rows of the part; 0: there is none.</summary>
    public int Depth => depth;

    /// <summary>
    /// Pieces of the work of packing it: a few rows of B each, or, where they are its columns that
    /// lie whole in memory, one panel.
    /// </summary>
    public int PackBlocks => depth == 0 ? 0
        : b.RowsLieWhole ? (depth + DepthsToPack - 1) / DepthsToPack : (columns + TTile.Columns - 1) / TTile.Columns;

    /// <summary>Floats that a part takes.</summary>
    public static long Length(int columns, int depth) => Panels.Length(columns, TTile.Columns, depth);

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
            var first = block * TTile.Columns;
            Pack(0, first, depth, Math.Min(TTile.Columns, columns - first));
        }
    }

    private void Pack(int firstDepth, int firstColumn, int depths, int width) =>
        b.Pack(Panel(firstColumn) + (firstDepth * TTile.Columns), (nint)TTile.Columns * depth, k + firstDepth,
            column + firstColumn, depths, width, TTile.Columns);
}
