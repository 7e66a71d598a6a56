namespace LoraScratch.Kernels;

/// <summary>
/// How a matrix product reads or writes a buffer: [Rows, Columns], row-major with RowStride
/// elements from one stored row to the next, starting at Offset. Batch matrices of that form lie
/// BatchStride elements apart (the heads of an attention layer are columns of one buffer:
/// BatchStride = head width, RowStride = hidden width).
/// </summary>
public readonly record struct Matrix
{
    /// <summary>A matrix over a part of a buffer.</summary>
    /// <param name="rows">Rows as the product sees them, after <see cref="T"/>.</param>
    /// <param name="columns">Columns as the product sees them, after <see cref="T"/>.</param>
    /// <param name="rowStride">
    /// Elements between two stored rows (the stored rows are the columns when
    /// <paramref name="transposed"/>).
    /// </param>
    /// <param name="offset">Index of the first element.</param>
    /// <param name="transposed">True: element (i, j) is stored at row j, column i.</param>
    /// <param name="batch">How many such matrices there are.</param>
    /// <param name="batchStride">
    /// Elements between the first elements of two neighbours in the batch; 0 repeats one matrix.
    /// </param>
    internal Matrix(DeviceBuffer<float> buffer, int rows, int columns, int rowStride, int offset = 0,
        bool transposed = false, int batch = 1, int batchStride = 0)
    {
        (Buffer, Rows, Columns, RowStride, Offset) = (buffer, rows, columns, rowStride, offset);
        (Transposed, Batch, BatchStride) = (transposed, batch, batchStride);
    }

    /// <summary>A dense [rows, columns] matrix over the whole buffer.</summary>
    internal Matrix(DeviceBuffer<float> buffer, int rows, int columns) : this(buffer, rows, columns, columns) { }

    /// <summary>A [rows, columns] matrix of which every row is the same one.</summary>
    /// <param name="row">[columns]</param>
    /// <param name="rows">How many.</param>
    internal static Matrix EveryRow(DeviceBuffer<float> row, int rows) => new(row, rows, row.Length, rowStride: 0);

    internal DeviceBuffer<float> Buffer { get; init; }

    /// <summary>Rows as the product sees them, after <see cref="T"/>.</summary>
    public int Rows { get; internal init; }

    /// <summary>Columns as the product sees them, after <see cref="T"/>.</summary>
    public int Columns { get; internal init; }

    internal int RowStride { get; init; }

    internal int Offset { get; init; }

    internal bool Transposed { get; init; }

    internal int Batch { get; init; }

    internal int BatchStride { get; init; }

    /// <summary>The transposed matrix over the same memory: nothing is copied.</summary>
    public Matrix T => this with { Rows = Columns, Columns = Rows, Transposed = !Transposed };

    /// <summary>The shape and layout for error messages, such as "[3, 5]ᵀ".</summary>
    public override string ToString() =>
        $"{(Batch > 1 ? $"{Batch} × " : "")}[{Rows}, {Columns}]{(Transposed ? "ᵀ" : "")}";
}
