using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Every kernel that adds to an <see cref="Accumulator"/>: an empty one, whatever lies in its
/// memory, gets what zeros would.
/// </summary>
[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
[Parallelizable]
internal sealed class EmptySumTests(BackendCase backendCase) : KernelTests(backendCase)
{
    private static readonly (int Rows, int Columns)[] SomeShapes =
        [(1, 1), (3, 1), (7, 8), (33, 15), (70, 33), (37, 131)];

    [TestCaseSource(nameof(SomeShapes))]
    public void An_empty_sum_is_written_as_if_it_held_zeros((int Rows, int Columns) shape)
    {
        var (rows, columns) = shape;
        var count = rows * columns;
        DeviceBuffer<float> x = Lend(Numbers(count, 1)), dY = Lend(Numbers(count, 2)), y = Lend(Numbers(count, 3)),
            row = Lend(Numbers(columns, 4)), one = Lend(0.25f);
        DeviceBuffer<float> mean = Lend(Numbers(rows, 5)), rstd = Lend(Numbers(rows, 6)),
            perRow = Lend(Numbers(rows, 7));
        var indices = Lend(Indices(rows, columns, 8));
        AssertWritten(count, sum => Backend.AddMapGradient<Gelu>(sum, dY, x, null), "AddMapGradient of the input");
        AssertWritten(count, sum => Backend.AddMapGradient<Tanh>(sum, dY, null, y), "AddMapGradient of the output");
        AssertWritten(count, sum => Backend.AddMultiply(sum, x, dY), "AddMultiply");
        AssertWritten(count, sum => Backend.AddBroadcast(sum, 3, one), "AddBroadcast");
        AssertWritten(count, sum => Backend.AddDropoutGradient(sum, dY, 0.3f, 5, rows: null), "AddDropoutGradient");
        AssertWritten(columns, sum => Backend.AddColumnSums(sum, x), "AddColumnSums");
        AssertWritten(count, sum => Backend.AddGroupBroadcast(sum, 0.5f, perRow), "AddGroupBroadcast");
        AssertWritten(count, sum => Backend.AddSoftmaxGradient(sum, dY, y, columns), "AddSoftmaxGradient");
        AssertWritten(count, sum => Backend.AddCrossEntropyGradient(sum, perRow, x, indices),
            "AddCrossEntropyGradient");
        AssertWritten(count, sum => Backend.AddLayerNormGradient(sum, dY, x, mean, rstd, row), "AddLayerNormGradient");
        AssertWritten(columns, sum => Backend.AddLayerNormGammaGradient(sum, dY, x, mean, rstd),
            "AddLayerNormGammaGradient");
        AssertWritten((columns + 2) * columns, sum => Backend.AddScatter(sum, dY, indices, columns), "AddScatter");
    }

    [Test]
    public void Sums_over_no_rows_are_zero()
    {
        DeviceBuffer<float> none = Lend<float>();
        AssertWritten(3, sum => Backend.AddColumnSums(sum, none), "AddColumnSums");
        AssertWritten(3, sum => Backend.AddLayerNormGammaGradient(sum, none, none, none, none),
            "AddLayerNormGammaGradient");
        AssertWritten(3, sum => Backend.AddScatter(sum, none, Lend<int>(), 3), "AddScatter");
    }

    /// <summary>
    /// The long sequence is several blocks of queries, whose shares of dK and dV are added up.
    /// </summary>
    [Test]
    public void Empty_gradients_of_attention_are_written_as_if_they_held_zeros([Values] bool emptyQ, [Values]
        bool emptyK, [Values] bool emptyV)
    {
        const int Heads = 2, Columns = 10;
        int[] offsets = [0, 7, 268, 268, 300];
        var count = offsets[^1] * Columns;
        var shape = new AttentionShape(Heads, 0.4f, 261, 0.25f, Seed: 77);
        DeviceBuffer<float> q = Lend(Numbers(count, 1)), k = Lend(Numbers(count, 2)), v = Lend(Numbers(count, 3)),
            dY = Lend(Numbers(count, 4));
        DeviceBuffer<float> y = Lend(new float[count]), logSumExp = Lend(new float[offsets[^1] * Heads]);
        var starts = Lend(offsets);
        Backend.Attention(y, logSumExp, q, k, v, starts, null, shape);
        Assert.That(Gradients(emptyQ, emptyK, emptyV), Is.EqualTo(Gradients(false, false, false)));

        float[][] Gradients(params bool[] empty)
        {
            Accumulator[] sums =
                [.. empty.Select(isEmpty =>
                    new Accumulator(Lend(Enumerable.Repeat(isEmpty ? float.NaN : 0, count).ToArray()), isEmpty))];
            Backend.AddAttentionGradient(sums[0], sums[1], sums[2], dY, y, logSumExp, q, k, v, starts, null, shape);
            return [.. sums.Select(sum => Read(sum.Buffer))];
        }
    }

    private void AssertWritten(int count, Action<Accumulator> add, string kernel)
    {
        DeviceBuffer<float> zeros = Lend(new float[count]),
            undefined = Lend(Enumerable.Repeat(float.NaN, count).ToArray());
        add(zeros);
        add(new Accumulator(undefined, IsEmpty: true));
        Assert.That(Read(undefined), Is.EqualTo(Read(zeros)), kernel);
    }
}
