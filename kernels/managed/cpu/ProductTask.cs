namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// One matrix in memory: element (i, j) lies i·RowStride + j·ColumnStride after the first. One of
/// the strides is 1.
/// </summary>
internal readonly unsafe struct Operand(float* first, nint rowStride, nint columnStride)
{
    /// <summary>Element (0, 0).</summary>
    public readonly float* First = first;

    public readonly nint RowStride = rowStride;

    public readonly nint ColumnStride = columnStride;

    /// <summary>The transposed matrix over the same memory.</summary>
    public Operand T => new(First, ColumnStride, RowStride);

    /// <summary>
    /// A row-major matrix whose stored rows are <paramref name="stride"/> apart, or its transpose.
    /// </summary>
    public static Operand RowMajor(float* first, nint stride, bool transposed) =>
        transposed ? new(first, 1, stride) : new(first, stride, 1);

    public float* At(int row, int column) => First + (row * RowStride) + (column * ColumnStride);
}

/// <summary>Y = scale · A·B, or Y += scale · A·B, for one [M, N], [M, K] and [K, N].</summary>
internal readonly struct ProductTask(Operand y, Operand a, Operand b, int m, int n, int k, float scale, bool accumulate)
{
    public readonly Operand Y = y, A = a, B = b;

    public readonly int M = m, N = n, K = k;

    public readonly float Scale = scale;

    public readonly bool Accumulate = accumulate;

    /// <summary>The same numbers as Yᵀ = scale · Bᵀ·Aᵀ.</summary>
    public ProductTask T => new(Y.T, B.T, A.T, N, M, K, Scale, Accumulate);
}
