namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// A matrix of doubles in the host's memory, row-major: what a decomposition needs and float32
/// cannot give. Sums run in one order whatever the processor and the number of threads, so that the
/// same numbers give the same bits.
/// </summary>
internal sealed class DenseMatrix
{
    // Below this many multiplications a second thread costs more than it brings.
    private const long WorkOfThread = 1 << 16;

    /// <summary>A matrix over the given values, which are not copied.</summary>
    /// <param name="values">Row-major; null: zeros.</param>
    /// <exception cref="ShapeMismatchException">There are more or fewer values.</exception>
    public DenseMatrix(int rows, int columns, double[]? values = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if ((long)rows * columns > Array.MaxLength || values is not null && values.Length != rows * columns)
        {
            throw new ShapeMismatchException($"DenseMatrix: [{rows}, {columns}] holds {(long)rows * columns} values, "
                + $"got {values?.Length ?? 0}; at most {Array.MaxLength} can be held.");
        }
        (Rows, Columns, Values) = (rows, columns, values ?? new double[rows * columns]);
    }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>The values, row-major.</summary>
    public double[] Values { get; }

    /// <summary>The element in a row and a column, both from 0.</summary>
    public double this[int row, int column]
    {
        get => Values[row * Columns + column];
        set => Values[row * Columns + column] = value;
    }

    /// <summary>One row.</summary>
    public Span<double> Row(int row) => Values.AsSpan(row * Columns, Columns);

    /// <summary>A matrix of float32 values.</summary>
    /// <param name="values">Row-major [rows, columns].</param>
    public static DenseMatrix From(ReadOnlySpan<float> values, int rows, int columns)
    {
        var doubles = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            doubles[i] = values[i];
        }
        return new DenseMatrix(rows, columns, doubles);
    }

    /// <summary>The values of a tensor of two dimensions.</summary>
    /// <exception cref="ShapeMismatchException">It has not two dimensions.</exception>
    public static DenseMatrix From(Tensor tensor) => tensor.Shape.Rank == 2
        ? From(tensor.ToArray(), tensor.Shape[0], tensor.Shape[1])
        : throw new ShapeMismatchException($"DenseMatrix: needs a matrix, got {tensor.Shape}.");

    /// <summary>Ones on the diagonal, zeros elsewhere.</summary>
    public static DenseMatrix Identity(int size)
    {
        var identity = new DenseMatrix(size, size);
        for (var i = 0; i < size; i++)
        {
            identity[i, i] = 1;
        }
        return identity;
    }

    /// <summary>The values rounded to float32, row-major.</summary>
    public float[] ToFloats() => Array.ConvertAll(Values, value => (float)value);

    /// <summary>The transposed matrix, copied.</summary>
    public DenseMatrix Transpose()
    {
        var transposed = new DenseMatrix(Columns, Rows);
        for (var i = 0; i < Rows; i++)
        {
            var row = Row(i);
            for (var j = 0; j < row.Length; j++)
            {
                transposed.Values[j * Rows + i] = row[j];
            }
        }
        return transposed;
    }

    /// <summary>The first rows, copied.</summary>
    public DenseMatrix FirstRows(int count) => new(count, Columns, Values[..(count * Columns)]);

    /// <summary>The first columns, copied.</summary>
    public DenseMatrix FirstColumns(int count)
    {
        var first = new DenseMatrix(Rows, count);
        for (var i = 0; i < Rows; i++)
        {
            Row(i)[..count].CopyTo(first.Row(i));
        }
        return first;
    }

    /// <summary>Every column j times factors[j]: A·diag(factors).</summary>
    public DenseMatrix ScaleColumns(ReadOnlySpan<double> factors)
    {
        var scaled = new DenseMatrix(Rows, Columns);
        for (var i = 0; i < Rows; i++)
        {
            var from = Row(i);
            var to = scaled.Row(i);
            for (var j = 0; j < from.Length; j++)
            {
                to[j] = from[j] * factors[j];
            }
        }
        return scaled;
    }

    /// <summary>A·B</summary>
    /// <param name="a">[m, k]</param>
    /// <param name="b">[k, n]</param>
    /// <returns>[m, n]</returns>
    /// <exception cref="ShapeMismatchException">The inner dimensions differ.</exception>
    public static DenseMatrix operator *(DenseMatrix a, DenseMatrix b)
    {
        if (a.Columns != b.Rows)
        {
            throw new ShapeMismatchException(
                $"DenseMatrix: [{a.Rows}, {a.Columns}] · [{b.Rows}, {b.Columns}] needs equal inner dimensions.");
        }
        var product = new DenseMatrix(a.Rows, b.Columns);
        ForEachRow(a.Rows, (long)b.Rows * b.Columns, i =>
        {
            var row = a.Row(i);
            var sum = product.Row(i);
            var k = 0;
            for (; k + 4 <= row.Length; k += 4)
            {
                Vectors.AddScaled(sum, row[k], b.Row(k), row[k + 1], b.Row(k + 1), row[k + 2], b.Row(k + 2), row[k + 3],
                    b.Row(k + 3));
            }
            for (; k < row.Length; k++)
            {
                Vectors.AddScaled(sum, row[k], b.Row(k));
            }
        });
        return product;
    }

    /// <summary>A + B, element by element.</summary>
    /// <exception cref="ShapeMismatchException">The sizes differ.</exception>
    public static DenseMatrix operator +(DenseMatrix a, DenseMatrix b) => Sum(a, 1, b, "+");

    /// <summary>A − B, element by element.</summary>
    /// <exception cref="ShapeMismatchException">The sizes differ.</exception>
    public static DenseMatrix operator -(DenseMatrix a, DenseMatrix b) => Sum(a, -1, b, "−");

    /// <summary>factor·A</summary>
    public static DenseMatrix operator *(double factor, DenseMatrix a) =>
        new(a.Rows, a.Columns, Array.ConvertAll(a.Values, value => factor * value));

    /// <summary>Σ of the squares of all elements: ‖A‖²_F, which is also Σ σᵢ².</summary>
    public double SquaredNorm()
    {
        var sum = 0.0;
        for (var i = 0; i < Rows; i++)
        {
            sum += Vectors.Dot(Row(i), Row(i));
        }
        return sum;
    }

    /// <summary>‖A‖_F = √Σ aᵢⱼ²</summary>
    public double Norm() => Math.Sqrt(SquaredNorm());

    /// <inheritdoc/>
    public override string ToString() => $"[{Rows}, {Columns}]";

    private static DenseMatrix Sum(DenseMatrix a, double factor, DenseMatrix b, string operation)
    {
        if (a.Rows != b.Rows || a.Columns != b.Columns)
        {
            throw new ShapeMismatchException(
                $"DenseMatrix: [{a.Rows}, {a.Columns}] {operation} [{b.Rows}, {b.Columns}] needs equal sizes.");
        }
        var sum = new DenseMatrix(a.Rows, a.Columns, [.. a.Values]);
        Vectors.AddScaled(sum.Values, factor, b.Values);
        return sum;
    }

    /// <summary>Runs independent pieces of work on all cores where they are large enough.</summary>
    internal static void ForEachRow(int count, long workOfEach, Action<int> work)
    {
        if (count * workOfEach <= WorkOfThread || count < 2)
        {
            for (var i = 0; i < count; i++)
            {
                work(i);
            }
            return;
        }
        // A few chunks for each core: a piece may be small, and a core may have other work.
        var chunks = (int)Math.Min(count,
            Math.Clamp(count * workOfEach / WorkOfThread, 2, 4L * Environment.ProcessorCount));
        Parallel.For(0, chunks, chunk =>
        {
            var end = (int)((long)count * (chunk + 1) / chunks);
            for (var i = (int)((long)count * chunk / chunks); i < end; i++)
            {
                work(i);
            }
        });
    }
}
