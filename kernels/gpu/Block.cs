namespace LoraScratch.Kernels.Gpu;

/// <summary>4 × 4 elements of Y.</summary>
internal struct Block
{
    public Float4 Row0, Row1, Row2, Row3;

    /// <summary>block += a·bᵀ</summary>
    public void MultiplyAdd(Float4 a, Float4 b)
    {
        Row0 = Add(Row0, a.X, b);
        Row1 = Add(Row1, a.Y, b);
        Row2 = Add(Row2, a.Z, b);
        Row3 = Add(Row3, a.W, b);
    }

    /// <summary>row + a·b</summary>
    private static Float4 Add(Float4 row, float a, Float4 b) => new(row.X + a * b.X, row.Y + a * b.Y, row.Z + a * b.Z, row.W + a * b.W);
}
