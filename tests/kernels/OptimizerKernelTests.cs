using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
internal class OptimizerKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    private const int Steps = 5;

    [Test]
    public void Sgd_follows_its_equations(
        [Values(1, 17, 40009)] int n, [Values(0f, 0.9f)] float momentum, [Values(0f, 0.01f)] float weightDecay, [Values]
            bool nesterov)
    {
        var start = Numbers(n, 1);
        DeviceBuffer<float> w = Lend(start), velocity = Lend(Enumerable.Repeat(float.NaN, n).ToArray());
        var expected = Array.ConvertAll(start, value => (double)value);
        var b = new double[n];
        for (var step = 0; step < Steps; step++)
        {
            var gradient = Numbers(n, 10 + step);
            for (var i = 0; i < n; i++)
            {
                var g = gradient[i] + weightDecay * expected[i];
                if (momentum > 0)
                {
                    b[i] = step == 0 ? g : momentum * b[i] + g;
                    g = nesterov ? g + momentum * b[i] : b[i];
                }
                expected[i] -= 0.1f * g;
            }
            Backend.SgdStep([new SgdParameter(w, Lend(gradient), momentum > 0 ? velocity : null)],
                new SgdStep(0.1f, momentum, weightDecay, nesterov, First: step == 0));
        }
        AssertClose(w, expected, 1e-6, "weights");
        if (momentum > 0)
        {
            AssertClose(velocity, b, 1e-6, "velocity");
        }
    }

    [Test]
    public void Adam_and_AdamW_follow_their_equations([Values(1, 17, 40009)] int n, [Values(0, 0.1)] double weightDecay,
        [Values] bool decoupled)
    {
        const double Rate = 0.01, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8;
        var start = Numbers(n, 1);
        DeviceBuffer<float> w = Lend(start), m = Lend(new float[n]), v = Lend(new float[n]);
        var expected = Array.ConvertAll(start, value => (double)value);
        double[] first = new double[n], second = new double[n];
        for (var t = 1; t <= Steps; t++)
        {
            var gradient = Numbers(n, 10 + t);
            for (var i = 0; i < n; i++)
            {
                double g = gradient[i];
                if (decoupled)
                {
                    expected[i] *= 1 - Rate * weightDecay;
                }
                else
                {
                    g += weightDecay * expected[i];
                }
                first[i] = Beta1 * first[i] + (1 - Beta1) * g;
                second[i] = Beta2 * second[i] + (1 - Beta2) * g * g;
                expected[i] -= Rate * first[i] / (1 - Math.Pow(Beta1, t))
                    / (Math.Sqrt(second[i] / (1 - Math.Pow(Beta2, t))) + Epsilon);
            }
            Backend.AdamStep([new AdamParameter(w, Lend(gradient), m, v)],
                new AdamStep(Rate, Beta1, Beta2, Epsilon, weightDecay, decoupled, t));
        }
        AssertClose(w, expected, 1e-6, "weights");
        AssertClose(m, first, 1e-6, "first moment");
        AssertClose(v, second, 1e-6, "second moment");
    }

    /// <summary>More than a launch on a GPU takes, of different lengths, one of them empty.</summary>
    [Test]
    public void Many_parameters_change_together_as_they_do_alone()
    {
        int[] lengths = [.. Enumerable.Range(0, 19).Select(i => i == 5 ? 0 : i * 7 % 40 + 1)];
        var (together, alone) = (Parameters(), Parameters());
        var settings = new SgdStep(0.1f, 0.9f, 0.01f, Nesterov: true, First: false);
        var adam = new AdamStep(0.01, 0.9, 0.999, 1e-8, 0.1, Decoupled: true, 3);
        Backend.SgdStep([.. together.Select(all => new SgdParameter(all[0], all[1], all[2]))], settings);
        Backend.AdamStep([.. together.Select(all => new AdamParameter(all[0], all[1], all[2], all[3]))], adam);
        Backend.Scale([.. together.Select(all => all[1])], -0.3f);
        foreach (var all in alone)
        {
            Backend.SgdStep([new SgdParameter(all[0], all[1], all[2])], settings);
            Backend.AdamStep([new AdamParameter(all[0], all[1], all[2], all[3])], adam);
            Backend.Scale(all[1], -0.3f, all[1]);
        }
        foreach (var (one, other) in together.SelectMany(all => all).Zip(alone.SelectMany(all => all)))
        {
            Assert.That(Read(one), Is.EqualTo(Read(other)), $"{one.Length} elements");
        }

        DeviceBuffer<float>[][] Parameters() => [.. lengths.Select((length, i) => Enumerable.Range(0, 4)
            .Select(slot => Lend([.. Numbers(length, 4 * i + slot).Select(MathF.Abs)])).ToArray())];
    }
}
