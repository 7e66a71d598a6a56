using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// 4 × 4 elements of a product, in the registers of one thread. They have names, because ILGPU does
/// not unroll loops, and an array whose index is not known at compile time would lie in memory.
/// </summary>
internal struct Block
{
    public Float4 Row0, Row1, Row2, Row3;

    /// <summary>The columns as rows.</summary>
    public readonly Block Transposed => new()
    {
        Row0 = new(Row0.X, Row1.X, Row2.X, Row3.X),
        Row1 = new(Row0.Y, Row1.Y, Row2.Y, Row3.Y),
        Row2 = new(Row0.Z, Row1.Z, Row2.Z, Row3.Z),
        Row3 = new(Row0.W, Row1.W, Row2.W, Row3.W),
    };

    /// <summary>block += a·bᵀ</summary>
    public void MultiplyAdd(Float4 a, Float4 b)
    {
        Row0 += a.X * b;
        Row1 += a.Y * b;
        Row2 += a.Z * b;
        Row3 += a.W * b;
    }

    /// <summary>
    /// Saves the block, its rows as far apart as there are threads that save theirs, so that
    /// neighbours write to neighbouring addresses.
    /// </summary>
    /// <param name="memory">Where.</param>
    /// <param name="at">The place of the first row.</param>
    /// <param name="threads">How far the rows are apart.</param>
    public readonly void Save(ArrayView<Float4> memory, int at, int threads)
    {
        memory[at] = Row0;
        memory[at + threads] = Row1;
        memory[at + 2 * threads] = Row2;
        memory[at + 3 * threads] = Row3;
    }

    /// <summary>Adds what was saved.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="at">The place of the first row.</param>
    /// <param name="threads">How far the rows are apart.</param>
    public void AddSaved(ArrayView<Float4> memory, int at, int threads)
    {
        Row0 += memory[at];
        Row1 += memory[at + threads];
        Row2 += memory[at + 2 * threads];
        Row3 += memory[at + 3 * threads];
    }

    /// <summary>Writes the block, its first element at (row, column).</summary>
    public readonly void Write(in ProductOutput y, int first, int row, int column)
    {
        y.Write(first, row, column, Row0);
        y.Write(first, row + 1, column, Row1);
        y.Write(first, row + 2, column, Row2);
        y.Write(first, row + 3, column, Row3);
    }
}
