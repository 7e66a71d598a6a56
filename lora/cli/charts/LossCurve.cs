namespace LoraScratch.Cli.Charts;

/// <summary>The loss of each step of a run.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="Losses">By step; at least one.</param>
internal sealed record LossCurve(string Name, IReadOnlyList<float> Losses)
{
    /// <summary>
    /// The curve at a fixed number of points: each the mean of the steps around it, as single
    /// batches jump about.
    /// </summary>
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
    /// <summary>
    /// Marks from 0 on, 1, 2 or 5 times a power of ten apart, the last of them at or above the
    /// largest value.
    /// </summary>
    /// <param name="largest">Largest value shown.</param>
    /// <param name="intervals">At most so many intervals.</param>
    public static double[] Marks(double largest, int intervals)
    {
        if (!(largest > 0) || !double.IsFinite(largest))
        {
            return [0, 1];
        }
        var step = Step(largest / intervals);
        return [.. Enumerable.Range(0, (int)Math.Ceiling(largest / step - 1e-9) + 1).Select(i => i * step)];
    }

    /// <summary>
    /// Marks as far apart, the first at or below the smallest value and the last at or above the
    /// largest.
    /// </summary>
    /// <param name="smallest">Finite.</param>
    /// <param name="largest">Finite, at least the smallest.</param>
    /// <param name="intervals">At most so many intervals, or one more.</param>
    public static double[] Marks(double smallest, double largest, int intervals)
    {
        var step = Step(Math.Max(largest - smallest, 1e-3) / intervals);
        var first = Math.Floor(smallest / step + 1e-9);
        return [.. Enumerable.Range(0, Math.Max(1, (int)Math.Ceiling(largest / step - first - 1e-9)) + 1)
            .Select(i => (first + i) * step)];
    }

    /// <summary>
    /// Marks of a logarithmic axis: 1, 2 and 5 times powers of ten, the first at or below the
    /// smallest value and the last at or above the largest.
    /// </summary>
    /// <param name="smallest">Above 0.</param>
    /// <param name="largest">At least the smallest.</param>
    public static double[] LogarithmicMarks(double smallest, double largest)
    {
        var marks = Enumerable.Range((int)Math.Floor(Math.Log10(smallest)), 40)
            .SelectMany(power => new[] { 1, 2, 5 }.Select(factor => factor * Math.Pow(10, power))).ToArray();
        var (first, last) = (Array.FindLastIndex(marks, mark => mark <= smallest),
            Array.FindIndex(marks, mark => mark >= largest));
        return marks[first..(Math.Max(last, first + 1) + 1)];
    }

    private static double Step(double raw)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        return power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }
}
