namespace LoraScratch.Kernels;

/// <summary>
/// How a matrix product reads or writes a buffer: [Rows, Columns], row-major with
/// <see cref="RowStride"/> elements from one stored row to the next, starting at
/// <see cref="Offset"/>. <see cref="Batch"/> matrices of that form lie <see cref="BatchStride"/>
/// elements apart (the heads of an attention layer are columns of one buffer: BatchStride = head
/// width, RowStride = hidden width).
/// </summary>
/// <param name="Buffer">The memory.</param>
/// <param name="Rows">Rows as the product sees them, after <see cref="T"/>.</param>
/// <param name="Columns">Columns as the product sees them, after <see cref="T"/>.</param>
/// <param name="RowStride">
/// Elements between two stored rows (the stored rows are the columns when
/// <paramref name="Transposed"/>).
/// </param>
/// <param name="Offset">Index of the first element.</param>
/// <param name="Transposed">True: element (i, j) is stored at row j, column i.</param>
/// <param name="Batch">How many such matrices there are.</param>
/// <param name="BatchStride">
/// Elements between the first elements of two neighbours in the batch; 0 repeats one matrix.
/// </param>
public readonly record struct Matrix(
    DeviceBuffer<float> Buffer, int Rows, int Columns, int RowStride, int Offset = 0, bool Transposed = false,
    int Batch = 1, int BatchStride = 0)
{
    /// <summary>A dense [rows, columns] matrix over the whole buffer.</summary>
    public Matrix(DeviceBuffer<float> buffer, int rows, int columns) : this(buffer, rows, columns, columns) { }

    /// <summary>The transposed matrix over the same memory: nothing is copied.</summary>
    public Matrix T => this with { Rows = Columns, Columns = Rows, Transposed = !Transposed };

    /// <summary>The shape and layout for error messages, such as "[3, 5]ᵀ".</summary>
    public override string ToString() =>
        $"{(Batch > 1 ? $"{Batch} × " : "")}[{Rows}, {Columns}]{(Transposed ? "ᵀ" : "")}";
}
