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
    /// Writes the block to shared memory, the rows of one thread a group's width apart, so that
    /// neighbours write to neighbouring addresses.
    /// </summary>
    public readonly void Save(ArrayView<Float4> shared, int thread)
    {
        shared[thread] = Row0;
        shared[thread + GroupOf.MaxThreads] = Row1;
        shared[thread + 2 * GroupOf.MaxThreads] = Row2;
        shared[thread + 3 * GroupOf.MaxThreads] = Row3;
    }

    /// <summary>Adds what a thread saved.</summary>
    public void AddSaved(ArrayView<Float4> shared, int thread)
    {
        Row0 += shared[thread];
        Row1 += shared[thread + GroupOf.MaxThreads];
        Row2 += shared[thread + 2 * GroupOf.MaxThreads];
        Row3 += shared[thread + 3 * GroupOf.MaxThreads];
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
