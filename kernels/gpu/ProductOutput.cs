using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>Where a product is written, and what is added to it there.</summary>
/// <param name="y">The buffer.</param>
/// <param name="fours">The same in fours.</param>
/// <param name="offset">The first element.</param>
/// <param name="batchStride">Elements from a matrix to the next of the batch.</param>
/// <param name="stride">Elements from a row to the next.</param>
/// <param name="rows">Rows of a matrix.</param>
/// <param name="columns">Columns of a matrix.</param>
/// <param name="scale">A factor on the product.</param>
/// <param name="z">
/// What is added to the product: Y itself, if <see cref="ProductModes.Accumulate"/>, or another, if
/// <see cref="ProductModes.Plus"/>.
/// </param>
/// <param name="second">
/// A second product that is added after that, if <see cref="ProductModes.Second"/>.
/// </param>
/// <param name="modes">See <see cref="ProductModes"/>.</param>
internal readonly struct ProductOutput(ArrayView<float> y, ArrayView<Float4> fours, int offset, int batchStride,
    int stride, int rows, int columns, float scale, ProductAddend z, SecondProduct second, ProductModes modes)
{
    /// <summary>Whether what the tiles have as rows are the columns of Y.</summary>
    public bool IsMirrored => (modes & ProductModes.Mirrored) != 0;

    private bool HasAddend => (modes & (ProductModes.Accumulate | ProductModes.Plus)) != 0;

    /// <summary>Index of the first element of a matrix.</summary>
    public int First(int batch) => offset + batch * batchStride;

    /// <summary>
    /// Writes four neighbours in a row, or those that lie within Y. It stands in a tile's kernel
    /// sixteen times, so that what is done rarely is a loop.
    /// </summary>
    public void Write(int first, int row, int column, Float4 product)
    {
        if (row >= rows || column >= columns)
        {
            return;
        }
        var index = first + row * stride + column;
        var added = AddendIndex(index, row, column);
        var after = default(Float4);
        if ((modes & ProductModes.Second) != 0)
        {
            after = second.At(row, column, columns - column);
        }
        // Factors stand beside their sums, so that a compiler that joins both does so here as where the second product
        // is a kernel of its own.
        if ((modes & ProductModes.Fours) != 0)
        {
            var value = HasAddend ? z.Fours[added / 4] + scale * product : scale * product;
            fours[index / 4] = value + second.Scale * after;
            return;
        }
        for (var i = 0; i < 4 && column + i < columns; i++)
        {
            var one = product.Element(i);
            var value = HasAddend ? z.Elements[added + i] + scale * one : scale * one;
            y[index + i] = value + second.Scale * after.Element(i);
        }
    }

    /// <summary>Writes element i of all matrices of the batch.</summary>
    public void WriteElement(int i, float product)
    {
        int row = i / columns % rows, column = i % columns;
        var index = First(i / columns / rows) + row * stride + column;
        var after = (modes & ProductModes.Second) != 0 ? second.At(row, column, 1).X : 0;
        var value = HasAddend ? z.Elements[AddendIndex(index, row, column)] + scale * product : scale * product;
        y[index] = value + second.Scale * after;
    }

    private int AddendIndex(int index, int row, int column) =>
        (modes & ProductModes.Accumulate) != 0 ? index : z.Index(row, column);
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

/// <summary>
/// C·D of a small depth, element by element: what a low-rank update adds to a layer's output. The
/// sums are those that a tile of the product by itself would have.
/// </summary>
/// <param name="c">[rows, depth]</param>
/// <param name="d">[depth, columns]</param>
/// <param name="depth">How deep.</param>
/// <param name="scale">A factor on it.</param>
internal readonly struct SecondProduct(MatrixView c, MatrixView d, int depth, float scale)
{
    /// <summary>A factor on the product.</summary>
    public readonly float Scale = scale;

    /// <summary>Four neighbours in a row, without the factor.</summary>
    /// <param name="row">The row.</param>
    /// <param name="column">Of the first.</param>
    /// <param name="left">Columns from there on: in place of one past them stands the last.</param>
    public Float4 At(int row, int column, int left)
    {
        int atC = c.At(0, row, 0), atD = d.At(0, 0, column);
        int one = left > 1 ? d.ColumnStep : 0, two = left > 2 ? one + d.ColumnStep : one;
        var three = left > 3 ? two + d.ColumnStep : two;
        var sum = default(Float4);
        for (var k = 0; k < depth; k++)
        {
            sum += c.Elements[atC] * new Float4(d.Elements[atD], d.Elements[atD + one], d.Elements[atD + two],
                d.Elements[atD + three]);
            atC += c.ColumnStep;
            atD += d.RowStep;
        }
        return sum;
    }
}

/// <summary>How a product is written.</summary>
[Flags]
internal enum ProductModes
{
    None = 0,

    /// <summary>Y, as it was, is added to it.</summary>
    Accumulate = 1,

    /// <summary>
    /// Four neighbours by one instruction: sizes, strides and offset are multiples of 4.
    /// </summary>
    Fours = 2,

    /// <summary>The tiles belong to Yᵀ.</summary>
    Mirrored = 4,

    /// <summary>Another matrix is added.</summary>
    Plus = 8,

    /// <summary>A second product is added.</summary>
    Second = 16,
}
