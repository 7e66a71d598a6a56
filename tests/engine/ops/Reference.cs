using LoraScratch.Tests.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The ops in double, as plain loops over row-major arrays. Nothing here comes from the product.
/// </summary>
internal static class Reference
{
    public static double[] Map(double[] x, Func<double, double> f) => Array.ConvertAll(x, value => f(value));

    public static double[] Zip(double[] a, double[] b, Func<double, double, double> f) => [.. a.Zip(b, f)];

    public static double GeluTanh(double x) =>
        x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    public static double Gelu(double x) => x / 2 * (1 + ReferenceMath.Erf(x / Math.Sqrt(2)));

    public static double Softplus(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));

    public static double Silu(double x) => x * Sigmoid(x);

    public static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>[m, k]·[k, n]</summary>
    public static double[] Product(double[] a, double[] b, int m, int k, int n)
    {
        var y = new double[m * n];
        for (var i = 0; i < m; i++)
        {
            for (var p = 0; p < k; p++)
            {
                for (var j = 0; j < n; j++)
                {
                    y[i * n + j] += a[i * k + p] * b[p * n + j];
                }
            }
        }
        return y;
    }

    public static double[] Transpose(double[] x, int rows, int columns)
    {
        var y = new double[x.Length];
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                y[j * rows + i] = x[i * columns + j];
            }
        }
        return y;
    }

    public static double[] AddBias(double[] x, double[] bias) =>
        [.. x.Select((value, i) => value + bias[i % bias.Length])];

    public static double[] Softmax(double[] x, int columns)
    {
        var y = new double[x.Length];
        for (var row = 0; row < x.Length; row += columns)
        {
            var max = double.NegativeInfinity;
            var sum = 0.0;
            for (var j = 0; j < columns; j++)
            {
                max = Math.Max(max, x[row + j]);
            }
            for (var j = 0; j < columns; j++)
            {
                sum += Math.Exp(x[row + j] - max);
            }
            for (var j = 0; j < columns; j++)
            {
                y[row + j] = Math.Exp(x[row + j] - max) / sum;
            }
        }
        return y;
    }

    public static double[] CrossEntropy(double[] logits, int classes, int[] labels) =>
        [.. labels.Select((label, row) =>
            -Math.Log(Softmax(logits[(row * classes)..((row + 1) * classes)], classes)[label]))];

    public static double[] LayerNorm(double[] x, double[] gamma, double[] beta, double epsilon)
    {
        var columns = gamma.Length;
        var y = new double[x.Length];
        for (var row = 0; row < x.Length; row += columns)
        {
            var mean = x.Skip(row).Take(columns).Average();
            var variance = x.Skip(row).Take(columns).Average(value => (value - mean) * (value - mean));
            for (var j = 0; j < columns; j++)
            {
                y[row + j] = gamma[j] * (x[row + j] - mean) / Math.Sqrt(variance + epsilon) + beta[j];
            }
        }
        return y;
    }

    public static double[] Gather(double[] table, int columns, int[] indices) =>
        [.. indices.SelectMany(index => table[(index * columns)..((index + 1) * columns)])];

    /// <summary>
    /// What element i is multiplied by: 0 where word i of the seed's Philox stream is below p·2³²,
    /// else 1/(1 − p).
    /// </summary>
    public static double[] DropoutMask(int count, double probability, ulong seed) =>
        [.. Enumerable.Range(0, count).Select(i => Mask(seed, (ulong)i, probability))];

    /// <summary>
    /// The factors on the probabilities of <see cref="Attention"/>, in the order in which it comes
    /// by them.
    /// </summary>
    public static double[] AttentionMask(int[] offsets, int heads, double probability, ulong seed) =>
    [
        .. from s in Enumerable.Range(0, offsets.Length - 1)
           from h in Enumerable.Range(0, heads)
           from i in Enumerable.Range(offsets[s], offsets[s + 1] - offsets[s])
           from j in Enumerable.Range(0, offsets[s + 1] - offsets[s])
           select Mask(seed, ((ulong)i * (ulong)heads + (ulong)h) * 65536 + (ulong)j, probability),
    ];

    /// <summary>
    /// Attention over the rows offsets[s] … offsets[s+1]−1 of each sequence, the heads side by side
    /// in the columns.
    /// </summary>
    public static double[] Attention(double[] q, double[] k, double[] v, int[] offsets, int heads,
        double[]? mask = null)
    {
        var columns = q.Length / offsets[^1];
        var width = columns / heads;
        var y = new double[q.Length];
        var place = 0;
        for (var s = 0; s + 1 < offsets.Length; s++)
        {
            for (var h = 0; h < heads; h++)
            {
                for (var i = offsets[s]; i < offsets[s + 1]; i++)
                {
                    var scores = new double[offsets[s + 1] - offsets[s]];
                    for (var j = 0; j < scores.Length; j++)
                    {
                        for (var c = h * width; c < (h + 1) * width; c++)
                        {
                            scores[j] += q[i * columns + c] * k[(offsets[s] + j) * columns + c] / Math.Sqrt(width);
                        }
                    }
                    var p = Softmax(scores, scores.Length);
                    for (var j = 0; j < scores.Length; j++, place++)
                    {
                        for (var c = h * width; c < (h + 1) * width; c++)
                        {
                            y[i * columns + c] += (mask?[place] ?? 1) * p[j] * v[(offsets[s] + j) * columns + c];
                        }
                    }
                }
            }
        }
        return y;
    }

    private static double Mask(ulong seed, ulong word, double probability) =>
        ReferencePhilox.Word(seed, word) < Math.Floor(probability * 4294967296.0) ? 0 : 1 / (1 - probability);
}
