using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks.Report;

/// <summary>Time and memory of a step over rank, batch, length, layers and threads.</summary>
internal static class GrowthQuestion
{
    private const int Repetitions = 3;

    private static readonly StepSize Usual = new(Layers: 4, Hidden: 384, Batch: 8, Length: 128, Rank: 8);

    private sealed record Axis(string Name, int[] Values, Func<int, StepSize> Size);

    private sealed record Point(int Value, double Seconds, double Flops, double WorkBytes);

    public static Question Ask(int threads)
    {
        Axis[] axes =
        [
            new("rank", [1, 4, 16, 64], rank => Usual with { Rank = rank }),
            new("batch", [1, 2, 4, 8, 16, 32], batch => Usual with { Batch = batch }),
            new("length", [16, 32, 64, 128, 256, 512], length => Usual with { Length = length }),
            new("layers", [1, 2, 4, 8, 12], layers => Usual with { Layers = layers }),
        ];
        var measured = axes.Select(axis => (Axis: axis, Points: axis.Values
            .Select(value => Measure(value, axis.Size(value), threads)).ToList())).ToList();
        int[] counts = [.. new[] { 1, 2, 4, 8, 16, 32, 64 }.Where(count => count < threads), threads];
        var perThread = counts.Select(count => Measure(count, Usual, count)).ToList();
        var rows = measured.Select(entry => Row(entry.Axis.Name, entry.Points,
            Statistics.Exponent([.. entry.Points.Select(point => ((double)point.Value, point.Flops))]),
            entry.Axis.Name == "rank" ? 0 : 1)).ToList();
        if (perThread.Count > 1)
        {
            rows.Add(Row("threads", perThread, -1, 0));
        }
        return new Question("How does it grow?",
            $"Around a step of {Usual.Layers} blocks, d = {Usual.Hidden}, {Usual.Batch} texts of {Usual.Length} "
                + $"tokens, r = {Usual.Rank}, one thing is changed at a time. An exponent p says that the time goes "
                + "like the thing to the power of p: 1 is in proportion, 0 is no influence.",
            [new ReportTable($"Growth of a LoRA step, medians of {Repetitions}",
                [
                    ("of", "what is changed"),
                    ("from … to", "its values"),
                    ("time", "of a step at the smallest and the largest"),
                    ("exponent", "of the time, measured: the slope through all points"),
                    ("counted", "of the operations; for threads −1"),
                    ("memory", "beside the weights, at the smallest and the largest"),
                    ("exponent of memory", "measured"),
                    ("counted ", "of the activations"),
                ],
                rows)],
            [
                Chart("Time of a step", "seconds", point => point.Seconds),
                Chart("Memory of a step beside the weights", "MiB", point => point.WorkBytes / (1 << 20)),
            ]);

        LineChart Chart(string caption, string unit, Func<Point, double> value) =>
            new(caption, "rank, texts, tokens or blocks", unit, [.. measured.Select(entry =>
                new Curve(entry.Axis.Name, [.. entry.Points.Select(point => ((double)point.Value, value(point)))]))]);
    }

    private static IReadOnlyList<string> Row(string name, List<Point> points, double counted, double countedMemory) =>
    [
        name, $"{points[0].Value} … {points[^1].Value}",
        $"{Figures.Time(points[0].Seconds)} … {Figures.Time(points[^1].Seconds)}",
        Figures.Number(Statistics.Exponent([.. points.Select(point => ((double)point.Value, point.Seconds))])),
        Figures.Number(counted),
        $"{Figures.Number(points[0].WorkBytes / (1 << 20), 0)} … "
            + $"{Figures.Number(points[^1].WorkBytes / (1 << 20), 0)} MiB",
        Figures.Number(Statistics.Exponent([.. points.Select(point => ((double)point.Value, point.WorkBytes))])),
        Figures.Number(countedMemory, 0),
    ];

    private static Point Measure(int value, StepSize size, int threads)
    {
        using var backend = new CpuBackend(threads);
        using var bench = size.Bench(backend);
        var seconds = bench.Cost(Repetitions, everyToken: true).Step;
        return new Point(value, seconds, size.StepFlops, backend.Memory.PeakInUse - bench.WeightBytes);
    }
}
