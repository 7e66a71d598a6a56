using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

public static partial class OpCases
{
    // ---------------------------------------------------------------- rows and columns

    private static Shape[] RowShapes => [S(3, 5), S(1, 16), S(2, 17), S(4, 33), S(9, 2), S(2, 3, 7), S(5, 64)];

    private static IEnumerable<OpCase> RowsAndColumns()
    {
        foreach (var shape in RowShapes)
        {
            var columns = shape.Columns;
            yield return new("AddBias", [shape, S(columns)], x => x[0].AddBias(x[1]),
                x => Reference.AddBias(x[0], x[1]));
            yield return new("Softmax", [shape], x => x[0].Softmax(), x => Reference.Softmax(x[0], columns));
            yield return new("LayerNorm", [shape, S(columns), S(columns)], x => x[0].LayerNorm(x[1], x[2]),
                x => Reference.LayerNorm(x[0], x[1], x[2], 1e-5f), change: Spread);
            yield return new("LayerNormOfSum", [shape, shape, S(columns), S(columns)],
                x => x[0].LayerNormOfSum(x[1], x[2], x[3]),
                x => Reference.LayerNorm(Reference.Zip(x[0], x[1], (u, v) => u + v), x[2], x[3], 1e-5f),
                change: Spread);
        }
        yield return new("LayerNormOfSum", [S(3, 6), S(6), S(6)], x => x[0].LayerNormOfSum(x[0], x[1], x[2]),
            x => Reference.LayerNorm(Reference.Map(x[0], u => 2 * u), x[1], x[2], 1e-5f), "of x + x", Spread);
        yield return new("AddBias", [S(7, 1), S(1)], x => x[0].AddBias(x[1]), x => Reference.AddBias(x[0], x[1]));
        yield return new("Softmax", [S(3, 1)], x => x[0].Softmax(), x => Reference.Softmax(x[0], 1));
        yield return new("Softmax", [S(3, 18)], x => x[0].Softmax(), x => Reference.Softmax(x[0], 18), "values to ±100",
            (value, _) => 40 * value);
        yield return new("LayerNorm", [S(3, 6), S(6), S(6)], x => x[0].LayerNorm(x[1], x[2], epsilon: 0.1f),
            x => Reference.LayerNorm(x[0], x[1], x[2], 0.1f), "ε = 0.1");
        yield return new("LayerNorm", [S(3, 6), S(6), S(6)], x => x[0].LayerNorm(x[1], x[2], epsilon: 1e-12f),
            x => Reference.LayerNorm(x[0], x[1], x[2], 1e-12f), "ε = 1e-12", Spread);

        foreach (var (classes, labels) in new[] { (3, new[] { 2, 0, 1, 2 }), (17, [16, 0, 8]), (2, [1]),
            (33, [32, 5]) })
        {
            var logits = S(labels.Length, classes);
            yield return new("CrossEntropyPerRow", [logits],
                x => x[0].CrossEntropyPerRow(new Indices(labels, x[0].Backend)),
                    x => Reference.CrossEntropy(x[0], classes, labels));
            yield return new("CrossEntropy", [logits], x => x[0].CrossEntropy(new Indices(labels, x[0].Backend)),
                x => [Reference.CrossEntropy(x[0], classes, labels).Average()]);
        }
        foreach (var (shape, scale) in new[] { (S(4, 3), 1f), (S(1, 17), 1f), (S(5, 1), 1f), (S(3, 6), 10f) })
        {
            bool[] holds = [.. Enumerable.Range(0, shape.Count).Select(i => i * 7 % 5 < 2)];
            yield return new("BinaryCrossEntropy", [shape], x => x[0].BinaryCrossEntropy(holds),
                x => [x[0].Select((logit, i) => Reference.Softplus(holds[i] ? -logit : logit)).Average()],
                scale == 1 ? "" : $"values times {scale}", (value, _) => scale * value);
        }
        yield return new("CrossEntropyPerRow", [S(2, 5)],
            x => x[0].CrossEntropyPerRow(new Indices([4, 1], x[0].Backend)),
                x => Reference.CrossEntropy(x[0], 5, [4, 1]),
            "values to ±100", (value, _) => 40 * value);

        foreach (var (rows, columns, indices) in new[] { (5, 3, new[] { 4, 0, 4, 2, 4 }), (3, 17, [1]),
            (2, 33, [1, 1, 0]), (4, 1, [3, 0]) })
        {
            yield return new("Gather", [S(rows, columns)], x => x[0].Gather(new Indices(indices, x[0].Backend)),
                x => Reference.Gather(x[0], columns, indices),
                $"rows {string.Join(" ", indices)}");
        }
    }

    /// <summary>
    /// A row whose values lie close together has a tiny variance, and then any float32 gradient is
    /// ill-conditioned; neighbours are kept apart.
    /// </summary>
    private static float Spread(float value, int index) => value + (index % 2 == 0 ? 2 : -2);

    // ---------------------------------------------------------------- sequences

    private static IEnumerable<OpCase> Sequences()
    {
        foreach (var (offsets, heads, width) in new[]
        {
            (new[] { 0, 1 }, 1, 1), ([0, 3, 4, 8], 2, 3), ([0, 17], 3, 5), ([0, 2, 19, 20], 1, 16), ([0, 5, 11], 2, 17),
            ([0, 33, 36], 2, 8), ([0, 70], 1, 4),
        })
        {
            var shape = S(offsets[^1], heads * width);
            var lengths = string.Join(" ", offsets.Zip(offsets.Skip(1), (start, end) => end - start));
            yield return new("Attention", [shape, shape, shape],
                x => Ops.Attention(x[0], x[1], x[2], new SequenceOffsets(offsets, x[0].Backend), heads),
                x => Reference.Attention(x[0], x[1], x[2], offsets, heads), $"{heads} heads, lengths {lengths}");
            var mask = new Lazy<double[]>(() => Reference.AttentionMask(offsets, heads, 0.4f, 5));
            yield return new("Attention", [shape, shape, shape],
                x => Ops.Attention(x[0], x[1], x[2], new SequenceOffsets(offsets, x[0].Backend), heads, dropout: 0.4f,
                    seed: 5),
                x => Reference.Attention(x[0], x[1], x[2], offsets, heads, mask.Value),
                    $"{heads} heads, lengths {lengths}, dropout 0.4");
        }
        foreach (var (offsets, rows, heads, width) in new[]
        {
            (new[] { 0, 3, 4, 8 }, new[] { 0, 3, 4 }, 2, 3), ([0, 2, 19, 20], [3, 4, 9, 18, 19], 1, 16),
            ([0, 5, 11], [4, 5, 7], 2, 17),
        })
        {
            Shape asking = S(rows.Length, heads * width), all = S(offsets[^1], heads * width);
            foreach (var dropout in new[] { 0, 0.4f })
            {
                var mask = new Lazy<double[]>(() => Reference.AttentionMask(offsets, heads, dropout, 5));
                yield return new("Attention", [asking, all, all],
                    x =>
                    {
                        var sequences = new SequenceOffsets(offsets, x[0].Backend);
                        return Ops.Attention(x[0], x[1], x[2], sequences,
                            new SequenceRows(rows, sequences, x[0].Backend), heads, dropout, seed: 5);
                    },
                    x =>
                    {
                        // every token asks, those that are not chosen with zeros
                        var q = new double[all.Count];
                        for (var i = 0; i < x[0].Length; i++)
                        {
                            q[rows[i / asking.Columns] * asking.Columns + i % asking.Columns] = x[0][i];
                        }
                        return Reference.Gather(Reference.Attention(q, x[1], x[2], offsets, heads, mask.Value),
                            asking.Columns, rows);
                    }, $"{heads} heads, tokens {string.Join(" ", rows)} ask, dropout {dropout}");
            }
        }
        int[] two = [0, 3, 5];
        yield return new("Attention", [S(5, 4)],
            x => Ops.Attention(x[0], x[0], x[0], new SequenceOffsets(two, x[0].Backend), 2),
            x => Reference.Attention(x[0], x[0], x[0], two, 2), "query, key and value in one");
        yield return new("Attention", [S(5, 4), S(5, 4)],
            x => Ops.Attention(x[0], x[1], x[1], new SequenceOffsets(two, x[0].Backend), 2),
            x => Reference.Attention(x[0], x[1], x[1], two, 2), "key and value in one");
    }

    // ---------------------------------------------------------------- computed again in the backward pass

    private static IEnumerable<OpCase> Recomputed()
    {
        yield return new("Recompute", [S(3, 5)], x => Recompute.Of(x[0], u => u.Tanh().Multiply(u)),
            x => Reference.Map(x[0], a => Math.Tanh(a) * a));
        foreach (var (m, k, n) in new[] { (3, 5, 7), (17, 16, 33) })
        {
            yield return new("Recompute", [S(m, k), S(k, n), S(m, n)],
                x => Recompute.Of(x, u => u[0].MatMul(u[1]).Tanh().Add(u[2])),
                x => Reference.Zip(Reference.Map(Reference.Product(x[0], x[1], m, k, n), Math.Tanh), x[2],
                    (a, b) => a + b));
        }
        yield return new("Recompute", [S(4, 9), S(4, 9)],
            x => Recompute.Of(x, u => Recompute.Of(u[0], v => v.Sigmoid().Dropout(0.3f, seed: 77)).Multiply(u[1])),
            x => Reference.Zip(Masked(Reference.Map(x[0], Reference.Sigmoid), Reference.DropoutMask(36, 0.3f, 77)),
                x[1], (a, b) => a * b), "one within another");
    }
}
