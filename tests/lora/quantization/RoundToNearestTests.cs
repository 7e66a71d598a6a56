using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;
using LoraScratch.Tests.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>Rounding to nearest, with the grid of each group chosen by least squares.</summary>
public sealed class RoundToNearestTests
{
    private static readonly int[] Bits = [2, 3, 4, 8];

    private static float[] Weights(int count, int seed) => Values.Normal(count, seed, 0.04);

    [Test]
    public void Every_weight_has_the_nearest_code([ValueSource(nameof(Bits))] int bits, [Values(16, 64)] int groupSize)
    {
        var (rows, columns) = (5, 2 * groupSize);
        var w = Weights(rows * columns, bits);
        using var weight = RoundToNearest.Quantize(w, rows, columns, new QuantizationFormat(bits, groupSize),
            Backends.Any);
        var (codes, grids) = (weight.Codes(), weight.Grids());
        for (var i = 0; i < w.Length; i++)
        {
            var grid = grids[i / groupSize];
            var nearest = Enumerable.Range(0, 1 << bits)
                .Min(code => Math.Abs(grid.Scale * (code - (double)grid.Zero) - w[i]));
            Assert.That(Math.Abs(grid.Scale * (codes[i] - (double)grid.Zero) - w[i]), Is.EqualTo(nearest).Within(1e-8),
                $"weight {i}");
        }
    }

    /// <summary>
    /// The error of the widest grid, from the smallest to the largest weight, computed here; a
    /// search must never do worse, and with few bits does much better.
    /// </summary>
    [TestCase(2, 0.8)]
    [TestCase(3, 0.9)]
    [TestCase(4, 0.95)]
    [TestCase(8, 1)]
    public void The_search_does_better_than_the_widest_grid(int bits, double most)
    {
        const int Rows = 40, Columns = 128, Size = 32;
        var w = Weights(Rows * Columns, 3);
        for (var i = 0; i < w.Length; i += 61)
        {
            w[i] *= 3;                                                      // outliers
        }
        using var weight = RoundToNearest.Quantize(w, Rows, Columns, new QuantizationFormat(bits, Size), Backends.Any);
        var got = weight.Dequantize();
        double all = 0, allWidest = 0;
        for (var start = 0; start < w.Length; start += Size)
        {
            var group = w.Skip(start).Take(Size).Select(value => (double)value).ToArray();
            var step = (group.Max() - group.Min()) / ((1 << bits) - 1);
            var widest = group.Sum(value =>
                Math.Pow(value - group.Min() - step * Math.Round((value - group.Min()) / step), 2));
            var error = group.Zip(got.Skip(start), (value, near) => Math.Pow(value - near, 2)).Sum();
            Assert.That(error, Is.LessThanOrEqualTo(widest * (1 + 1e-4)), $"the group at {start}");
            (all, allWidest) = (all + error, allWidest + widest);
        }
        Assert.That(all, Is.LessThan(most * allWidest));
    }

    /// <summary>Numbers that lie on a grid: there is no error to be traded.</summary>
    [Test]
    public void Weights_on_a_grid_are_kept([ValueSource(nameof(Bits))] int bits)
    {
        var random = new Random(bits);
        var w = Enumerable.Range(0, 128)
            .Select(i => 0.125f * (i % 32 == 0 ? 0 : i % 32 == 1 ? (1 << bits) - 1 : random.Next(1 << bits)) - 0.3125f)
            .ToArray();
        using var weight = RoundToNearest.Quantize(w, 2, 64, new QuantizationFormat(bits, 32), Backends.Any);
        Values.AssertClose(weight.Dequantize(), w, 1e-6, "ŵ");
    }

    [Test]
    public void Equal_weights_are_kept_exactly([Values(0f, 0.3f, -7f, 1e-40f, 1e30f)] float value)
    {
        var w = Enumerable.Repeat(value, 64).ToArray();
        using var weight = RoundToNearest.Quantize(w, 1, 64, new QuantizationFormat(4, 32), Backends.Any);
        Assert.That(weight.Dequantize(), Is.EqualTo(w));
    }

    [Test]
    public void More_bits_and_smaller_groups_lose_less()
    {
        var w = Weights(16 * 256, 5);
        double Error(int bits, int size)
        {
            using var weight = RoundToNearest.Quantize(w, 16, 256, new QuantizationFormat(bits, size), Backends.Any);
            return QuantizationError.OfWeight(w, weight);
        }
        Assert.That(new[] { Error(2, 32), Error(3, 32), Error(4, 32), Error(8, 32) }, Is.Ordered.Descending);
        Assert.That(new[] { Error(4, 128), Error(4, 64), Error(4, 32), Error(4, 16) }, Is.Ordered.Descending);
        Assert.That(Error(4, 32), Is.InRange(0.05, 0.1));
        Assert.That(Error(8, 32), Is.LessThan(0.006));
    }

    [Test]
    public void Weights_that_are_no_numbers_are_refused_in_words()
    {
        var w = Weights(64, 6);
        w[35] = float.NaN;
        Assert.That(() => RoundToNearest.Quantize(w, 2, 32, new QuantizationFormat(4, 16), Backends.Any, "ffn.lin1"),
            Throws.InstanceOf<InputException>().With.Message.Contains("ffn.lin1").And.Message
                .Contains("[1, 3] is NaN"));
        Assert.That(() => RoundToNearest.Quantize(w, 2, 32, new QuantizationFormat(4, 48), Backends.Any, "ffn.lin1"),
            Throws.InstanceOf<InputException>().With.Message.Contains("do not divide the 32 inputs of ffn.lin1"));
        Assert.That(() => RoundToNearest.Quantize(w, 3, 32, new QuantizationFormat(4, 16), Backends.Any),
            Throws.InstanceOf<ShapeMismatchException>());
    }
}
