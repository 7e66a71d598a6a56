namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The factor B [K, N] of a <see cref="PackedProduct"/>: it can be packed into panels, piece by
/// piece.
/// </summary>
internal unsafe interface IRightFactor
{
    /// <summary>Whether the rows of B lie whole in memory; otherwise its columns do.</summary>
    bool RowsLieWhole { get; }

    /// <summary>Pieces start at multiples of this, in the direction that lies whole.</summary>
    static abstract int Multiple { get; }

    /// <summary>
    /// Packs B[k … k + depth, column … column + columns]; see <see cref="Panels.Pack"/>.
    /// </summary>
    /// <param name="panels">Where depth <paramref name="k"/> of the first panel goes.</param>
    /// <param name="panelLength">Elements from one panel to the next.</param>
    /// <param name="k">First row.</param>
    /// <param name="column">First column.</param>
    /// <param name="width">Columns of a panel.</param>
    void Pack(float* panels, nint panelLength, int k, int column, int depth, int columns, int width);
}

/// <summary>A matrix of floats.</summary>
internal readonly unsafe struct FloatFactor(Operand b) : IRightFactor
{
    public static int Multiple => 1;

    public bool RowsLieWhole => b.ColumnStride == 1;

    public void Pack(float* panels, nint panelLength, int k, int column, int depth, int columns, int width) =>
        Panels.Pack(panels, panelLength, b.At(k, column), b.ColumnStride, b.RowStride, columns, width, depth);
}

/// <summary>
/// A packed weight Ŵ, or Ŵᵀ: a few rows of it at a time are decoded into the first-level cache, and
/// from there into the panels.
/// </summary>
internal readonly unsafe struct QuantizedFactor<V, R, TCodes>(PackedWeight weight, bool transposed) : IRightFactor
    where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
{
    private const int MaxWidth = 48;                               // of a panel
    // of a panel's columns, where those are stored rows: a cache line of codes of four bits
    private const int DepthsAtOnce = 128;
    // of stored rows: whole panels, of 48, 32, 16 or 8 columns
    private const int RowsAtOnce = 8, ColumnsAtOnce = 192;

    public static int Multiple => PackedCodes.BlockSize;

    public bool RowsLieWhole => !transposed;

    public void Pack(float* panels, nint panelLength, int k, int column, int depth, int columns, int width)
    {
        if (transposed)
        {
            PackStoredRowsAsColumns(panels, panelLength, k, column, depth, columns, width);
        }
        else
        {
            PackStoredRowsAsRows(panels, panelLength, k, column, depth, columns, width);
        }
    }

    private void PackStoredRowsAsColumns(float* panels, nint panelLength, int k, int column, int depth, int columns,
        int width)
    {
        var values = stackalloc float[MaxWidth * DepthsAtOnce];
        for (var first = 0; first < columns; first += width)
        {
            var count = Math.Min(width, columns - first);
            for (var at = 0; at < depth; at += DepthsAtOnce)
            {
                var depths = Math.Min(DepthsAtOnce, depth - at);
                for (var i = 0; i < count; i++)
                {
                    // for the next panel: what a panel needs of a row is too short to be foreseen by the processor
                    weight.Prefetch(column + first + i + width, k + at);
                    weight.Decode<V, R, TCodes>(values + (i * DepthsAtOnce), column + first + i, k + at, depths);
                }
                Panels.Pack(panels + (first / width * panelLength) + (at * width), panelLength, values, DepthsAtOnce,
                    1, count, width, depths);
            }
        }
    }

    private void PackStoredRowsAsRows(float* panels, nint panelLength, int k, int column, int depth, int columns,
        int width)
    {
        var values = stackalloc float[RowsAtOnce * ColumnsAtOnce];
        for (var at = 0; at < depth; at += RowsAtOnce)
        {
            var rows = Math.Min(RowsAtOnce, depth - at);
            for (var first = 0; first < columns; first += ColumnsAtOnce)
            {
                var count = Math.Min(ColumnsAtOnce, columns - first);
                for (var i = 0; i < rows; i++)
                {
                    weight.Decode<V, R, TCodes>(values + (i * ColumnsAtOnce), k + at + i, column + first, count);
                }
                Panels.Pack(panels + (first / width * panelLength) + (at * width), panelLength, values, 1,
                    ColumnsAtOnce, count, width, rows);
            }
        }
    }
}
