using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>How the matrices of a product lie in their buffers.</summary>
public enum Layout
{
    /// <summary>One dense matrix after the other.</summary>
    Dense,

    /// <summary>
    /// Rows farther apart than they are long, the first not at the start, space between the
    /// matrices of a batch.
    /// </summary>
    Strided,

    /// <summary>
    /// The matrices of a batch side by side in the columns of one buffer, as the heads of an
    /// attention layer.
    /// </summary>
    Heads,
}

/// <summary>
/// One product with random numbers and its reference. What lies between the rows of Y must stay as
/// it was; what lies around A and B is NaN in a strided layout, so that a kernel that lets it into
/// a sum is found out.
/// </summary>
internal sealed class ProductCase
{
    private readonly IBackend backend;
    private readonly int m, n, k, batch;
    private readonly Matrix y, a, b;
    private readonly float[] aValues, bValues, yBefore;

    public ProductCase(IBackend backend, int m, int n, int k, bool transposeA, bool transposeB, int batch,
        Layout layout, bool sharedB = false)
    {
        (this.backend, this.m, this.n, this.k, this.batch) = (backend, m, n, k, batch);
        var random = new Random(HashCode.Combine(m, n, k));
        (a, aValues) = Create(m, k, transposeA, batch, layout, random, float.NaN);
        (b, bValues) = Create(k, n, transposeB, batch, layout, random, float.NaN);
        (y, yBefore) = Create(m, n, false, batch, layout, random, 0.5f);
        if (sharedB)
        {
            b = b with { BatchStride = 0 };
        }
    }

    public void Run(float scale, bool accumulate)
    {
        backend.Upload<float>(y.Buffer, yBefore);
        if (accumulate)
        {
            backend.AddProduct(y, a, b, scale);
        }
        else
        {
            backend.Product(y, a, b, scale);
        }
    }

    /// <summary>Runs a product in another way.</summary>
    public void Run(Action<Matrix, Matrix, Matrix> product)
    {
        backend.Upload<float>(y.Buffer, yBefore);
        product(y, a, b);
    }

    public void RunAgain() => backend.Product(y, a, b);

    public unsafe void RunOnOneThread(float scale, bool accumulate, Scratch scratch)
    {
        backend.Upload<float>(y.Buffer, yBefore);
        static float* First(Matrix matrix) => CpuKernels.Pointer(matrix.Buffer) + matrix.Offset;
        CpuKernels.SingleThreadProduct(((CpuBackend)backend).InstructionSet, First(y), y.RowStride, First(a),
            a.RowStride, a.Transposed,
            First(b), b.RowStride, b.Transposed, m, n, k, scale, accumulate, scratch);
    }

    /// <summary>The whole buffer of Y.</summary>
    public float[] Y()
    {
        var values = new float[yBefore.Length];
        backend.Download(values, y.Buffer);
        return values;
    }

    public void AssertEqualsReference(float scale, bool accumulate)
    {
        var expected = yBefore.Select(value => (double)value).ToArray();
        var tolerance = new double[expected.Length];   // 0 outside of the matrices
        for (var matrix = 0; matrix < batch; matrix++)
        {
            for (var i = 0; i < m; i++)
            {
                for (var j = 0; j < n; j++)
                {
                    double sum = 0, magnitude = 0;
                    for (var depth = 0; depth < k; depth++)
                    {
                        var term = (double)aValues[Index(a, matrix, i, depth)] * bValues[Index(b, matrix, depth, j)];
                        sum += term;
                        magnitude += Math.Abs(term);
                    }
                    var index = Index(y, matrix, i, j);
                    expected[index] = (accumulate ? expected[index] : 0) + (scale * sum);
                    // Rounding errors of k additions rarely pass √k units of the last place.
                    tolerance[index] = (1e-7 * Math.Abs(expected[index]))
                        + (6e-8 * Math.Abs(scale) * magnitude * (2 + Math.Sqrt(k)));
                    tolerance[index] += accumulate ? 1e-7 * Math.Abs(yBefore[index]) : 0;
                }
            }
        }
        var found = Y();
        for (var i = 0; i < found.Length; i++)
        {
            if (!(Math.Abs(found[i] - expected[i]) <= tolerance[i]))
            {
                Assert.Fail($"{y} = {scale} · {a} · {b}, accumulate {accumulate}: element {i} of the buffer is "
                    + $"{found[i]}, expected {expected[i]} ± {tolerance[i]}");
            }
        }
    }

    private (Matrix, float[]) Create(int rows, int columns, bool transposed, int batch, Layout layout, Random random,
        float around)
    {
        var (storedRows, storedColumns) = transposed ? (columns, rows) : (rows, columns);
        var (offset, rowStride, batchStride) = layout switch
        {
            Layout.Dense => (0, storedColumns, storedRows * storedColumns),
            Layout.Strided => (3, storedColumns + 5, (storedRows * (storedColumns + 5)) + 2),
            _ => (0, batch * storedColumns, storedColumns),
        };
        var length = offset + (batch * storedRows * Math.Max(rowStride, storedColumns)) + (2 * batch);
        var buffer = backend.Allocate<float>(length);
        var matrix = new Matrix(buffer, rows, columns, rowStride, offset, transposed, batch, batchStride);
        var values = new float[length];
        Array.Fill(values, around);
        for (var i = 0; i < batch; i++)
        {
            for (var row = 0; row < rows; row++)
            {
                for (var column = 0; column < columns; column++)
                {
                    values[Index(matrix, i, row, column)] = (random.NextSingle() * 2) - 1;
                }
            }
        }
        backend.Upload<float>(buffer, values);
        return (matrix, values);
    }

    private static int Index(Matrix matrix, int batch, int row, int column)
    {
        var (storedRow, storedColumn) = matrix.Transposed ? (column, row) : (row, column);
        return matrix.Offset + (batch * matrix.BatchStride) + (storedRow * matrix.RowStride) + storedColumn;
    }
}
