namespace LoraScratch.Lora.Charts;

/// <summary>A measurement on the held-out examples.</summary>
/// <param name="Step">Steps so far.</param>
/// <param name="Loss">Mean cross-entropy.</param>
/// <param name="Accuracy">Share of examples, or of masked tokens.</param>
internal sealed record ValidationPoint(int Step, double Loss, double Accuracy);

/// <summary>The losses of a run.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="Losses">By step; at least one.</param>
internal sealed record LossCurve(string Name, IReadOnlyList<float> Losses)
{
    private const int MaxPoints = 400;

    /// <summary>By step.</summary>
    public IReadOnlyList<ValidationPoint> Validations { get; init; } = [];

    /// <summary>
    /// The curve at a fixed number of points: each the mean of the steps around it, as single
    /// batches jump about.
    /// </summary>
    /// <param name="points">Points wanted; fewer come back when there are fewer steps.</param>
    /// <returns>The middle step of each point, counted from 1, and its mean loss.</returns>
    public IReadOnlyList<(double Step, double Loss)> Smooth(int points) =>
        [.. Parts(points).Select(part => ((part.First + 1 + part.End) / 2.0, part.Losses.Average()))];

    /// <summary>
    /// The mean of about a twelfth of the run around each step, also where there are few steps.
    /// </summary>
    /// <returns>Steps counted from 1, at most some hundreds, and the means.</returns>
    public IReadOnlyList<(double Step, double Loss)> Trend()
    {
        var half = Losses.Count / 24;
        var sums = new double[Losses.Count + 1];
        for (var i = 0; i < Losses.Count; i++)
        {
            sums[i + 1] = sums[i] + Losses[i];
        }
        var stride = (Losses.Count + MaxPoints - 1) / MaxPoints;
        return [.. Enumerable.Range(0, Losses.Count).Where(i => i % stride == 0 || i == Losses.Count - 1).Select(i =>
        {
            var (first, end) = (Math.Max(i - half, 0), Math.Min(i + half + 1, Losses.Count));
            return (i + 1.0, (sums[end] - sums[first]) / (end - first));
        })];
    }

    /// <summary>
    /// The single steps; of a long run the lowest and the highest of each few, which look the same.
    /// </summary>
    public IEnumerable<(double Step, double Loss)> Raw() => Losses.Count <= MaxPoints
        ? Losses.Select((loss, i) => (i + 1.0, (double)loss))
        : Parts(MaxPoints).SelectMany(part => new[]
        {
            (part.First + 1.0, part.Losses.Min()), (part.First + 1.0, part.Losses.Max()),
        });

    private IEnumerable<(int First, int End, IReadOnlyList<double> Losses)> Parts(int points)
    {
        points = Math.Min(points, Losses.Count);
        for (var i = 0; i < points; i++)
        {
            var (first, end) = ((int)((long)Losses.Count * i / points), (int)((long)Losses.Count * (i + 1) / points));
            yield return (first, end, [.. Losses.Skip(first).Take(end - first).Select(loss => (double)loss)]);
        }
    }
}
