using System.Globalization;

namespace LoraScratch.Cli.Charts;

/// <summary>Loss curves as an SVG file.</summary>
internal static class SvgChart
{
    private const int Points = 100;

    /// <summary>The whole file.</summary>
    /// <param name="title">Above the plot.</param>
    /// <param name="curves">At most four.</param>
    public static string Draw(string title, IReadOnlyList<LossCurve> curves)
    {
        var smooth = curves.Select(curve => curve.Smooth(Points)).ToArray();
        var plot = new SvgPlot(title,
            new PlotAxis("step", Axis.Marks(curves.Max(curve => curve.Losses.Count), 8), Short),
            new PlotAxis("cross-entropy", Axis.Marks(smooth.Max(points => points.Max(point => point.Loss)), 5), Short));
        for (var i = 0; i < curves.Count; i++)
        {
            plot.Curve(curves[i].Name, smooth[i], SvgPlot.Colours[i]);
        }
        return plot.End();
    }

    private static string Short(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
