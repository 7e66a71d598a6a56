namespace LoraScratch.Cli.Charts;

/// <summary>The loss of each step of a run.</summary>
/// <param name="Name">For the legend.</param> <param name="Losses">By step; at least one.</param>
internal sealed record LossCurve(string Name, IReadOnlyList<float> Losses)
{
    /// <summary>The curve at a fixed number of points: each the mean of the steps around it, as single batches jump about.</summary>
    /// <param name="points">Points wanted; fewer come back when there are fewer steps.</param>
    /// <returns>The middle step of each point, counted from 1, and its mean loss.</returns>
    public IReadOnlyList<(double Step, double Loss)> Smooth(int points)
    {
        points = Math.Min(points, Losses.Count);
        var means = new (double, double)[points];
        for (var i = 0; i < points; i++)
        {
            var (first, end) = ((int)((long)Losses.Count * i / points), (int)((long)Losses.Count * (i + 1) / points));
            means[i] = ((first + 1 + end) / 2.0, Losses.Skip(first).Take(end - first).Average(loss => (double)loss));
        }
        return means;
    }
}

/// <summary>Round numbers for an axis.</summary>
internal static class Axis
{
    /// <summary>Marks from 0 on, 1, 2 or 5 times a power of ten apart, the last of them at or above the largest value.</summary>
    /// <param name="largest">Largest value shown.</param> <param name="intervals">At most so many intervals.</param>
    public static double[] Marks(double largest, int intervals)
    {
        if (!(largest > 0) || !double.IsFinite(largest))
            return [0, 1];
        var raw = largest / intervals;
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        var step = power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        return [.. Enumerable.Range(0, (int)Math.Ceiling(largest / step - 1e-9) + 1).Select(i => i * step)];
    }
}
