using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// A product with a packed weight, forward (X·Ŵᵀ) or backward (dY·Ŵ), and its reference in double.
/// </summary>
internal sealed class QuantizedProductCase
{
    private const float Around = 0.5f;      // what lies between the rows of Y and must stay

    private readonly IBackend backend;
    private readonly RandomWeight weight;
    private readonly bool forward;
    private readonly int m, n, k, gap;
    private readonly float[] a, yBefore;

    public QuantizedProductCase(IBackend backend, int rows, RandomWeight weight, bool forward, int gap = 0)
    {
        (this.backend, this.weight, this.forward, m, this.gap) = (backend, weight, forward, rows, gap);
        (n, k) = forward ? (weight.OutFeatures, weight.InFeatures) : (weight.InFeatures, weight.OutFeatures);
        var random = new Random(rows);
        a = Filled(rows, k, float.NaN, random);
        yBefore = Filled(rows, n, Around, random);
    }

    public float[] Run(bool accumulate)
    {
        using var bufferA = backend.Allocate<float>(a.Length);
        using var bufferY = backend.Allocate<float>(yBefore.Length);
        backend.Upload<float>(bufferA, a);
        backend.Upload<float>(bufferY, yBefore);
        var matrixA = new Matrix(bufferA, m, k, k + gap, gap);
        var matrixY = new Matrix(bufferY, m, n, n + gap, gap);
        var packed = weight.On(backend);
        if (accumulate)
        {
            backend.AddProduct(matrixY, matrixA, forward ? packed.T : packed);
        }
        else
        {
            backend.Product(matrixY, matrixA, forward ? packed.T : packed);
        }
        var result = new float[yBefore.Length];
        backend.Download(result, bufferY);
        return result;
    }

    public void AssertEqualsReference(bool accumulate)
    {
        var y = Run(accumulate);
        var expected = yBefore.Select(value => (double)value).ToArray();
        var tolerance = new double[expected.Length];        // 0 outside of the matrix
        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < n; j++)
            {
                double sum = 0, magnitude = 0;
                for (var depth = 0; depth < k; depth++)
                {
                    var term = (double)a[Index(i, depth, k)]
                        * weight.Values[forward ? j * weight.InFeatures + depth : depth * weight.InFeatures + j];
                    sum += term;
                    magnitude += Math.Abs(term);
                }
                var at = Index(i, j, n);
                tolerance[at] = 1e-7 * Math.Abs(sum) + 6e-8 * magnitude * (4 + Math.Sqrt(k))
                    + 1e-7 * k / (1 << weight.Bits) + (accumulate ? 1e-7 * Math.Abs(expected[at]) : 0);
                expected[at] = (accumulate ? expected[at] : 0) + sum;
            }
        }
        for (var i = 0; i < y.Length; i++)
        {
            if (!(Math.Abs(y[i] - expected[i]) <= tolerance[i]))
            {
                Assert.Fail($"{m} rows, weight [{weight.OutFeatures}, {weight.InFeatures}] of {weight.Bits} bits in "
                    + $"groups of {weight.GroupSize}, forward {forward}, accumulate {accumulate}: " +
                    $"element {i} is {y[i]}, expected {expected[i]} ± {tolerance[i]}");
            }
        }
    }

    private int Index(int row, int column, int columns) => gap + row * (columns + gap) + column;

    private float[] Filled(int rows, int columns, float around, Random random)
    {
        var values = new float[gap + rows * (columns + gap)];
        Array.Fill(values, around);
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                values[Index(i, j, columns)] = 2 * random.NextSingle() - 1;
            }
        }
        return values;
    }
}
