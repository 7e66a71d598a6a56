namespace LoraScratch.Lora.Charts;

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

    /// <summary>
    /// Marks of a logarithmic axis: powers of two, or where these are few the steps between, the
    /// first at or below the smallest value and the last at or above the largest.
    /// </summary>
    /// <param name="smallest">Above 0.</param>
    /// <param name="largest">At least the smallest.</param>
    public static double[] DoublingMarks(double smallest, double largest)
    {
        const int most = 7;
        foreach (var steps in new[] { 1, 2, 4, 8, 16, 32 })             // marks to a doubling
        {
            double Mark(int i) => Rounded(Math.Pow(2, (double)i / steps));
            var (first, last) =
                ((int)Math.Floor(steps * Math.Log2(smallest)), (int)Math.Ceiling(steps * Math.Log2(largest)));
            if (last - first >= 3 || steps == 32)
            {
                last = Math.Max(last, first + 1);
                var stride = (last - first + most - 1) / most;
                return [.. Enumerable.Range(0, (last - first + stride - 1) / stride + 1)
                    .Select(i => Mark(first + i * stride))];
            }
        }
        throw new InvalidOperationException("The last step always ends the search.");
    }

    /// <summary>
    /// The values that an axis of losses must reach: all of them, but for the training losses at
    /// the top that would stretch it, such as that of the very first step.
    /// </summary>
    /// <param name="training">Of single steps; at least one.</param>
    /// <param name="validation">Always within.</param>
    /// <returns>The smallest, or 0 where that is near; and the largest.</returns>
    public static (double Low, double High) LossRange(
        IReadOnlyCollection<double> training, IReadOnlyCollection<double> validation)
    {
        const double usual = 0.95, stretch = 1.5, nearZero = 0.5;
        var sorted = training.Order().ToArray();
        var high = Math.Max(sorted[(int)(usual * (sorted.Length - 1))], validation.DefaultIfEmpty(0).Max());
        high = sorted[^1] > stretch * high ? high : Math.Max(sorted[^1], high);
        var low = Math.Min(sorted[0], validation.DefaultIfEmpty(sorted[0]).Min());
        return (low < nearZero * high ? 0 : low, high);
    }

    private static double Rounded(double value)
    {
        var unit = Math.Pow(10, Math.Floor(Math.Log10(value)) - 3);
        return Math.Round(value / unit) * unit;
    }

    private static double Step(double raw)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        return power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }
}
