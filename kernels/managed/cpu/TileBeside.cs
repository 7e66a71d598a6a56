namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A tile of a matrix in memory of its own, its columns side by side: for tiles that reach over the
/// matrix's edge, or whose rows do not lie whole there.
/// </summary>
internal static unsafe class TileBeside
{
    /// <summary>Copies what of the tile lies within the matrix.</summary>
    /// <param name="tile">[…, stride]</param>
    /// <param name="stride">Elements between rows of the tile.</param>
    /// <param name="matrix">The matrix from the tile's corner on.</param>
    /// <param name="rows">Rows of the tile within it.</param>
    /// <param name="columns">Columns of the tile within it.</param>
    public static void Load(float* tile, int stride, in Operand matrix, int rows, int columns)
    {
        if (matrix.ColumnStride == 1)
        {
            CopyLines(tile, stride, matrix.First, matrix.RowStride, rows, columns);
        }
        else
        {
            Transposition.Run(tile, stride, matrix.First, matrix.ColumnStride, columns, rows);
        }
    }

    /// <summary>Copies that part back.</summary>
    /// <param name="matrix">The matrix from the tile's corner on.</param>
    /// <param name="tile">[…, stride]</param>
    /// <param name="stride">Elements between rows of the tile.</param>
    /// <param name="rows">Rows of the tile within it.</param>
    /// <param name="columns">Columns of the tile within it.</param>
    public static void Store(in Operand matrix, float* tile, int stride, int rows, int columns)
    {
        if (matrix.ColumnStride == 1)
        {
            CopyLines(matrix.First, matrix.RowStride, tile, stride, rows, columns);
        }
        else
        {
            Transposition.Run(matrix.First, matrix.ColumnStride, tile, stride, rows, columns);
        }
    }

    private static void CopyLines(float* to, nint toStride, float* from, nint fromStride, int lines, int length)
    {
        for (var i = 0; i < lines; i++)
        {
            new ReadOnlySpan<float>(from + (i * fromStride), length).CopyTo(
                new Span<float>(to + (i * toStride), length));
        }
    }
}
