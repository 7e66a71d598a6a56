using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>How the matrices of a product lie in their buffers.</summary>
public enum Layout
{
    /// <summary>One dense matrix after the other.</summary>
    Dense,

    /// <summary>Rows farther apart than they are long, the first not at the start, space between the matrices of a batch.</summary>
    Strided,

    /// <summary>The matrices of a batch side by side in the columns of one buffer, as the heads of an attention layer.</summary>
    Heads,
}

/// <summary>
/// One product with random numbers and its reference. What lies between the rows of Y must stay as it was; what lies around A and B is NaN in a strided
/// layout, so that a kernel that lets it into a sum is found out.
/// </summary>
internal sealed class ProductCase
{
    private readonly IBackend _backend;
    private readonly int _m, _n, _k, _batch;
    private readonly Matrix _y, _a, _b;
    private readonly float[] _aValues, _bValues, _yBefore;

    public ProductCase(IBackend backend, int m, int n, int k, bool transposeA, bool transposeB, int batch, Layout layout, bool sharedB = false)
    {
        (_backend, _m, _n, _k, _batch) = (backend, m, n, k, batch);
        var random = new Random(HashCode.Combine(m, n, k));
        (_a, _aValues) = Create(m, k, transposeA, batch, layout, random, float.NaN);
        (_b, _bValues) = Create(k, n, transposeB, batch, layout, random, float.NaN);
        (_y, _yBefore) = Create(m, n, false, batch, layout, random, 0.5f);
        if (sharedB)
        {
            _b = _b with { BatchStride = 0 };
        }
    }

    public void Run(float scale, bool accumulate)
    {
        _backend.Upload<float>(_y.Buffer, _yBefore);
        if (accumulate)
        {
            _backend.AddProduct(_y, _a, _b, scale);
        }
        else
        {
            _backend.Product(_y, _a, _b, scale);
        }
    }

    /// <summary>Runs a product in another way.</summary>
    public void Run(Action<Matrix, Matrix, Matrix> product)
    {
        _backend.Upload<float>(_y.Buffer, _yBefore);
        product(_y, _a, _b);
    }

    public void RunAgain() => _backend.Product(_y, _a, _b);

    public unsafe void RunOnOneThread(float scale, bool accumulate, Scratch scratch)
    {
        _backend.Upload<float>(_y.Buffer, _yBefore);
        static float* First(Matrix matrix) => CpuBackend.Pointer(matrix.Buffer) + matrix.Offset;
        CpuBackend.SingleThreadProduct(((CpuBackend)_backend).InstructionSet, First(_y), _y.RowStride, First(_a), _a.RowStride, _a.Transposed,
            First(_b), _b.RowStride, _b.Transposed, _m, _n, _k, scale, accumulate, scratch);
    }

    /// <summary>The whole buffer of Y.</summary>
    public float[] Y()
    {
        var y = new float[_yBefore.Length];
        _backend.Download(y, _y.Buffer);
        return y;
    }

    public void AssertEqualsReference(float scale, bool accumulate)
    {
        var expected = _yBefore.Select(value => (double)value).ToArray();
        var tolerance = new double[expected.Length];   // 0 outside of the matrices
        for (var batch = 0; batch < _batch; batch++)
        {
            for (var i = 0; i < _m; i++)
            {
                for (var j = 0; j < _n; j++)
                {
                    double sum = 0, magnitude = 0;
                    for (var k = 0; k < _k; k++)
                    {
                        var term = (double)_aValues[Index(_a, batch, i, k)] * _bValues[Index(_b, batch, k, j)];
                        sum += term;
                        magnitude += Math.Abs(term);
                    }
                    var index = Index(_y, batch, i, j);
                    expected[index] = (accumulate ? expected[index] : 0) + (scale * sum);
                    // Rounding errors of k additions rarely pass √k units of the last place.
                    tolerance[index] = (1e-7 * Math.Abs(expected[index])) + (6e-8 * Math.Abs(scale) * magnitude * (2 + Math.Sqrt(_k)));
                    tolerance[index] += accumulate ? 1e-7 * Math.Abs(_yBefore[index]) : 0;
                }
            }
        }
        var y = Y();
        for (var i = 0; i < y.Length; i++)
        {
            if (!(Math.Abs(y[i] - expected[i]) <= tolerance[i]))
            {
                Assert.Fail($"{_y} = {scale} · {_a} · {_b}, accumulate {accumulate}: element {i} of the buffer is {y[i]}, expected {expected[i]} ± {tolerance[i]}");
            }
        }
    }

    private (Matrix, float[]) Create(int rows, int columns, bool transposed, int batch, Layout layout, Random random, float around)
    {
        var (storedRows, storedColumns) = transposed ? (columns, rows) : (rows, columns);
        var (offset, rowStride, batchStride) = layout switch
        {
            Layout.Dense => (0, storedColumns, storedRows * storedColumns),
            Layout.Strided => (3, storedColumns + 5, (storedRows * (storedColumns + 5)) + 2),
            _ => (0, batch * storedColumns, storedColumns),
        };
        var length = offset + (batch * storedRows * Math.Max(rowStride, storedColumns)) + (2 * batch);
        var buffer = _backend.Allocate<float>(length);
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
        _backend.Upload<float>(buffer, values);
        return (matrix, values);
    }

    private static int Index(Matrix matrix, int batch, int row, int column)
    {
        var (storedRow, storedColumn) = matrix.Transposed ? (column, row) : (row, column);
        return matrix.Offset + (batch * matrix.BatchStride) + (storedRow * matrix.RowStride) + storedColumn;
    }
}
