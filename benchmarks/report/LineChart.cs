using System.Globalization;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Benchmarks.Report;

/// <summary>A line with its points.</summary>
/// <param name="Name">In the legend.</param>
/// <param name="Points">From left to right.</param>
/// <param name="IsReference">Whether it was counted and not measured: without points.</param>
internal sealed record Curve(string Name, IReadOnlyList<(double X, double Y)> Points, bool IsReference = false);

/// <summary>A chart with logarithmic axes, on which a power law is a straight line.</summary>
/// <param name="Caption">What it shows.</param>
/// <param name="XName">Name and unit.</param>
/// <param name="YName">Name and unit.</param>
/// <param name="Curves">At least one, with positive values.</param>
internal sealed record LineChart(string Caption, string XName, string YName, IReadOnlyList<Curve> Curves)
{
    private IEnumerable<(double X, double Y)> Points => Curves.SelectMany(curve => curve.Points);

    /// <summary>The picture with its caption.</summary>
    public Html Draw()
    {
        var plot = new SvgPlot(Caption, Logarithmic(XName, Points.Select(point => point.X)),
            Logarithmic(YName, Points.Select(point => point.Y)), height: 260);
        for (var i = 0; i < Curves.Count; i++)
        {
            var (name, points, isReference) = Curves[i];
            plot.Curve(name, points, SeriesStyle.All[i], faint: isReference, dashed: true,
                markers: isReference ? 0 : points.Count);
        }
        return Html.Of($"<figure>{new Html(plot.End(inPage: true))}</figure>\n");
    }

    private static PlotAxis Logarithmic(string name, IEnumerable<double> values) =>
        new(name, Axis.DoublingMarks(values.Min(), values.Max()),
            value => value.ToString("G4", CultureInfo.InvariantCulture), IsLogarithmic: true);
}
