using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Where a product is written: Y, or, for a product whose depth is cut into parts, the memory that
/// holds a matrix for each part.
/// </summary>
/// <param name="fours">The same in fours.</param>
/// <param name="offset">The first element.</param>
/// <param name="batchStride">Elements from a matrix to the next of the batch.</param>
/// <param name="partStride">Elements from a part to the next.</param>
/// <param name="stride">Elements from a row to the next.</param>
/// <param name="rows">Rows of a matrix.</param>
/// <param name="columns">Columns of a matrix.</param>
/// <param name="z">What is added to the product, if <see cref="ProductModes.Plus"/>.</param>
/// <param name="modes">See <see cref="ProductModes"/>.</param>
internal readonly struct ProductOutput(ArrayView<float> y, ArrayView<Float4> fours, int offset, int batchStride,
    int partStride, int stride, int rows, int columns, float scale, ProductAddend z, ProductModes modes)
{
    /// <summary>Whether what the tiles have as rows are the columns of Y.</summary>
    public bool IsMirrored => (modes & ProductModes.Mirrored) != 0;

    private bool Accumulates => (modes & ProductModes.Accumulate) != 0;

    private bool HasAddend => (modes & ProductModes.Plus) != 0;

    /// <summary>Index of the first element of a matrix.</summary>
    public int First(int batch, int part) => offset + batch * batchStride + part * partStride;

    /// <summary>Writes four neighbours in a row, or those that lie within Y.</summary>
    public void Write(int first, int row, int column, Float4 product)
    {
        if (row >= rows || column >= columns)
        {
            return;
        }
        var index = first + row * stride + column;
        if ((modes & ProductModes.Fours) != 0)
        {
            var value = scale * product;
            fours[index / 4] = Accumulates ? fours[index / 4] + value
                : HasAddend ? z.Fours[z.Index(row, column) / 4] + value : value;
            return;
        }
        Write(index, row, column, product.X);
        if (column + 1 < columns)
        {
            Write(index + 1, row, column + 1, product.Y);
        }
        if (column + 2 < columns)
        {
            Write(index + 2, row, column + 2, product.Z);
        }
        if (column + 3 < columns)
        {
            Write(index + 3, row, column + 3, product.W);
        }
    }

    /// <summary>Writes element i of all matrices of the batch.</summary>
    public void WriteElement(int i, float product)
    {
        var row = i / columns;
        Write(First(row / rows, 0) + row % rows * stride + i % columns, row, i % columns, product);
    }

    private void Write(int index, int row, int column, float product)
    {
        var value = scale * product;
        y[index] = Accumulates ? y[index] + value : HasAddend ? z.Elements[z.Index(row, column)] + value : value;
    }
}

/// <summary>Z of Y = Z + scale · A·B: one matrix, or one row for every row of Y.</summary>
/// <param name="elements">The buffer.</param>
/// <param name="fours">The same in fours.</param>
/// <param name="offset">The first element.</param>
/// <param name="stride">Elements from a row to the next; 0: the same row.</param>
internal readonly struct ProductAddend(ArrayView<float> elements, ArrayView<Float4> fours, int offset, int stride)
{
    public readonly ArrayView<float> Elements = elements;

    public readonly ArrayView<Float4> Fours = fours;

    public int Index(int row, int column) => offset + row * stride + column;
}

/// <summary>How a product is written.</summary>
[Flags]
internal enum ProductModes
{
    None = 0,

    /// <summary>Added to what is there.</summary>
    Accumulate = 1,

    /// <summary>
    /// Four neighbours by one instruction: sizes, strides and offset are multiples of 4.
    /// </summary>
    Fours = 2,

    /// <summary>The tiles belong to Yᵀ.</summary>
    Mirrored = 4,

    /// <summary>Another matrix is added.</summary>
    Plus = 8,
}

/// <summary>
/// y = scale·Σ parts, or y += scale·Σ parts: the parts are added in their order, so that the same
/// launch gives the same bits.
/// </summary>
/// <param name="values">[parts, batch · rows · columns]</param>
/// <param name="parts">How many there are.</param>
/// <param name="partStride">Elements of a part.</param>
internal readonly struct SumPartsKernel(ProductOutput y, ArrayView<float> values, int parts, int partStride)
    : IThreadKernel
{
    public void At(int i)
    {
        var sum = values[i];
        for (var part = 1; part < parts; part++)
        {
            sum += values[part * partStride + i];
        }
        y.WriteElement(i, sum);
    }
}
