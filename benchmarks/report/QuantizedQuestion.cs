using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Benchmarks.Report;

/// <summary>Products with packed INT4 weights beside the same with floats.</summary>
internal static class QuantizedQuestion
{
    private const int Width = 2048, Rounds = 9;
    private const double WindowSeconds = 0.03;
    private const long LeastBytes = 128L << 20;

    private static readonly int[] Rows = [1, 8, 32, 128];
    private static readonly QuantizationFormat Format = new(4, 32);

    public static Question Ask(IBackend backend)
    {
        using var weights = new RotatedWeights(backend, Format, Width, LeastBytes);
        var rows = Rows.Select(count =>
        {
            using var x = backend.Allocate<float>(count * Width);
            using var y = backend.Allocate<float>(count * Width);
            backend.Fill(x, 0.5f);
            Matrix matrixX = new(x, count, Width), matrixY = new(y, count, Width);
            var times = InTurn.Measure(backend, Rounds, WindowSeconds,
            [
                new Way("float", () => backend.Product(matrixY, matrixX, weights.NextFloat().T)),
                new Way("INT4", () => backend.Product(matrixY, matrixX, weights.NextPacked().T)),
            ]);
            return (Count: count, Ratio: times.Ratio(0, to: 1), Cells: (IReadOnlyList<string>)
            [
                $"{count}", Figures.Time(times.Seconds(0)), Figures.Time(times.Seconds(1)),
                times.Ratio(0, to: 1).ToString(), Figures.Number(32 / Format.BitsPerWeight, 1),
            ]);
        }).ToList();
        return new Question("What does INT4 cost?",
            $"A product of one row with INT4 weights takes {Figures.Number(1 / rows[0].Ratio.Median)} of the time with "
                + $"floats, one of {rows[^1].Count} rows {Figures.Number(1 / rows[^1].Ratio.Median)}; the weights take "
                + $"{Figures.Percent(Format.BitsPerWeight / 32)} of the memory.",
            [new ReportTable($"x·Wᵀ, W [{Width}, {Width}] in groups of {Format.GroupSize}, "
                + $"{LeastBytes >> 20} MiB of weights in rotation",
                [
                    ("N", "rows of x"),
                    ("float32", "time of a product"),
                    ("INT4", "time of a product"),
                    ("speed", "of INT4 over float32, the middle half of the rounds in brackets"),
                    ("limit", "the same where reading the weights is all"),
                ],
                [.. rows.Select(row => row.Cells)])],
            []);
    }
}
