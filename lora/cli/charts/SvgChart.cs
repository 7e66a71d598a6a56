using System.Globalization;
using System.Security;
using System.Text;

namespace LoraScratch.Cli.Charts;

/// <summary>Loss curves as an SVG file.</summary>
internal static class SvgChart
{
    private const int Width = 760, Height = 420, Left = 64, Right = 24, Top = 56, Bottom = 56, Points = 100;
    private static readonly string[] Colours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];       // Okabe and Ito 2008: colour-blind readers tell them apart

    /// <summary>The whole file.</summary>
    /// <param name="title">Above the plot.</param> <param name="curves">At most four.</param>
    public static string Draw(string title, IReadOnlyList<LossCurve> curves)
    {
        var smooth = curves.Select(curve => curve.Smooth(Points)).ToArray();
        var losses = Axis.Marks(smooth.Max(points => points.Max(point => point.Loss)), 5);
        var steps = Axis.Marks(curves.Max(curve => curve.Losses.Count), 8);
        double X(double step) => Left + step / steps[^1] * (Width - Left - Right);
        double Y(double loss) => Height - Bottom - loss / losses[^1] * (Height - Top - Bottom);

        var svg = new StringBuilder();
        Line(svg, $"""<svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{Height}" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="13" fill="#222">""");
        Line(svg, $"""<rect width="{Width}" height="{Height}" fill="#fff"/>""");
        Line(svg, $"""<text x="{Left}" y="24" font-size="16">{Escape(title)}</text>""");
        foreach (var loss in losses)
        {
            Line(svg, $"""<line x1="{Left}" y1="{Y(loss):F1}" x2="{Width - Right}" y2="{Y(loss):F1}" stroke="#ddd"/>""");
            Line(svg, $"""<text x="{Left - 8}" y="{Y(loss) + 4:F1}" text-anchor="end">{loss:0.##}</text>""");
        }
        foreach (var step in steps)
            Line(svg, $"""<text x="{X(step):F1}" y="{Height - Bottom + 20}" text-anchor="middle">{step:0.##}</text>""");
        Line(svg, $"""<text x="{(Left + Width - Right) / 2}" y="{Height - 12}" text-anchor="middle">step</text>""");
        Line(svg, $"""<text x="18" y="{(Top + Height - Bottom) / 2}" text-anchor="middle" transform="rotate(-90 18 {(Top + Height - Bottom) / 2})">cross-entropy</text>""");
        for (var i = 0; i < curves.Count; i++)
        {
            var path = string.Join(' ', smooth[i].Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.Step):F1},{Y(point.Loss):F1}")));
            var legend = Left + i * 190;
            Line(svg, $"""<polyline points="{path}" fill="none" stroke="{Colours[i]}" stroke-width="2" stroke-linejoin="round"/>""");
            Line(svg, $"""<line x1="{legend}" y1="40" x2="{legend + 24}" y2="40" stroke="{Colours[i]}" stroke-width="3"/><text x="{legend + 30}" y="44">{Escape(curves[i].Name)}</text>""");
        }
        return svg.Append("</svg>\n").ToString();
    }

    private static void Line(StringBuilder svg, FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private static string Escape(string text) => SecurityElement.Escape(text);
}
