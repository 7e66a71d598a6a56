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

    /// <summary>The same, or null for no matrix.</summary>
    public float* AtOrNull(int row, int column) => First == null ? null : At(row, column);

    /// <summary>The rows from one on.</summary>
    public Operand From(int row) => From(At(row, 0));

    /// <summary>The matrix from one of its elements on.</summary>
    public Operand From(float* corner) => new(corner, RowStride, ColumnStride);
}

/// <summary>scale · C·D: a second product that is added to another one's.</summary>
/// <param name="c">[M, depth]</param>
/// <param name="d">[depth, N]</param>
/// <param name="depth">The inner dimension; 0: no second product.</param>
internal readonly struct ProductTerm(Operand c, Operand d, int depth, float scale)
{
    public readonly Operand C = c, D = d;

    public readonly int Depth = depth;

    public readonly float Scale = scale;

    /// <summary>The same for some of the rows.</summary>
    public ProductTerm From(int row) => Depth == 0 ? default : new(C.From(row), D, Depth, Scale);

    /// <summary>The same numbers as scale · Dᵀ·Cᵀ.</summary>
    public ProductTerm T => new(D.T, C.T, Depth, Scale);
}

/// <summary>
/// Y = Z + scale · A·B, or without Z, for one [M, N], [M, K] and [K, N]; and a second product added
/// to it, where there is one.
/// </summary>
/// <param name="y">[M, N]</param>
/// <param name="z">
/// [M, N], whose lines lie as those of Y do: Y itself, another matrix, or one row again and again;
/// default: none.
/// </param>
/// <param name="a">[M, K]</param>
/// <param name="b">[K, N]</param>
/// <param name="asRows">
/// As how many rows those of Y are computed (<see cref="IndependentRows"/>); 0: as many as they
/// are.
/// </param>
/// <param name="second">The second product; default: none.</param>
internal readonly unsafe struct ProductTask(Operand y, Operand z, Operand a, Operand b, int m, int n, int k,
    float scale, int asRows = 0, ProductTerm second = default)
{
    public readonly Operand Y = y, Z = z, A = a, B = b;

    public readonly int M = m, N = n, K = k;

    public readonly float Scale = scale;

    /// <summary>What is added to the product; its depth is 0 where nothing is.</summary>
    public readonly ProductTerm Second = second;

    /// <summary>Whether there is a Z.</summary>
    public bool Adds => Z.First != null;

    /// <summary>As how many rows those of Y are computed; 0: as many as they are.</summary>
    public readonly int AsRows = asRows;

    /// <summary>The number of rows by which the way of computing is chosen.</summary>
    public int RowsOfForm => AsRows > 0 ? AsRows : M;

    /// <summary>The same and a second product.</summary>
    public ProductTask Plus(in ProductTerm term) => new(Y, Z, A, B, M, N, K, Scale, AsRows, term);

    /// <summary>The product for some of the rows.</summary>
    public ProductTask Part(int row, int rows) => new(Y.From(row), Adds ? Z.From(row) : default, A.From(row), B, rows,
        N, K, Scale, AsRows, Second.From(row));

    /// <summary>The same numbers as Yᵀ = Zᵀ + scale · Bᵀ·Aᵀ.</summary>
    public ProductTask T => new(Y.T, Z.T, B.T, A.T, N, M, K, Scale, second: Second.T);
}
