namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The rows of the left factor that one piece of a <see cref="PackedProduct"/> multiplies: read
/// where they lie as far as they fill whole tiles, or packed.
/// </summary>
internal readonly unsafe struct LeftRows<TTile> where TTile : ITile
{
    private readonly Operand first;
    private readonly int rows, depth, inPlace;
    private readonly float* panels;

    /// <param name="first">The factor from the first of the rows on, at depth 0.</param>
    /// <param name="rows">How many.</param>
    /// <param name="depth">The inner dimension.</param>
    /// <param name="inPlace">Whether whole tiles of them are read where they lie.</param>
    /// <param name="panels">
    /// Room for <see cref="Length"/> floats, where <see cref="Pack"/> puts the others, or where
    /// they are already.
    /// </param>
    public LeftRows(in Operand first, int rows, int depth, bool inPlace, float* panels)
    {
        (this.first, this.rows, this.depth) = (first, rows, depth);
        this.inPlace = InPlace(rows, inPlace);
        this.panels = panels;
    }

    /// <summary>Floats that the rows take which are packed.</summary>
    public static long Length(int rows, int depth, bool inPlace) =>
        Panels.Length(rows - InPlace(rows, inPlace), TTile.Rows, depth);

    /// <summary>Packs those that are not read in place.</summary>
    public void Pack()
    {
        if (inPlace < rows && depth > 0)
        {
            Panels.Pack(panels, (nint)TTile.Rows * depth, first.At(inPlace, 0), first.RowStride, first.ColumnStride,
                rows - inPlace, TTile.Rows, depth);
        }
    }

    /// <summary>Whether the tile that begins at a row is read in place.</summary>
    public bool IsInPlace(int row) => row < inPlace;

    /// <summary>The packed tile that begins at a row.</summary>
    public SideBySide Packed(int row) => new(panels + ((nint)(row - inPlace) * depth), TTile.Rows);

    /// <summary>The tile in place that begins at a row, whose rows lie whole.</summary>
    public RowByRow Rows(int row) => new(first.At(row, 0), first.RowStride);

    /// <summary>The same where its columns lie whole.</summary>
    public SideBySide Columns(int row) => new(first.At(row, 0), first.ColumnStride);

    private static int InPlace(int rows, bool inPlace) => inPlace ? rows / TTile.Rows * TTile.Rows : 0;
}
