using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels;

/// <summary>
/// The forward kernels of <see cref="IBackend"/> as plain loops in double: the equations of its
/// page, one after the other, nothing vectorised and nothing in parallel. Destinations come first.
/// </summary>
internal static class Float64Kernels
{
    /// <summary>Y = Z + scale·A·B, or without Z.</summary>
    public static void Product(Float64Memory m, Matrix y, Matrix? z, Matrix a, Matrix b, double scale)
    {
        double[] to = m[y.Buffer], left = m[a.Buffer], right = m[b.Buffer];
        for (var n = 0; n < y.Batch; n++)
        {
            for (var i = 0; i < y.Rows; i++)
            {
                for (var j = 0; j < y.Columns; j++)
                {
                    var sum = 0.0;
                    for (var k = 0; k < a.Columns; k++)
                    {
                        sum += left[Place(a, n, i, k)] * right[Place(b, n, k, j)];
                    }
                    var added = z is { } some ? m[some.Buffer][Place(some, n, i, j)] : 0;
                    to[Place(y, n, i, j)] = added + scale * sum;
                }
            }
        }
    }

    /// <summary>Y = A·Ŵ, or Y += A·Ŵ, with the values of Ŵ as they are stored, row-major.</summary>
    public static void Product(Float64Memory m, Matrix y, Matrix a, QuantizedMatrix b, float[] stored, bool add)
    {
        double[] to = m[y.Buffer], left = m[a.Buffer];
        for (var i = 0; i < y.Rows; i++)
        {
            for (var j = 0; j < y.Columns; j++)
            {
                var sum = 0.0;
                for (var k = 0; k < a.Columns; k++)
                {
                    sum += left[Place(a, 0, i, k)]
                        * stored[b.Transposed ? j * b.StoredColumns + k : k * b.StoredColumns + j];
                }
                var at = Place(y, 0, i, j);
                to[at] = (add ? to[at] : 0) + sum;
            }
        }
    }

    /// <summary>Y = Xᵀ</summary>
    public static void Transpose(double[] y, double[] x, int rows, int columns)
    {
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                y[j * rows + i] = x[i * columns + j];
            }
        }
    }

    /// <summary>yᵢ = f(i)</summary>
    public static void Write(double[] y, Func<int, double> f)
    {
        for (var i = 0; i < y.Length; i++)
        {
            y[i] = f(i);
        }
    }

    /// <summary>yᵢ = f(xᵢ), the very formula of the kernels.</summary>
    public static void Map<TFormula>(double[] y, double[] x) where TFormula : struct, IFormula =>
        Write(y, i => TFormula.Value(new Float64(x[i])).Value);

    /// <summary>0 where element i is dropped, else 1/(1 − p).</summary>
    public static double Mask(ulong seed, ulong index, float probability) =>
        Philox.Word(seed, index) < Philox.Threshold(probability) ? 0 : 1 / (1 - (double)probability);

    /// <summary>y[j] (+)= Σᵢ x[i, j]</summary>
    public static void AddColumnSums(double[] y, double[] x, bool isEmpty)
    {
        for (var j = 0; j < y.Length; j++)
        {
            var sum = isEmpty ? 0 : y[j];
            for (var i = j; i < x.Length; i += y.Length)
            {
                sum += x[i];
            }
            y[j] = sum;
        }
    }

    /// <summary>yᵢ = α·Σⱼ x[i·g + j]</summary>
    public static void GroupSums(double[] y, double alpha, double[] x)
    {
        var size = y.Length == 0 ? 1 : x.Length / y.Length;
        Write(y, i => alpha * x.AsSpan(i * size, size).ToArray().Sum());
    }

    /// <summary>y[i, :] = softmax(x[i, :])</summary>
    public static void Softmax(double[] y, double[] x, int columns)
    {
        for (var row = 0; row < x.Length; row += columns)
        {
            var logSum = LogSum(x.AsSpan(row, columns));
            for (var j = row; j < row + columns; j++)
            {
                y[j] = Math.Exp(x[j] - logSum);
            }
        }
    }

    /// <summary>losses[i] = log Σⱼ exp(logits[i, j]) − logits[i, labels[i]]</summary>
    public static void CrossEntropy(double[] losses, double[] logits, int[] labels)
    {
        var classes = logits.Length / losses.Length;
        Write(losses, i => LogSum(logits.AsSpan(i * classes, classes)) - logits[i * classes + labels[i]]);
    }

    /// <summary>Y = γ ⊙ X̂ + β</summary>
    public static void LayerNorm(double[] y, double[] mean, double[] rstd, double[] x, double[] gamma, double[] beta,
        double epsilon)
    {
        var columns = gamma.Length;
        for (var i = 0; i < mean.Length; i++)
        {
            var row = x.AsSpan(i * columns, columns).ToArray();
            var average = row.Average();
            (mean[i], rstd[i]) = (average, 1 / Math.Sqrt(row.Average(value => (value - average) * (value - average))
                + epsilon));
            for (var j = 0; j < columns; j++)
            {
                y[i * columns + j] = gamma[j] * (row[j] - mean[i]) * rstd[i] + beta[j];
            }
        }
    }

    /// <summary>O = D ⊙ softmax(scale·Q·Kᵀ)·V per sequence and head.</summary>
    /// <param name="y">[queries, columns]</param>
    /// <param name="logSumExp">[queries, heads]</param>
    /// <param name="q">[queries, columns]</param>
    /// <param name="k">[tokens, columns]</param>
    /// <param name="v">[tokens, columns]</param>
    /// <param name="offsets">[sequences + 1], of the tokens</param>
    /// <param name="queryOffsets">[sequences + 1], of the queries</param>
    /// <param name="tokens">[queries]: the token of each</param>
    /// <param name="shape">Heads, scale, dropout.</param>
    public static void Attention(double[] y, double[] logSumExp, double[] q, double[] k, double[] v, int[] offsets,
        int[] queryOffsets, int[] tokens, AttentionShape shape)
    {
        var columns = k.Length / offsets[^1];
        var width = columns / shape.Heads;
        Array.Clear(y);
        for (var s = 0; s + 1 < offsets.Length; s++)
        {
            for (var head = 0; head < shape.Heads; head++)
            {
                for (var i = queryOffsets[s]; i < queryOffsets[s + 1]; i++)
                {
                    var scores = new double[offsets[s + 1] - offsets[s]];
                    for (var j = 0; j < scores.Length; j++)
                    {
                        for (var c = head * width; c < (head + 1) * width; c++)
                        {
                            scores[j] += shape.Scale * q[i * columns + c] * k[(offsets[s] + j) * columns + c];
                        }
                    }
                    var logSum = LogSum(scores);
                    logSumExp[i * shape.Heads + head] = logSum;
                    for (var j = 0; j < scores.Length; j++)
                    {
                        var index = ((ulong)tokens[i] * (ulong)shape.Heads + (ulong)head) * 65536 + (ulong)j;
                        var p = Math.Exp(scores[j] - logSum)
                            * (shape.Dropout > 0 ? Mask(shape.Seed, index, shape.Dropout) : 1);
                        for (var c = head * width; c < (head + 1) * width; c++)
                        {
                            y[i * columns + c] += p * v[(offsets[s] + j) * columns + c];
                        }
                    }
                }
            }
        }
    }

    private static double LogSum(ReadOnlySpan<double> x)
    {
        var max = double.NegativeInfinity;
        foreach (var value in x)
        {
            max = Math.Max(max, value);
        }
        var sum = 0.0;
        foreach (var value in x)
        {
            sum += Math.Exp(value - max);
        }
        return max + Math.Log(sum);
    }

    private static int Place(Matrix x, int n, int i, int j) =>
        x.Offset + n * x.BatchStride + (x.Transposed ? j * x.RowStride + i : i * x.RowStride + j);
}
