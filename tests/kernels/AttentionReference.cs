using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Attention within each sequence of a packed batch, forward and backward, as plain double loops
/// over queries and tokens.
/// </summary>
internal sealed class AttentionReference
{
    public AttentionReference(float[] q, float[] k, float[] v, float[] dY, int[] offsets, int columns,
        AttentionShape shape, int[] queryOffsets, int[] asking)
    {
        int tokens = offsets[^1], queries = asking.Length;
        var width = columns / shape.Heads;
        (Y, LogSumExp) = (new double[queries * columns], new double[queries * shape.Heads]);
        (DQ, DK, DV) = (new double[queries * columns], new double[tokens * columns], new double[tokens * columns]);
        for (var sequence = 0; sequence + 1 < offsets.Length; sequence++)
        {
            int first = offsets[sequence], length = offsets[sequence + 1] - first;
            for (var head = 0; head < shape.Heads; head++)
            {
                for (var query = queryOffsets[sequence]; query < queryOffsets[sequence + 1]; query++)
                {
                    var at = query * columns + head * width;                // [query, head, 0]
                    int Key(int j) => (first + j) * columns + head * width; // [first + j, head, 0]
                    var scores = Enumerable.Range(0, length).Select(j => shape.Scale * Dot(q, at, k, Key(j), width))
                        .ToArray();
                    var logSumExp = Math.Log(scores.Sum(Math.Exp));
                    LogSumExp[query * shape.Heads + head] = logSumExp;
                    var p = scores.Select(score => Math.Exp(score - logSumExp)).ToArray();
                    var d = Enumerable.Range(0, length).Select(j => Factor(shape, asking[query], head, j)).ToArray();
                    for (var j = 0; j < length; j++)
                    {
                        for (var c = 0; c < width; c++)
                        {
                            Y[at + c] += d[j] * p[j] * v[Key(j) + c];
                        }
                    }
                    var dP = Enumerable.Range(0, length).Select(j => d[j] * Dot(dY, at, v, Key(j), width)).ToArray();
                    // the softmax's own gradient, from P and dP
                    var mean = Enumerable.Range(0, length).Sum(j => p[j] * dP[j]);
                    for (var j = 0; j < length; j++)
                    {
                        var dScore = p[j] * (dP[j] - mean);
                        for (var c = 0; c < width; c++)
                        {
                            DQ[at + c] += shape.Scale * dScore * k[Key(j) + c];
                            DK[Key(j) + c] += shape.Scale * dScore * q[at + c];
                            DV[Key(j) + c] += d[j] * p[j] * dY[at + c];
                        }
                    }
                }
            }
        }
    }

    public double[] Y { get; }

    public double[] LogSumExp { get; }

    public double[] DQ { get; }

    public double[] DK { get; }

    public double[] DV { get; }

    private static double Dot(float[] a, int atA, float[] b, int atB, int width)
    {
        var sum = 0.0;
        for (var c = 0; c < width; c++)
        {
            sum += (double)a[atA + c] * b[atB + c];
        }
        return sum;
    }

    private static double Factor(AttentionShape shape, int token, int head, int position)
    {
        if (shape.Dropout == 0)
        {
            return 1;
        }
        var word = Philox.Word(shape.Seed, (((ulong)token * (ulong)shape.Heads + (ulong)head) << 16) + (ulong)position);
        return word < Philox.Threshold(shape.Dropout) ? 0 : 1 / (1 - (double)shape.Dropout);
    }
}
