using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
[Parallelizable]
internal class RowKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    [TestCaseSource(nameof(Shapes))]
    public void Softmax_and_its_gradient_equal_double_loops((int Rows, int Columns) shape)
    {
        var (rows, columns) = shape;
        float[] x = Numbers(rows * columns, 1, 5), dY = Numbers(rows * columns, 2), start = Numbers(rows * columns, 3);
        var expected = new double[x.Length];
        var gradient = new double[x.Length];
        for (var row = 0; row < rows; row++)
        {
            var at = row * columns;
            var sum = Enumerable.Range(at, columns).Sum(i => Math.Exp(x[i]));
            for (var i = at; i < at + columns; i++)
            {
                expected[i] = Math.Exp(x[i]) / sum;
            }
            var mean = Enumerable.Range(at, columns).Sum(i => dY[i] * expected[i]);
            for (var i = at; i < at + columns; i++)
            {
                gradient[i] = start[i] + expected[i] * (dY[i] - mean);
            }
        }
        var y = Lend(new float[x.Length]);
        Backend.Softmax(y, Lend(x), columns);
        AssertClose(y, expected, 1e-6, "Softmax");
        var dX = Lend(start);
        Backend.AddSoftmaxGradient(dX, Lend(dY), y, columns);
        AssertClose(dX, gradient, 1e-6, "AddSoftmaxGradient");
    }

    [Test]
    public void Softmax_of_huge_scores_neither_overflows_nor_loses_the_largest()
    {
        var y = Lend(new float[6]);
        Backend.Softmax(y, Lend(3e38f, -3e38f, 3e38f, -1e30f, float.NegativeInfinity, 0), 3);
        Assert.That(Read(y), Is.EqualTo(new[] { 0.5f, 0, 0.5f, 0, 0, 1 }));
    }

    [TestCaseSource(nameof(Shapes))]
    public void Cross_entropy_and_its_gradient_equal_double_loops((int Rows, int Columns) shape)
    {
        var (rows, classes) = shape;
        float[] logits = Numbers(rows * classes, 1, 30), dLosses = Numbers(rows, 2), start = Numbers(rows * classes, 3);
        var labels = Indices(rows, classes, 4);
        var losses = new double[rows];
        var gradient = Array.ConvertAll(start, value => (double)value);
        for (var row = 0; row < rows; row++)
        {
            var at = row * classes;
            var sum = Enumerable.Range(at, classes).Sum(i => Math.Exp(logits[i]));
            losses[row] = Math.Log(sum) - logits[at + labels[row]];
            for (var i = at; i < at + classes; i++)
            {
                gradient[i] += dLosses[row] * (Math.Exp(logits[i]) / sum - (i - at == labels[row] ? 1 : 0));
            }
        }
        var y = Lend(new float[rows]);
        Backend.CrossEntropy(y, Lend(logits), Lend(labels));
        AssertClose(y, losses, 1e-6, "CrossEntropy");
        var dLogits = Lend(start);
        Backend.AddCrossEntropyGradient(dLogits, Lend(dLosses), Lend(logits), Lend(labels));
        AssertClose(dLogits, gradient, 1e-6, "AddCrossEntropyGradient");
    }

    [TestCaseSource(nameof(Shapes))]
    public void Layer_norm_and_its_gradients_equal_double_loops((int Rows, int Columns) shape)
    {
        const double Epsilon = 1e-5;
        var (rows, columns) = shape;
        var n = rows * columns;
        // Rows far from 0, where E[x²] − mean² would cancel.
        float[] x = [.. Numbers(n, 1).Select((value, i) => value + 50 * (i / columns % 3))], dY = Numbers(n, 2),
            start = Numbers(n, 3);
        float[] gamma = Numbers(columns, 4, 2), beta = Numbers(columns, 5), startGamma = Numbers(columns, 6);
        double[] means = new double[rows], rstds = new double[rows], normalized = new double[n], dX = new double[n];
        var dGamma = Array.ConvertAll(startGamma, value => (double)value);
        for (var row = 0; row < rows; row++)
        {
            var places = Enumerable.Range(row * columns, columns).ToArray();
            means[row] = places.Average(i => (double)x[i]);
            rstds[row] = 1 / Math.Sqrt(places.Average(i => Math.Pow(x[i] - means[row], 2)) + Epsilon);
            foreach (var i in places)
            {
                normalized[i] = (x[i] - means[row]) * rstds[row];
            }
            double G(int i) => dY[i] * (double)gamma[i % columns];
            var meanG = places.Average(G);
            var meanProduct = places.Average(i => G(i) * normalized[i]);
            foreach (var i in places)
            {
                dX[i] = start[i] + rstds[row] * (G(i) - meanG - normalized[i] * meanProduct);
                dGamma[i % columns] += dY[i] * normalized[i];
            }
        }
        DeviceBuffer<float> y = Lend(new float[n]), mean = Lend(new float[rows]), rstd = Lend(new float[rows]);
        Backend.LayerNorm(y, mean, rstd, Lend(x), Lend(gamma), Lend(beta), (float)Epsilon);
        AssertClose(mean, means, 1e-6, "mean");
        AssertClose(Read(rstd), rstds, columns == 1 ? 1e-6 : 2e-5, "rstd");
        // A row of one element has distance 0 from its mean; elsewhere x = 100 leaves 4e-6 of a distance of 1 to the
        // rounding of the mean.
        var tolerance = columns <= 2 ? 2e-4 : 3e-5;
        AssertClose(y, Each(n, i => gamma[i % columns] * normalized[i] + beta[i % columns]), tolerance, "LayerNorm");

        var inputGradient = Lend(start);
        Backend.AddLayerNormGradient(inputGradient, Lend(dY), Lend(x), mean, rstd, Lend(gamma));
        AssertClose(inputGradient, dX, tolerance, "AddLayerNormGradient");
        var gammaGradient = Lend(startGamma);
        Backend.AddLayerNormGammaGradient(gammaGradient, Lend(dY), Lend(x), mean, rstd);
        AssertClose(gammaGradient, dGamma, 3e-5, "AddLayerNormGammaGradient");
    }

    [TestCaseSource(nameof(Shapes))]
    public void The_norm_of_a_sum_has_the_bits_of_sum_and_norm((int Rows, int Columns) shape)
    {
        var (rows, columns) = shape;
        var n = rows * columns;
        DeviceBuffer<float> u = Lend(Numbers(n, 1)), v = Lend(Numbers(n, 2)), gamma = Lend(Numbers(columns, 3)),
            beta = Lend(Numbers(columns, 4));
        DeviceBuffer<float>[] Results() => [.. new[] { n, n, rows, rows }
            .Select(length => Lend(Enumerable.Repeat(float.NaN, length).ToArray()))];
        var (together, alone) = (Results(), Results());
        Backend.LayerNormOfSum(together[0], together[1], together[2], together[3], u, v, gamma, beta, 1e-5f);
        Backend.WeightedSum(alone[1], 1, u, 1, v);
        Backend.LayerNorm(alone[0], alone[2], alone[3], alone[1], gamma, beta, 1e-5f);
        foreach (var (one, other) in together.Zip(alone))
        {
            Assert.That(Read(one), Is.EqualTo(Read(other)));
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void Gather_copies_rows_and_scatter_adds_them_where_indices_repeat((int Rows, int Columns) shape)
    {
        var (rows, columns) = shape;
        const int TableRows = 5;
        float[] table = Numbers(TableRows * columns, 1), dY = Numbers(rows * columns, 2);
        var indices = Indices(rows, TableRows, 3);
        var y = Lend(new float[rows * columns]);
        Backend.Gather(y, Lend(table), Lend(indices), columns);
        AssertClose(y, Each(rows * columns, i => table[indices[i / columns] * columns + i % columns]), 0, "Gather");
        var expected = Array.ConvertAll(table, value => (double)value);
        for (var i = 0; i < dY.Length; i++)
        {
            expected[indices[i / columns] * columns + i % columns] += dY[i];
        }
        var dTable = Lend(table);
        Backend.AddScatter(dTable, Lend(dY), Lend(indices), columns);
        AssertClose(dTable, expected, 3e-6, "AddScatter");
    }

    [Test]
    public void No_rows_are_no_work()
    {
        DeviceBuffer<float> none = Lend<float>(), columns = Lend(1f, 2, 3);
        var indices = Lend<int>();
        Backend.Softmax(none, none, 3);
        Backend.AddSoftmaxGradient(none, none, none, 3);
        Backend.CrossEntropy(none, none, indices);
        Backend.AddCrossEntropyGradient(none, none, none, indices);
        Backend.LayerNorm(none, none, none, none, columns, columns, 1e-5f);
        Backend.LayerNormOfSum(none, none, none, none, none, none, columns, columns, 1e-5f);
        Backend.AddLayerNormGradient(none, none, none, none, none, columns);
        Backend.AddLayerNormGammaGradient(columns, none, none, none, none);
        Backend.Gather(none, columns, indices, 3);
        Backend.AddScatter(columns, none, indices, 3);
        Assert.That(Read(columns), Is.EqualTo(new[] { 1f, 2, 3 }));
    }
}
