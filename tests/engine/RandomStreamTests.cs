using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

public class RandomStreamTests
{
    [Test]
    public void A_stream_draws_the_words_of_philox_in_order()
    {
        const ulong seed = 0x1234_5678_9abc_def0;
        var stream = new RandomStream(seed);
        Assert.That(Enumerable.Range(0, 9).Select(_ => stream.NextWord()),
            Is.EqualTo(Enumerable.Range(0, 9).Select(i => ReferencePhilox.Word(seed, (ulong)i))));
        Assert.That(stream.Position, Is.EqualTo(9));
    }

    [Test]
    public void Seed_and_position_are_the_whole_state()
    {
        var stream = new RandomStream(5);
        stream.Normal(7, 1);
        stream.NextBelow(10);
        var restored = new RandomStream(stream.Seed, stream.Position);
        Assert.That(restored.Uniform(20, 1), Is.EqualTo(stream.Uniform(20, 1)));
        Assert.That(new RandomStream(6).Uniform(20, 1), Is.Not.EqualTo(new RandomStream(5).Uniform(20, 1)));
        Assert.That(new RandomStream(5).NextSeed(),
            Is.EqualTo((ulong)ReferencePhilox.Word(5, 0) << 32 | ReferencePhilox.Word(5, 1)));
    }

    [Test]
    public void Uniform_numbers_fill_their_range_evenly()
    {
        var values = new RandomStream(2).Uniform(200_000, bound: 3);
        Assert.That(values, Is.All.InRange(-3f, 3f));
        // five standard errors
        Assert.That(values.Average(value => (double)value), Is.EqualTo(0).Within(0.02));
        Assert.That(values.Average(value => (double)value * value), Is.EqualTo(3).Within(0.04));      // bound²/3
        var tenths = values.GroupBy(value => (int)((value + 3) / 0.6)).Select(group => group.Count()).ToArray();
        Assert.That(tenths, Is.All.InRange(19_300, 20_700));
        var stream = new RandomStream(3);
        Assert.That(Enumerable.Range(0, 100_000).Select(_ => stream.NextUniform()),
            Is.All.InRange(0f, MathF.BitDecrement(1f)));
    }

    [Test]
    public void Normal_numbers_have_the_moments_and_tails_of_the_normal_distribution()
    {
        const int count = 200_000;
        var values = new RandomStream(4).Normal(count, standardDeviation: 2).Select(value => value / 2.0).ToArray();
        Assert.That(values.Average(), Is.EqualTo(0).Within(0.012));
        Assert.That(values.Average(value => value * value), Is.EqualTo(1).Within(0.016));
        Assert.That(values.Average(value => value * value * value), Is.EqualTo(0).Within(0.05));
        Assert.That(values.Average(value => value * value * value * value), Is.EqualTo(3).Within(0.12));
        Assert.That(values.Count(value => Math.Abs(value) < 1) / (double)count, Is.EqualTo(0.6827).Within(0.006));
        Assert.That(values.Count(value => Math.Abs(value) > 3) / (double)count, Is.EqualTo(0.0027).Within(0.0006));
    }

    [Test]
    public void Whole_numbers_below_a_bound_are_equally_likely()
    {
        // Words from 2³¹ + 2³⁰ on are drawn again for this bound; without that, numbers below 2³⁰ would come twice as
        // often.
        const int bound = (1 << 30) + (1 << 29);
        var stream = new RandomStream(6);
        var low = Enumerable.Range(0, 40_000).Count(_ => stream.NextBelow(bound) < bound / 2);
        Assert.That(low / 40_000.0, Is.EqualTo(0.5).Within(0.0125));
        var counts = new int[7];
        for (var i = 0; i < 70_000; i++)
        {
            counts[stream.NextBelow(7)]++;
        }
        Assert.That(counts, Is.All.InRange(9_500, 10_500));
        Assert.That(Enumerable.Range(0, 100).Select(_ => stream.NextBelow(1)), Is.All.Zero);
        Assert.That(() => stream.NextBelow(0), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
