using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Benchmarks.Report;

/// <summary>
/// What a low-rank update costs beside its layer, forward: 2Nd² operations for W·x, 4Ndr for x·A·B,
/// a ratio of 2r/d.
/// </summary>
internal static class LoRAQuestion
{
    private const int Width = 768, Rounds = 15;
    private const double WindowSeconds = 0.01;

    private static readonly int[] Tokens = [1, 32, 128, 1024];
    private static readonly int[] Ranks = [4, 8, 16, 64];

    public static Question Ask(IBackend backend)
    {
        var measured = (from tokens in Tokens from rank in Ranks select Measure(backend, tokens, rank)).ToList();
        var usual = measured.Single(row => row is { Tokens: 128, Rank: 8 });
        return new Question("What does LoRA cost beside W·x?",
            $"With r = 8 on a layer of {Width} × {Width} and 128 tokens, W·x and x·A·B together take "
                + $"{Figures.Number(usual.Ratio.Median, 3)} of W·x alone; counted operations say "
                + $"{Figures.Number(Counted(8), 3)}.",
            [new ReportTable($"W·x with x·A·B beside W·x alone, d = {Width}, medians of {Rounds} rounds in turn",
                [
                    ("N", "tokens, the rows of x"),
                    ("r", "rank"),
                    ("W·x", "time of one product"),
                    ("GFLOP/s", "of W·x"),
                    ("with x·A·B", "time of the three products"),
                    ("ratio", "median of the rounds' ratios, the middle half of them in brackets"),
                    ("1 + 2r/d", "the ratio of the operations"),
                ],
                [.. measured.Select(row => (IReadOnlyList<string>)
                [
                    $"{row.Tokens}", $"{row.Rank}", Figures.Time(row.WeightSeconds),
                    Figures.Number(2e-9 * row.Tokens * Width * Width / row.WeightSeconds, 0),
                    Figures.Time(row.BothSeconds), row.Ratio.ToString(), Figures.Number(Counted(row.Rank), 3),
                ])])],
            [new LineChart($"Time of W·x and x·A·B over that of W·x, d = {Width}", "rank r", "ratio",
                [
                    .. Tokens.Select(tokens => new Curve($"N = {tokens}", [.. measured
                        .Where(row => row.Tokens == tokens).Select(row => ((double)row.Rank, row.Ratio.Median))])),
                    new Curve("1 + 2r/d", [.. Ranks.Select(rank => ((double)rank, Counted(rank)))], IsReference: true),
                ])]);
    }

    private static double Counted(int rank) => 1 + 2.0 * rank / Width;

    private static Row Measure(IBackend backend, int tokens, int rank)
    {
        using var scope = new TensorScope();
        var random = new RandomStream(1);
        Matrix Random(int rows, int columns) => Tensor.From(random.Uniform(rows * columns, 1),
            new Shape(rows, columns), backend).Matrix;
        var (x, w, a, b) = (Random(tokens, Width), Random(Width, Width), Random(Width, rank), Random(rank, Width));
        var (y, z) = (Random(tokens, Width), Random(tokens, rank));
        var times = InTurn.Measure(backend, Rounds, WindowSeconds,
        [
            new Way("W·x", () => backend.Product(y, x, w.T)),
            new Way("W·x + x·A·B", () =>
            {
                backend.Product(z, x, a);
                backend.SumOfProducts(y, null, x, w.T, z, b, 2);
            }),
        ]);
        return new Row(tokens, rank, times.Seconds(0), times.Seconds(1), times.Ratio(1, to: 0));
    }

    private sealed record Row(int Tokens, int Rank, double WeightSeconds, double BothSeconds, Spread Ratio);
}
