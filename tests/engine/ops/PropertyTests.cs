using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// Laws that hold for any shape and any numbers, tried on shapes drawn at random from fixed seeds.
/// </summary>
public class PropertyTests
{
    private static readonly int[] Seeds = [.. Enumerable.Range(1, 12)];

    private TensorScope scope = null!;

    [SetUp]
    public void OpenScope() => scope = new TensorScope();

    [TearDown]
    public void EndScope() => scope.Dispose();

    private static Tensor Leaf(int seed, params ReadOnlySpan<int> sizes) =>
        Values.Leaf(Backends.Any, seed, new Shape(sizes));

    private static int[] Sizes(int seed, int count, int largest = 40)
    {
        var draw = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 1 + draw.Next(largest))];
    }

    [TestCaseSource(nameof(Seeds))]
    public void Products_are_associative(int seed)
    {
        var n = Sizes(seed, 4);
        var (a, b, c) = (Leaf(1, n[0], n[1]), Leaf(2, n[1], n[2]), Leaf(3, n[2], n[3]));
        Values.AssertClose(a.MatMul(b).MatMul(c).ToArray(), a.MatMul(b.MatMul(c)).ToArray(), 1e-5, "(AB)C = A(BC)");
    }

    [TestCaseSource(nameof(Seeds))]
    public void A_transposed_product_is_the_product_of_the_transposed_in_reverse(int seed)
    {
        var n = Sizes(seed, 3);
        var (a, b) = (Leaf(1, n[0], n[1]), Leaf(2, n[1], n[2]));
        Values.AssertClose(a.MatMul(b).Transpose().ToArray(), b.Transpose().MatMul(a.Transpose()).ToArray(), 1e-5,
            "(AB)ᵀ = BᵀAᵀ");
    }

    [TestCaseSource(nameof(Seeds))]
    public void Linear_is_a_product_with_the_transposed_weight_plus_the_bias_and_so_are_its_gradients(int seed)
    {
        var n = Sizes(seed, 3);
        var shapes = new[] { new Shape(n[0], n[1]), new Shape(n[2], n[1]), new Shape(n[2]) };
        var one = shapes.Select((shape, i) => Values.Leaf(Backends.Any, i, shape)).ToArray();
        var two = shapes.Select((shape, i) => Values.Leaf(Backends.Any, i, shape)).ToArray();
        var upstream = Leaf(9, n[0], n[2]);
        var y = one[0].Linear(one[1], one[2]);
        var z = two[0].MatMul(two[1].Transpose()).AddBias(two[2]);
        Values.AssertClose(y.ToArray(), z.ToArray(), 1e-5, "y");
        y.Backward(upstream);
        z.Backward(upstream);
        for (var i = 0; i < 3; i++)
        {
            Values.AssertClose(one[i].Gradient!.ToArray(), two[i].Gradient!.ToArray(), 1e-5, $"gradient {i}");
        }
    }

    [TestCaseSource(nameof(Seeds))]
    public void AddMatMul_is_a_product_scaled_and_added(int seed)
    {
        var n = Sizes(seed, 3);
        var (z, x, w) = (Leaf(1, n[0], n[2]), Leaf(2, n[0], n[1]), Leaf(3, n[1], n[2]));
        Values.AssertClose(z.AddMatMul(x, w, -0.75f).ToArray(), z.Add(x.MatMul(w).Scale(-0.75f)).ToArray(), 1e-5, "y");
    }

    [TestCaseSource(nameof(Seeds))]
    public void LinearPlusMatMul_has_the_bits_of_Linear_and_AddMatMul(int seed)
    {
        var n = Sizes(seed, 4);
        var (x, w, bias) = (Leaf(1, n[0], n[1]), Leaf(2, n[2], n[1]), Leaf(3, n[2]));
        var (h, b) = (Leaf(4, n[0], n[3]), Leaf(5, n[3], n[2]));
        Values.AssertSameBits(x.LinearPlusMatMul(w, bias, h, b, 1.5f).ToArray(),
            x.Linear(w, bias).AddMatMul(h, b, 1.5f).ToArray(), "y");
    }

    [TestCaseSource(nameof(Seeds))]
    public void A_batched_product_is_the_product_of_each_pair(int seed)
    {
        var n = Sizes(seed, 4, largest: 12);
        var (a, b) = (Leaf(1, n[0], n[1], n[2]), Leaf(2, n[0], n[2], n[3]));
        var y = a.BatchedMatMul(b).ToArray();
        for (var i = 0; i < n[0]; i++)
        {
            using var left = Tensor.From(a.ToArray().AsSpan(i * n[1] * n[2], n[1] * n[2]), new Shape(n[1], n[2]),
                Backends.Any);
            using var right = Tensor.From(b.ToArray().AsSpan(i * n[2] * n[3], n[2] * n[3]), new Shape(n[2], n[3]),
                Backends.Any);
            Values.AssertClose(y[(i * n[1] * n[3])..((i + 1) * n[1] * n[3])], left.MatMul(right).ToArray(), 1e-5,
                $"pair {i}");
        }
    }

    [TestCaseSource(nameof(Seeds))]
    public void Softmax_rows_are_positive_sum_to_1_and_do_not_see_a_shift(int seed)
    {
        var n = Sizes(seed, 2);
        var x = Leaf(seed, n[0], n[1]);
        var y = x.Softmax().ToArray();
        Assert.That(y, Is.All.GreaterThan(0));
        Assert.That(y.Chunk(n[1]).Select(row => row.Sum(value => (double)value)), Is.All.EqualTo(1).Within(1e-6));
        var shift = Tensor.From(Enumerable.Repeat(20f, n[0] * n[1]).ToArray(), x.Shape, x.Backend);
        Values.AssertClose(x.Add(shift).Softmax().ToArray(), y, 1e-5, "softmax(x + c)");
    }

    [TestCaseSource(nameof(Seeds))]
    public void The_gradient_of_softmax_sums_to_0_in_each_row(int seed)
    {
        var n = Sizes(seed, 2);
        var x = Leaf(seed, n[0], n[1]);
        x.Softmax().Backward(Leaf(seed + 100, n[0], n[1]));
        Assert.That(x.Gradient!.ToArray().Chunk(n[1]).Select(row => row.Sum(value => (double)value)),
            Is.All.EqualTo(0).Within(1e-6));
    }

    [TestCaseSource(nameof(Seeds))]
    public void Cross_entropy_is_minus_the_logarithm_of_softmax(int seed)
    {
        var n = Sizes(seed, 2);
        var x = Leaf(seed, n[0], n[1]);
        int[] labels = [.. Enumerable.Range(0, n[0]).Select(row => (row * 7 + seed) % n[1])];
        using var indices = new Indices(labels, x.Backend);
        var p = x.Softmax().ToArray();
        Values.AssertClose(x.CrossEntropyPerRow(indices).ToArray(),
            [.. labels.Select((label, row) => -Math.Log(p[row * n[1] + label]))], 1e-5, "losses");
    }

    [TestCaseSource(nameof(Seeds))]
    public void LayerNorm_rows_have_mean_0_and_variance_1_and_do_not_see_shift_or_scale(int seed)
    {
        var rows = Sizes(seed, 1)[0];
        var columns = 8 + Sizes(seed + 50, 1)[0];
        var x = Leaf(seed, rows, columns);
        var gamma = Tensor.From(Enumerable.Repeat(1f, columns).ToArray(), new Shape(columns), x.Backend);
        var beta = Tensor.Zeros(new Shape(columns), x.Backend);
        var y = x.LayerNorm(gamma, beta, 1e-12f).ToArray();
        foreach (var row in y.Chunk(columns))
        {
            Assert.That(row.Average(value => (double)value), Is.EqualTo(0).Within(1e-6));
            Assert.That(row.Average(value => (double)value * value), Is.EqualTo(1).Within(1e-5));
        }
        var shift = Tensor.From(Enumerable.Repeat(2f, rows * columns).ToArray(), x.Shape, x.Backend);
        Values.AssertClose(x.Scale(3).Add(shift).LayerNorm(gamma, beta, 1e-12f).ToArray(), y, 1e-5,
            "LayerNorm(3x + 2)");
    }

    [TestCaseSource(nameof(Seeds))]
    public void Attention_over_a_packed_batch_is_attention_over_each_sequence_alone_with_its_gradients(int seed)
    {
        var draw = new Random(seed);
        int heads = 1 + draw.Next(3), width = 1 + draw.Next(20), columns = heads * width;
        int[] lengths = [.. Enumerable.Range(0, 1 + draw.Next(4)).Select(_ => 1 + draw.Next(30))];
        int[] offsets = [0, .. lengths.Select((_, s) => lengths.Take(s + 1).Sum())];
        using var packedOffsets = new SequenceOffsets(offsets, Backends.Any);
        var packed = Enumerable.Range(0, 3).Select(i => Leaf(i + 1, offsets[^1], columns)).ToArray();
        var upstream = Leaf(9, offsets[^1], columns);
        var y = Ops.Attention(packed[0], packed[1], packed[2], packedOffsets, heads);
        var values = y.ToArray();
        y.Backward(upstream);
        for (var s = 0; s < lengths.Length; s++)
        {
            var part = (offsets[s] * columns)..(offsets[s + 1] * columns);
            using var offsetsAlone = new SequenceOffsets([0, lengths[s]], Backends.Any);
            var alone = packed.Select(x =>
                Tensor.From(x.ToArray()[part], new Shape(lengths[s], columns), x.Backend, requiresGradient: true))
                .ToArray();
            var yAlone = Ops.Attention(alone[0], alone[1], alone[2], offsetsAlone, heads);
            Values.AssertClose(values[part], yAlone.ToArray(), 1e-6, $"sequence {s}");
            yAlone.Backward(Tensor.From(upstream.ToArray()[part], yAlone.Shape, y.Backend));
            for (var i = 0; i < 3; i++)
            {
                Values.AssertClose(packed[i].Gradient!.ToArray()[part], alone[i].Gradient!.ToArray(), 1e-6,
                    $"gradient {i} of sequence {s}");
            }
        }
    }

    [TestCaseSource(nameof(Seeds))]
    public void Reshape_and_transpose_there_and_back_change_no_bit(int seed)
    {
        var n = Sizes(seed, 2);
        var x = Leaf(seed, n[0], n[1]);
        Values.AssertSameBits(x.Transpose().Transpose().ToArray(), x.ToArray(), "Xᵀᵀ");
        Values.AssertSameBits(x.Reshape(new Shape(n[1], n[0])).Reshape(new Shape(1, n[0] * n[1])).ToArray(),
            x.ToArray(), "reshaped");
    }

    [TestCaseSource(nameof(Seeds))]
    public void Gathering_every_row_in_order_is_the_table_and_its_gradient_the_upstream(int seed)
    {
        var n = Sizes(seed, 2);
        var table = Leaf(seed, n[0], n[1]);
        var upstream = Leaf(seed + 1, n[0], n[1]);
        using var indices = new Indices([.. Enumerable.Range(0, n[0])], table.Backend);
        var y = table.Gather(indices);
        Values.AssertSameBits(y.ToArray(), table.ToArray(), "y");
        y.Backward(upstream);
        Values.AssertSameBits(table.Gradient!.ToArray(), upstream.ToArray(), "dTable");
    }

    [TestCaseSource(nameof(Seeds))]
    public void Dropout_keeps_its_share_scales_the_rest_and_masks_the_gradient_alike(int seed)
    {
        const float p = 0.25f;
        var x = Leaf(seed, 40, 50);
        var y = x.Dropout(p, (ulong)seed);
        var values = y.ToArray();
        var input = x.ToArray();
        Assert.That(values.Count(value => value == 0) / 2000.0, Is.EqualTo(p).Within(0.05));
        Values.AssertClose(values, [.. values.Select((value, i) => value == 0 ? 0 : input[i] / (1.0 - p))], 1e-6, "y");
        var upstream = Leaf(seed + 100, 40, 50);
        y.Backward(upstream);
        Values.AssertClose(x.Gradient!.ToArray(),
            [.. upstream.ToArray().Select((dY, i) => values[i] == 0 ? 0 : dY / (1.0 - p))], 1e-6, "dX");
    }

    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void A_gradient_is_linear_in_the_upstream(OpCase op)
    {
        var one = op.Leaves(Backends.Any);
        op.Backward(op.Compute(one), factor: 1);
        var four = op.Leaves(Backends.Any);
        op.Backward(op.Compute(four), factor: -4);
        for (var i = 0; i < one.Length; i++)
        {
            Values.AssertClose(four[i].Gradient!.ToArray(),
                Reference.Map(Values.ToDouble(one[i].Gradient!.ToArray()), value => -4 * value), 1e-6, $"gradient {i}");
        }
    }
}
