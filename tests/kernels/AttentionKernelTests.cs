using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
[Parallelizable]
internal class AttentionKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    // Lengths of the sequences of a packed batch; 0 and 1 among them, and one longer than a block of queries.
    private static readonly int[][] Batches = [[1], [2], [5, 1, 3], [17, 0, 16, 1, 31], [130], [7, 64]];

    [Test]
    public void Attention_and_its_gradients_equal_double_loops(
        [ValueSource(nameof(Batches))] int[] lengths, [Values(1, 3)] int heads, [Values(1, 5, 16)] int width,
            [Values(0f, 0.25f)] float dropout) =>
        AssertEqualsDoubleLoops(new Problem(lengths, heads, width, dropout));

    /// <summary>
    /// One of each sequence, as for [CLS]; several of one, none of another; more than a block of
    /// them.
    /// </summary>
    private static IEnumerable<TestCaseData> SomeQueries()
    {
        foreach (var dropout in new[] { 0f, 0.25f })
        {
            yield return new TestCaseData(new[] { 5, 1, 3 }, new[] { 0, 5, 6 }, 3, 5, dropout);
            yield return new TestCaseData(new[] { 17, 4, 16, 31 }, new[] { 2, 3, 16, 21, 67 }, 2, 16, dropout);
            yield return new TestCaseData(new[] { 7, 261, 64 },
                Enumerable.Range(7, 261).Where(i => i % 2 == 0).Append(300).ToArray(), 2, 33, dropout);
            yield return new TestCaseData(new[] { 4, 6 }, Enumerable.Range(0, 10).ToArray(), 1, 4, dropout);
        }
    }

    [TestCaseSource(nameof(SomeQueries))]
    public void Attention_of_some_queries_and_its_gradients_equal_double_loops(int[] lengths, int[] asking, int heads,
        int width, float dropout) =>
        AssertEqualsDoubleLoops(new Problem(lengths, heads, width, dropout, asking));

    [TestCaseSource(nameof(SomeQueries))]
    public void A_query_among_few_has_the_numbers_and_the_mask_that_it_has_among_all(int[] lengths, int[] asking,
        int heads, int width, float dropout)
    {
        var few = new Problem(lengths, heads, width, dropout, asking);
        var all = new Problem(lengths, heads, width, dropout);
        all.K.CopyTo(few.K, 0);
        all.V.CopyTo(few.V, 0);
        for (var i = 0; i < asking.Length; i++)
        {
            all.Q.AsSpan(asking[i] * all.Columns, all.Columns).CopyTo(few.Q.AsSpan(i * all.Columns));
        }
        var whole = Read(Forward(all).Y);
        AssertClose(Forward(few).Y, Each(few.Q.Length,
            i => whole[asking[i / few.Columns] * few.Columns + i % few.Columns]), 2e-6, "y");
    }

    /// <summary>
    /// The memory of a gradient's first share is undefined: what no query reaches is written too.
    /// </summary>
    [Test]
    public void Keys_that_nobody_asks_have_the_gradient_zero()
    {
        var problem = new Problem([3, 2, 4], 2, 4, 0, asking: [1, 7]);
        var (y, logSumExp) = Forward(problem);
        float[] rubbish = Numbers(problem.K.Length, 9);
        DeviceBuffer<float> dK = Lend(rubbish), dV = Lend(rubbish);
        Backend.AddAttentionGradient(null, new Accumulator(dK, IsEmpty: true), new Accumulator(dV, IsEmpty: true),
            Lend(problem.DY), y, logSumExp, Lend(problem.Q), Lend(problem.K), Lend(problem.V), Lend(problem.Offsets),
            Asking(problem), problem.Shape);
        AssertClose(dK, problem.Expected.DK, 1e-5, "dK");
        AssertClose(dV, problem.Expected.DV, 1e-5, "dV");
        Assert.That(Read(dK)[(3 * 8)..(5 * 8)].Concat(Read(dV)[(3 * 8)..(5 * 8)]), Is.All.Zero);
    }

    private void AssertEqualsDoubleLoops(Problem problem)
    {
        var (y, logSumExp) = Forward(problem);
        AssertClose(y, problem.Expected.Y, 2e-6, "y");
        AssertClose(logSumExp, problem.Expected.LogSumExp, 1e-6, "logSumExp");

        float[] start = Numbers(problem.K.Length, 9);
        DeviceBuffer<float> dQ = Lend(start[..problem.Q.Length]), dK = Lend(start), dV = Lend(start);
        Backward(problem, dQ, dK, dV, y, logSumExp);
        AssertClose(dQ, Each(problem.Q.Length, i => start[i] + problem.Expected.DQ[i]), 1e-5, "dQ");
        AssertClose(dK, Each(start.Length, i => start[i] + problem.Expected.DK[i]), 1e-5, "dK");
        AssertClose(dV, Each(start.Length, i => start[i] + problem.Expected.DV[i]), 1e-5, "dV");
    }

    /// <summary>
    /// Wider than what a device keeps of a row at a time, and no multiple of anything.
    /// </summary>
    [Test]
    public void Wide_heads_equal_double_loops([Values(33, 64, 131)] int width, [Values(0f, 0.25f)] float dropout) =>
        Attention_and_its_gradients_equal_double_loops([5, 70], 2, width, dropout);

    [Test]
    public void A_sequence_of_several_blocks_of_queries_and_keys_equals_double_loops([Values(0f, 0.25f)]
        float dropout) =>
        Attention_and_its_gradients_equal_double_loops([7, 261, 64], 2, 5, dropout);

    [Test]
    public void A_batch_without_tokens_is_no_work()
    {
        DeviceBuffer<float> none = Lend<float>();
        DeviceBuffer<int> offsets = Lend(0, 0);
        var shape = new AttentionShape(Heads: 2, Scale: 1, LongestSequence: 0);
        Backend.Attention(none, none, none, none, none, offsets, null, shape);
        Backend.AddAttentionGradient(none, none, none, none, none, none, none, none, none, offsets, null, shape);
    }

    [Test]
    public void A_destination_that_is_null_changes_nothing_in_the_others([Values] bool needsQ, [Values] bool needsK,
        [Values] bool needsV)
    {
        var problem = new Problem([33, 1, 140], 2, 8, 0.1f);
        var (y, logSumExp) = Forward(problem);
        DeviceBuffer<float>? Destination(bool needed) => needed ? Lend(new float[problem.Q.Length]) : null;
        DeviceBuffer<float>? dQ = Destination(needsQ), dK = Destination(needsK), dV = Destination(needsV);
        Backward(problem, dQ, dK, dV, y, logSumExp);
        if (dQ != null)
        {
            AssertClose(dQ, problem.Expected.DQ, 1e-5, "dQ");
        }
        if (dK != null)
        {
            AssertClose(dK, problem.Expected.DK, 1e-5, "dK");
        }
        if (dV != null)
        {
            AssertClose(dV, problem.Expected.DV, 1e-5, "dV");
        }
    }

    [Test]
    public void A_sequence_gives_the_same_bits_alone_and_in_a_batch()
    {
        var alone = new Problem([50], 2, 8, 0);
        var together = new Problem([50, 200], 2, 8, 0);
        alone.Q.CopyTo(together.Q, 0);
        alone.K.CopyTo(together.K, 0);
        alone.V.CopyTo(together.V, 0);
        Assert.That(Read(Forward(together).Y).Take(alone.Q.Length), Is.EqualTo(Read(Forward(alone).Y)));
    }

    [Test]
    public void Huge_scores_do_not_overflow()
    {
        var problem = new Problem([4], 1, 4, 0);
        for (var i = 0; i < problem.Q.Length; i++)
        {
            problem.Q[i] *= 1000;
        }
        Assert.That(Read(Forward(problem).Y), Has.All.InRange(-1f, 1f));
    }

    private (DeviceBuffer<float> Y, DeviceBuffer<float> LogSumExp) Forward(Problem p)
    {
        DeviceBuffer<float> y = Lend(new float[p.Q.Length]), logSumExp = Lend(new float[p.Queries * p.Shape.Heads]);
        Backend.Attention(y, logSumExp, Lend(p.Q), Lend(p.K), Lend(p.V), Lend(p.Offsets), Asking(p), p.Shape);
        return (y, logSumExp);
    }

    private void Backward(Problem p, DeviceBuffer<float>? dQ, DeviceBuffer<float>? dK, DeviceBuffer<float>? dV,
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp) =>
        Backend.AddAttentionGradient(Sum(dQ), Sum(dK), Sum(dV), Lend(p.DY), y, logSumExp, Lend(p.Q), Lend(p.K),
            Lend(p.V), Lend(p.Offsets), Asking(p), p.Shape);

    private AttentionQueries? Asking(Problem p) => p.Asking is null ? null
        : new AttentionQueries(Lend(p.QueryOffsets), Lend(p.Asking),
            p.QueryOffsets.Zip(p.QueryOffsets.Skip(1), (start, end) => end - start).Max());

    private static Accumulator? Sum(DeviceBuffer<float>? buffer) =>
        buffer is null ? default(Accumulator?) : new Accumulator(buffer);

    private sealed class Problem
    {
        private AttentionReference? expected;

        /// <param name="lengths">Of the sequences.</param>
        /// <param name="heads">Number of heads.</param>
        /// <param name="width">Of a head.</param>
        /// <param name="dropout">Of the probabilities.</param>
        /// <param name="asking">The tokens that ask; null: all.</param>
        public Problem(int[] lengths, int heads, int width, float dropout, int[]? asking = null)
        {
            Offsets = [0, .. lengths.Select((_, i) => lengths.Take(i + 1).Sum())];
            Columns = heads * width;
            Asking = asking;
            QueryOffsets = asking is null ? Offsets : [.. Offsets.Select(end => asking.Count(token => token < end))];
            int n = Tokens * Columns, queries = Queries * Columns;
            (Q, K, V, DY) = (Numbers(queries, 1, 2), Numbers(n, 2, 2), Numbers(n, 3), Numbers(queries, 4));
            Shape = new AttentionShape(heads, (float)(1 / Math.Sqrt(width)), lengths.Max(), dropout, Seed: 77);
        }

        public int[] Offsets { get; }

        public int Columns { get; }

        public int[]? Asking { get; }

        public int[] QueryOffsets { get; }

        public int Tokens => Offsets[^1];

        public int Queries => QueryOffsets[^1];

        public float[] Q { get; }

        public float[] K { get; }

        public float[] V { get; }

        public float[] DY { get; }

        public AttentionShape Shape { get; }

        public AttentionReference Expected => expected ??= new AttentionReference(Q, K, V, DY, Offsets, Columns, Shape,
            QueryOffsets, Asking ?? [.. Enumerable.Range(0, Tokens)]);
    }
}
