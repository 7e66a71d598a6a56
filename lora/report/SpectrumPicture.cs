using System.Globalization;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Compression;

namespace LoraScratch.Lora.Reporting;

/// <summary>
/// The singular values of every update and the energy that its first k hold, a line for each layer;
/// layers of one kind have one colour.
/// </summary>
internal static class SpectrumPicture
{
    private const double Smallest = 1e-4;           // of the largest value: what is below is not drawn

    /// <summary>Draws it.</summary>
    /// <param name="title">Above.</param>
    /// <param name="layers">At least one.</param>
    /// <param name="inPage">Whether it is part of a page.</param>
    public static string Draw(string title, IReadOnlyList<LayerSpectrum> layers, bool inPage = false)
    {
        var largest = layers.Max(layer => layer.Values.DefaultIfEmpty().Max());
        largest = largest > 0 ? largest : 1;
        var ranks = Math.Max(2, layers.Max(layer => layer.Values.Count));
        var least = layers.SelectMany(layer => layer.Values).Where(value => value >= Smallest * largest)
            .DefaultIfEmpty(largest).Min();
        var plot = new SvgPlot(title, new PlotAxis("k", Counts(ranks), Short), new PlotAxis("singular value σ",
            Axis.LogarithmicMarks(least, largest), value => value.ToString("G2", CultureInfo.InvariantCulture),
            IsLogarithmic: true), height: 280);
        var kinds = layers.Select(Kind).Distinct().ToList();
        foreach (var layer in layers)
        {
            plot.Curve(Kind(layer), Points(layer.Values.TakeWhile(value => value >= Smallest * largest)), Style(layer),
                dashed: true, markers: ranks);
        }
        plot.Below(new PlotAxis("energy of the first k, %", [0, 25, 50, 75, 100], Short), panelHeight: 180);
        foreach (var layer in layers.Where(layer => layer.Norm > 0))
        {
            plot.Curve(Kind(layer), Points(layer.Values.Select((_, i) =>
                100 * layer.Update.Decomposition.EnergyOf(i + 1))), Style(layer), dashed: true, markers: ranks);
        }
        return plot.End(inPage);

        SeriesStyle Style(LayerSpectrum layer) => SeriesStyle.All[kinds.IndexOf(Kind(layer)) % SeriesStyle.All.Count];
    }

    /// <summary>The last part of the path: "q_lin".</summary>
    private static string Kind(LayerSpectrum layer) => layer.Path.Split('.')[^1];

    private static IEnumerable<(double X, double Y)> Points(IEnumerable<double> values) =>
        values.Select((value, i) => (i + 1.0, value));

    /// <summary>At most nine whole numbers from 1; the last is the rank or more.</summary>
    private static double[] Counts(int ranks)
    {
        var stride = (ranks - 2) / 8 + 1;
        return [.. Enumerable.Range(0, (ranks - 2) / stride + 2).Select(i => 1.0 + i * stride)];
    }

    private static string Short(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
