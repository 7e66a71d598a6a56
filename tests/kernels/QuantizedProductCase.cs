using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>A product with a packed weight, forward (X·Ŵᵀ) or backward (dY·Ŵ), and its reference in double.</summary>
internal sealed class QuantizedProductCase
{
    private const float Around = 0.5f;      // what lies between the rows of Y and must stay

    private readonly IBackend _backend;
    private readonly RandomWeight _weight;
    private readonly bool _forward;
    private readonly int _m, _n, _k, _gap;
    private readonly float[] _a, _yBefore;

    public QuantizedProductCase(IBackend backend, int rows, RandomWeight weight, bool forward, int gap = 0)
    {
        (_backend, _weight, _forward, _m, _gap) = (backend, weight, forward, rows, gap);
        (_n, _k) = forward ? (weight.OutFeatures, weight.InFeatures) : (weight.InFeatures, weight.OutFeatures);
        var random = new Random(rows);
        _a = Filled(rows, _k, float.NaN, random);
        _yBefore = Filled(rows, _n, Around, random);
    }

    public float[] Run(bool accumulate)
    {
        using var a = _backend.Allocate<float>(_a.Length);
        using var y = _backend.Allocate<float>(_yBefore.Length);
        _backend.Upload<float>(a, _a);
        _backend.Upload<float>(y, _yBefore);
        var matrixA = new Matrix(a, _m, _k, _k + _gap, _gap);
        var matrixY = new Matrix(y, _m, _n, _n + _gap, _gap);
        var weight = _weight.On(_backend);
        if (accumulate)
        {
            _backend.AddProduct(matrixY, matrixA, _forward ? weight.T : weight);
        }
        else
        {
            _backend.Product(matrixY, matrixA, _forward ? weight.T : weight);
        }
        var result = new float[_yBefore.Length];
        _backend.Download(result, y);
        return result;
    }

    public void AssertEqualsReference(bool accumulate)
    {
        var y = Run(accumulate);
        var expected = _yBefore.Select(value => (double)value).ToArray();
        var tolerance = new double[expected.Length];        // 0 outside of the matrix
        for (var i = 0; i < _m; i++)
        {
            for (var j = 0; j < _n; j++)
            {
                double sum = 0, magnitude = 0;
                for (var k = 0; k < _k; k++)
                {
                    var term = (double)_a[Index(i, k, _k)] * _weight.Values[_forward ? j * _weight.InFeatures + k : k * _weight.InFeatures + j];
                    sum += term;
                    magnitude += Math.Abs(term);
                }
                var at = Index(i, j, _n);
                tolerance[at] = 1e-7 * Math.Abs(sum) + 6e-8 * magnitude * (4 + Math.Sqrt(_k)) + 1e-7 * _k / (1 << _weight.Bits) + (accumulate ? 1e-7 * Math.Abs(expected[at]) : 0);
                expected[at] = (accumulate ? expected[at] : 0) + sum;
            }
        }
        for (var i = 0; i < y.Length; i++)
        {
            if (!(Math.Abs(y[i] - expected[i]) <= tolerance[i]))
            {
                Assert.Fail($"{_m} rows, weight [{_weight.OutFeatures}, {_weight.InFeatures}] of {_weight.Bits} bits in groups of {_weight.GroupSize}, forward {_forward}, accumulate {accumulate}: " +
                    $"element {i} is {y[i]}, expected {expected[i]} ± {tolerance[i]}");
            }
        }
    }

    private int Index(int row, int column, int columns) => _gap + row * (columns + _gap) + column;

    private float[] Filled(int rows, int columns, float around, Random random)
    {
        var values = new float[_gap + rows * (columns + _gap)];
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
