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
    private const int Heads = 2, Columns = 10;

    private static readonly (int Rows, int Columns)[] SomeShapes =
        [(1, 1), (3, 1), (7, 8), (33, 15), (70, 33), (37, 131)];

    /// <summary>
    /// The long sequence is several blocks of queries, whose shares of dK and dV are added up.
    /// </summary>
    private static readonly int[] Offsets = [0, 7, 268, 268, 300];

    private static readonly AttentionShape Shape = new(Heads, 0.4f, 261, 0.25f, Seed: 77);

    private float[] y = null!, logSumExp = null!;
    private float[][] ofZeros = null!;

    [OneTimeSetUp]
    public void AttendOnce()
    {
        var count = Offsets[^1] * Columns;
        DeviceBuffer<float> result = Lend(new float[count]), sums = Lend(new float[Offsets[^1] * Heads]);
        Backend.Attention(result, sums, Lend(Numbers(count, 1)), Lend(Numbers(count, 2)), Lend(Numbers(count, 3)),
            Lend(Offsets), null, Shape);
        (y, logSumExp) = (Read(result), Read(sums));
        ofZeros = AttentionGradients(false, false, false);
        GiveBuffersBack();
    }

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

    [Test]
    public void Empty_gradients_of_attention_are_written_as_if_they_held_zeros([Values] bool emptyQ, [Values]
        bool emptyK, [Values] bool emptyV) =>
        Assert.That(AttentionGradients(emptyQ, emptyK, emptyV), Is.EqualTo(ofZeros));

    /// <summary>dQ, dK and dV, added to NaN that is said to be nothing, or to zeros.</summary>
    private float[][] AttentionGradients(params bool[] empty)
    {
        var count = Offsets[^1] * Columns;
        Accumulator[] sums =
            [.. empty.Select(isEmpty =>
                new Accumulator(Lend(Enumerable.Repeat(isEmpty ? float.NaN : 0, count).ToArray()), isEmpty))];
        Backend.AddAttentionGradient(sums[0], sums[1], sums[2], Lend(Numbers(count, 4)), Lend(y), Lend(logSumExp),
            Lend(Numbers(count, 1)), Lend(Numbers(count, 2)), Lend(Numbers(count, 3)), Lend(Offsets), null, Shape);
        return [.. sums.Select(sum => Read(sum.Buffer))];
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
