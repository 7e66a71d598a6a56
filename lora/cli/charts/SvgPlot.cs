using System.Globalization;
using System.Security;
using System.Text;

namespace LoraScratch.Cli.Charts;

/// <summary>
/// An axis: its name, its marks, and where a value lies between the first mark (0) and the last
/// (1).
/// </summary>
internal sealed record PlotAxis(string Name, IReadOnlyList<double> Marks, Func<double, string> Label,
    bool IsLogarithmic = false)
{
    /// <summary>0 at the first mark, 1 at the last.</summary>
    public double Share(double value) => (Scale(value) - Scale(Marks[0])) / (Scale(Marks[^1]) - Scale(Marks[0]));

    private double Scale(double value) => IsLogarithmic ? Math.Log(value) : value;
}

/// <summary>
/// A plot with two axes as an SVG file: the frame is drawn at once, lines and dots as they come.
/// </summary>
internal sealed class SvgPlot
{
    private const int Width = 760, Height = 420, Left = 64, Right = 24, Top = 56, Bottom = 56;
    private readonly StringBuilder svg = new();
    private readonly PlotAxis horizontal, vertical;
    private int legends;

    /// <summary>A plot without contents.</summary>
    /// <param name="title">Above it.</param>
    /// <param name="horizontal">To the right.</param>
    /// <param name="vertical">Upwards, with lines at its marks.</param>
    public SvgPlot(string title, PlotAxis horizontal, PlotAxis vertical)
    {
        (this.horizontal, this.vertical) = (horizontal, vertical);
        Line($"""<svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{Height}" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="13" fill="#222">""");
        Line($"""<rect width="{Width}" height="{Height}" fill="#fff"/>""");
        Line($"""<text x="{Left}" y="24" font-size="16">{Escape(title)}</text>""");
        foreach (var mark in vertical.Marks)
        {
            Line($"""<line x1="{Left}" y1="{Y(mark):F1}" x2="{Width - Right}" y2="{Y(mark):F1}" stroke="#ddd"/>""");
            Line($"""<text x="{Left - 8}" y="{Y(mark) + 4:F1}" text-anchor="end">{Escape(vertical.Label(mark))}</text>""");
        }
        foreach (var mark in horizontal.Marks)
        {
            Line($"""<text x="{X(mark):F1}" y="{Height - Bottom + 20}" text-anchor="middle">{Escape(horizontal.Label(mark))}</text>""");
        }
        Line($"""<text x="{(Left + Width - Right) / 2}" y="{Height - 12}" text-anchor="middle">{Escape(horizontal.Name)}</text>""");
        Line($"""<text x="18" y="{(Top + Height - Bottom) / 2}" text-anchor="middle" transform="rotate(-90 18 {(Top + Height - Bottom) / 2})">{Escape(vertical.Name)}</text>""");
    }

    /// <summary>Colours that colour-blind readers tell apart (Okabe and Ito 2008).</summary>
    public static IReadOnlyList<string> Colours { get; } = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];

    /// <summary>A line through some points, with its name in the legend.</summary>
    public void Curve(string name, IEnumerable<(double X, double Y)> points, string colour)
    {
        var path = string.Join(' ',
            points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.X):F1},{Y(point.Y):F1}")));
        Line($"""<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>""");
        Legend(name, colour);
    }

    /// <summary>
    /// Dots, with their name in the legend; null: they are on a curve that is there.
    /// </summary>
    public void Dots(string? name, IEnumerable<(double X, double Y, string Tip)> points, string colour, double radius)
    {
        foreach (var (x, y, tip) in points)
        {
            Line($"""<circle cx="{X(x):F1}" cy="{Y(y):F1}" r="{radius:0.#}" fill="{colour}" fill-opacity="0.7"><title>{Escape(tip)}</title></circle>""");
        }
        if (name is not null)
        {
            Legend(name, colour);
        }
    }

    /// <summary>The whole file.</summary>
    public string End() => $"{svg}</svg>\n";

    private void Legend(string name, string colour)
    {
        var x = Left + legends++ * 190;
        Line($"""<line x1="{x}" y1="40" x2="{x + 24}" y2="40" stroke="{colour}" stroke-width="3"/><text x="{x + 30}" y="44">{Escape(name)}</text>""");
    }

    private double X(double value) => Left + horizontal.Share(value) * (Width - Left - Right);

    private double Y(double value) => Height - Bottom - vertical.Share(value) * (Height - Top - Bottom);

    private void Line(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private static string Escape(string text) => SecurityElement.Escape(text);
}
