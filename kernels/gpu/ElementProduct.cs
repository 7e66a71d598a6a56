using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// A small product, an element of Y for each thread: neighbours read neighbours of B, and a row of
/// A together.
/// </summary>
/// <param name="y">[M, N]</param>
/// <param name="a">[M, K]</param>
/// <param name="b">[K, N]</param>
/// <param name="rows">M</param>
/// <param name="columns">N</param>
/// <param name="depth">K</param>
internal readonly struct ElementProductKernel(ProductOutput y, MatrixView a, MatrixView b, int rows, int columns,
    int depth) : IThreadKernel
{
    public void At(int i)
    {
        int batch = i / columns / rows, row = i / columns % rows, column = i % columns;
        int atA = a.At(batch, row, 0), atB = b.At(batch, 0, column);
        var sum = 0f;
        for (var k = 0; k < depth; k++)
        {
            sum += a.Elements[atA] * b.Elements[atB];
            atA += a.ColumnStep;
            atB += b.RowStep;
        }
        y.WriteElement(i, sum);
    }
}

/// <summary>The elements of a <see cref="Matrix"/>.</summary>
internal readonly struct MatrixView(ArrayView<float> elements, Matrix matrix)
{
    public readonly ArrayView<float> Elements = elements;

    /// <summary>Elements from one row to the next, and from one column to the next.</summary>
    public readonly int RowStep = matrix.Transposed ? 1 : matrix.RowStride,
        ColumnStep = matrix.Transposed ? matrix.RowStride : 1;

    private readonly int offset = matrix.Offset, batchStride = matrix.BatchStride;

    public int At(int batch, int row, int column) => offset + batch * batchStride + row * RowStep + column * ColumnStep;
}
