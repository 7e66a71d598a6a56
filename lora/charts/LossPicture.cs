using System.Globalization;

namespace LoraScratch.Lora.Charts;

/// <summary>
/// The losses of one run, single steps, mean and validation; or of several, laid over each other.
/// </summary>
internal static class LossPicture
{
    /// <summary>How many runs can be told apart in one picture.</summary>
    public static int MaxRuns => SeriesStyle.All.Count;

    /// <summary>The whole file.</summary>
    /// <param name="title">Above the plot.</param>
    /// <param name="runs">At least one, at most <see cref="MaxRuns"/>.</param>
    /// <param name="inPage">Whether it is part of a page, and no file.</param>
    public static string Draw(string title, IReadOnlyList<LossCurve> runs, bool inPage = false) =>
        (runs is [var run] ? One(title, run) : Several(title, runs)).End(inPage);

    private static SvgPlot One(string title, LossCurve run)
    {
        var (training, validation) = (SeriesStyle.All[0], SeriesStyle.All[1]);
        var raw = run.Raw().ToArray();
        var range = Axis.LossRange([.. run.Losses.Select(loss => (double)loss)], Losses(run));
        var axis = LossAxis("loss", range);
        var plot = new SvgPlot(title, Steps([run]), axis);
        plot.Curve("training loss, each step", raw, training, faint: true);
        plot.Curve("training loss, mean of neighbours", run.Trend(), training);
        Cut(plot, run, axis.Marks[^1]);
        if (run.Validations.Count > 0)
        {
            plot.Curve("validation loss", Points(run, point => point.Loss), validation, dashed: true,
                markers: MaxMarkers);
            plot.Below(Percents([run]), panelHeight: 130);
            plot.Curve("validation accuracy", Points(run, point => 100 * point.Accuracy), SeriesStyle.All[2],
                dashed: true, markers: MaxMarkers);
        }
        return plot;
    }

    private static SvgPlot Several(string title, IReadOnlyList<LossCurve> runs)
    {
        var trends = runs.Select(run => run.Trend()).ToArray();
        var range = Axis.LossRange([.. trends.SelectMany(trend => trend.Select(point => point.Loss))], []);
        var plot = new SvgPlot(title, Steps(runs), LossAxis("training loss", range), height: 260);
        var validated = runs.Any(run => run.Validations.Count > 0);
        Each(i => trends[i], markers: 6);
        if (validated)
        {
            // 0 may be far below all of them, and what differs is wanted here
            var losses = runs.SelectMany(Losses).ToArray();
            plot.Below(new PlotAxis("validation loss", Axis.Marks(losses.Min(), losses.Max(), 4), Short), 150);
            Each(i => Points(runs[i], point => point.Loss), MaxMarkers);
            plot.Below(Percents(runs), 150);
            Each(i => Points(runs[i], point => 100 * point.Accuracy), MaxMarkers);
        }
        return plot;

        void Each(Func<int, IEnumerable<(double, double)>> points, int markers)
        {
            for (var i = 0; i < runs.Count; i++)
            {
                plot.Curve(runs[i].Name, points(i), SeriesStyle.All[i], dashed: true, markers: markers);
            }
        }
    }

    private const int MaxMarkers = 40;

    /// <summary>Says what an axis leaves out.</summary>
    private static void Cut(SvgPlot plot, LossCurve run, double top)
    {
        var above = run.Losses.Select((loss, i) => (Loss: loss, Step: i + 1)).Where(step => step.Loss > top).ToArray();
        if (above.Length > 0)
        {
            var (loss, step) = above.MaxBy(entry => entry.Loss);
            var steps = above.Length == 1 ? "1 step" : string.Create(CultureInfo.InvariantCulture,
                $"{above.Length:N0} steps");
            plot.Remark(string.Create(CultureInfo.InvariantCulture,
                $"above: {steps}, up to {loss:G4} in step {step:N0}"));
        }
    }

    private static PlotAxis Steps(IReadOnlyList<LossCurve> runs) =>
        new("step", Axis.Marks(runs.Max(run => run.Losses.Count), 8), value => value.ToString("#,0.##",
            CultureInfo.InvariantCulture));

    private static PlotAxis LossAxis(string name, (double Low, double High) range) =>
        new(name, Axis.Marks(range.Low, range.High, 5), Short);

    private static PlotAxis Percents(IReadOnlyList<LossCurve> runs)
    {
        var shares = runs.SelectMany(run => run.Validations).Select(point => 100 * point.Accuracy).ToArray();
        return new("accuracy, %", Axis.Marks(shares.Min(), shares.Max(), 3), Short);
    }

    private static double[] Losses(LossCurve run) => [.. run.Validations.Select(point => point.Loss)];

    private static IEnumerable<(double, double)> Points(LossCurve run, Func<ValidationPoint, double> value) =>
        run.Validations.Select(point => ((double)point.Step, value(point)));

    private static string Short(double value) => value.ToString("0.####", CultureInfo.InvariantCulture);
}
