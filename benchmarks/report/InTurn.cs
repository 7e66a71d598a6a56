using System.Diagnostics;
using LoraScratch.Kernels;

namespace LoraScratch.Benchmarks.Report;

/// <summary>One of several ways that are measured in turn.</summary>
/// <param name="Name">What the report calls it.</param>
/// <param name="Run">The work, without waiting for the device.</param>
internal sealed record Way(string Name, Action Run);

/// <summary>
/// Seconds of several ways, a window of each in every round, so that all of them see the same moods
/// of the machine. A ratio is the median of the rounds' ratios: what another program takes in a
/// round, it takes from both.
/// </summary>
internal sealed class InTurn
{
    private readonly List<double>[] seconds;

    private InTurn(int ways) => seconds = [.. Enumerable.Range(0, ways).Select(_ => new List<double>())];

    /// <summary>Measures.</summary>
    /// <param name="backend">Is waited for at the end of every window.</param>
    /// <param name="rounds">Windows of each way.</param>
    /// <param name="windowSeconds">
    /// A window repeats its work for so long, and at least once.
    /// </param>
    /// <param name="ways">What is compared.</param>
    public static InTurn Measure(IBackend backend, int rounds, double windowSeconds, IReadOnlyList<Way> ways)
    {
        var result = new InTurn(ways.Count);
        foreach (var way in ways)
        {
            Window(backend, way, windowSeconds);                    // the JIT's last tier, and the pool's buffers
            Window(backend, way, windowSeconds);
        }
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < ways.Count; i++)
            {
                // another order in every round: whoever comes after a long one has a warmer or a colder machine
                var way = (i + round) % ways.Count;
                result.seconds[way].Add(Window(backend, ways[way], windowSeconds));
            }
        }
        return result;
    }

    /// <summary>The median of a way's windows.</summary>
    public double Seconds(int way) => Statistics.Median(seconds[way]);

    /// <summary>How a way's times compare with another's.</summary>
    public Spread Ratio(int way, int to) => Spread.Of(seconds[way].Zip(seconds[to], (one, other) => one / other));

    private static double Window(IBackend backend, Way way, double windowSeconds)
    {
        var clock = Stopwatch.StartNew();
        var count = 0;
        do
        {
            way.Run();
            count++;
            if (clock.Elapsed.TotalSeconds >= windowSeconds)
            {
                backend.Synchronize();
            }
        }
        while (clock.Elapsed.TotalSeconds < windowSeconds);
        return clock.Elapsed.TotalSeconds / count;
    }
}

/// <summary>The middle of some numbers and the quarter on either side of it.</summary>
internal readonly record struct Spread(double Low, double Median, double High)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return new Spread(sorted[sorted.Length / 4], Statistics.Median(sorted), sorted[sorted.Length * 3 / 4]);
    }

    public override string ToString() => FormattableString.Invariant($"{Median:F3} ({Low:F3}–{High:F3})");
}

/// <summary>Of numbers.</summary>
internal static class Statistics
{
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>p of y ∝ xᵖ: the slope of the line through the logarithms.</summary>
    public static double Exponent(IReadOnlyList<(double X, double Y)> points)
    {
        var (meanX, meanY) = (points.Average(point => Math.Log(point.X)), points.Average(point => Math.Log(point.Y)));
        return points.Sum(point => (Math.Log(point.X) - meanX) * (Math.Log(point.Y) - meanY))
            / points.Sum(point => Math.Pow(Math.Log(point.X) - meanX, 2));
    }
}
