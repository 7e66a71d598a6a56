using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// The codes of rows against the rule of <see cref="IBackend.QuantizeRows"/>, and what they stand
/// for against the rows.
/// </summary>
internal static class RowCodes
{
    private static readonly Dictionary<string, Func<Random, float>> Kinds = new()
    {
        ["uniform about 0"] = random => 2 * random.NextSingle() - 1,
        ["positive"] = random => 5 + random.NextSingle(),
        ["negative"] = random => -3 * random.NextSingle() - 1e-3f,
        ["like GELU's output"] = random => random.NextSingle() < 0.8f
            ? -0.17f * random.NextSingle() : 4 * random.NextSingle(),
        ["one outlier"] = random => random.Next(20) == 0 ? 1000 : random.NextSingle() - 0.5f,
        ["zeros"] = _ => 0,
        ["one number"] = _ => -7.5f,
        ["the smallest floats"] = random => float.Epsilon * random.Next(-9, 10),
        ["the largest floats"] = random => (random.Next(2) == 0 ? 1 : -1) * float.MaxValue,
        ["halves of a step"] = random => random.Next(-255, 256) * 0.5f,
    };

    public static void AssertFollowTheRule(IBackend backend, params ReadOnlySpan<int> widths)
    {
        foreach (var columns in widths)
        {
            foreach (var (kind, draw) in Kinds)
            {
                var random = new Random(columns);
                AssertFollowTheRule(backend, $"{kind}, {columns} columns",
                    [.. Enumerable.Range(0, 3 * columns).Select(_ => draw(random))], columns);
            }
            AssertNotFiniteRowsAreMarked(backend, columns);
        }
    }

    private static void AssertFollowTheRule(IBackend backend, string what, float[] x, int columns)
    {
        var (codes, grids) = Quantize(backend, x, columns);
        for (var row = 0; row < 3; row++)
        {
            var values = x.AsSpan(row * columns, columns);
            var (low, high) = (0.0, 0.0);
            foreach (var value in values)
            {
                (low, high) = (Math.Min(low, value), Math.Max(high, value));
            }
            var grid = grids[row];
            Assert.That(grid.Scale, Is.EqualTo(Math.Max((high - low) / 255, Math.Pow(2, -126))).Within(3e-5).Percent,
                $"{what}: β");
            Assert.That(grid.Zero, Is.InRange(0, 255).And.EqualTo(-low / grid.Scale).Within(0.5001), $"{what}: ζ");
            for (var j = 0; j < columns; j++)
            {
                var near = (double)grid.Scale * (codes[row * ((columns + 3) / 4 * 4) + j] - grid.Zero);
                Assert.That(Math.Abs(near - values[j]) / grid.Scale, Is.LessThanOrEqualTo(0.5 + Math.Pow(2, -12)),
                    $"{what}: {values[j]} became {near}, in steps of {grid.Scale}");
                Assert.That(values[j] != 0 || near == 0, $"{what}: 0 became {near}");
            }
        }
    }

    private static void AssertNotFiniteRowsAreMarked(IBackend backend, int columns)
    {
        foreach (var bad in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            var x = Enumerable.Repeat(1f, 3 * columns).ToArray();
            x[columns + columns / 2] = bad;
            var (_, grids) = Quantize(backend, x, columns);
            Assert.That(grids.Select(grid => float.IsNaN(grid.Scale)), Is.EqualTo(new[] { false, true, false }),
                $"{bad} among {columns} columns");
        }
    }

    private static (byte[] Codes, RowGrid[] Grids) Quantize(IBackend backend, float[] x, int columns)
    {
        var rows = x.Length / columns;
        using var numbers = Int8Case.On(backend, x);
        using var codes = backend.Allocate<byte>(rows * Int8Matrix.StrideOf(columns));
        using var grids = backend.Allocate<RowGrid>(rows);
        backend.QuantizeRows(codes, grids, numbers);
        return (Int8Case.Read(backend, codes), Int8Case.Read(backend, grids));
    }
}
