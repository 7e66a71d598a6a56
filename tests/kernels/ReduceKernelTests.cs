namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
internal class ReduceKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    [TestCaseSource(nameof(Shapes))]
    public void Bias_and_column_sums_equal_double_loops((int Rows, int Columns) shape)
    {
        var (rows, columns) = shape;
        float[] x = Numbers(rows * columns, 1), bias = Numbers(columns, 2);
        var y = Lend(new float[x.Length]);
        Backend.PlusBias(y, Lend(x), Lend(bias));
        AssertClose(y, Each(x.Length, i => (double)x[i] + bias[i % columns]), 2e-7, "PlusBias");
        var sums = Lend(bias);
        Backend.AddColumnSums(sums, Lend(x));
        AssertClose(sums, Each(columns, j => bias[j] + Enumerable.Range(0, rows).Sum(i => (double)x[i * columns + j])),
            5e-6, "AddColumnSums");
    }

    [TestCaseSource(nameof(Lengths))]
    public void Sums_equal_double_sums(int n)
    {
        var x = Numbers(n, 1);
        var y = Lend(7f);
        Backend.Sum(y, 0.5f, Lend(x));
        AssertClose(y, [0.5 * x.Sum(value => (double)value)], 2e-6, "Sum");
        y = Lend(7f);
        Backend.AddSumOfSquares(y, [Lend(x)]);
        AssertClose(y, [7 + x.Sum(value => (double)value * value)], 3e-7, "AddSumOfSquares");
    }

    [Test]
    public void A_long_sum_of_equal_terms_loses_no_digits()
    {
        const int Count = 5_000_011;
        var x = Lend(Enumerable.Repeat(0.1f, Count).ToArray());
        var y = Lend(0f);
        Backend.Sum(y, 1, x);
        AssertClose(y, [0.1f * (double)Count], 1e-6, "Sum");
    }

    /// <summary>
    /// More buffers than a launch on a GPU takes, some of several blocks, one empty.
    /// </summary>
    [Test]
    public void Squares_of_many_buffers_are_summed_and_first_numbers_read_together()
    {
        float[][] xs = [.. new[] { 3, 40_000, 0, 1, 16_384, 16_385, 7, 8, 9, 10, 0 }
            .Select((length, i) => Numbers(length, i))];
        var buffers = xs.Select(x => Lend(x)).ToArray();
        var y = Lend(7f);
        Backend.AddSumOfSquares(y, buffers);
        AssertClose(y, [7 + xs.Sum(x => x.Sum(value => (double)value * value))], 3e-7, "AddSumOfSquares");
        Backend.AddSumOfSquares(y, [Lend(Array.Empty<float>())]);
        AssertClose(y, [7 + xs.Sum(x => x.Sum(value => (double)value * value))], 3e-7, "of nothing");
        // a few, and more bytes than come back with one wait
        foreach (var count in new[] { 3, 1100 })
        {
            int[] which = [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? 1 : 4)];
            Assert.That(Backend.DownloadFirsts([.. which.Select(i => buffers[i])]),
                Is.EqualTo(which.Select(i => xs[i][0])));
        }
    }
}
