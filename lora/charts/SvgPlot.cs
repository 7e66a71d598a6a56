using System.Globalization;
using System.Security;
using System.Text;

namespace LoraScratch.Lora.Charts;

/// <summary>
/// A plot as an SVG picture, light or dark as the reader's screen is: one panel, or several
/// beneath each other with one horizontal axis. Lines and points are drawn as they come, and named
/// in one legend.
/// </summary>
internal sealed class SvgPlot
{
    private const int Width = 760, Left = 64, Right = 24, PanelTop = 10, Gap = 26, Bottom = 46, LegendRow = 20;
    private const double LetterWidth = 7.2;                     // of a sans-serif of 13 pixels, about
    private const int LongestName = 64;
    private const int Spare = 2;                                // a line on the edge has its whole width

    private readonly StringBuilder panels = new();
    private readonly List<(string Name, SeriesStyle Style, bool Faint, bool Dashed, bool Line, bool Points)> legend =
        [];
    private readonly string title;
    private readonly PlotAxis horizontal;
    private PlotAxis vertical;
    private double top = PanelTop, height;

    /// <summary>A plot without contents.</summary>
    /// <param name="title">Above it.</param>
    /// <param name="horizontal">To the right, of every panel.</param>
    /// <param name="vertical">Upwards, with lines at its marks.</param>
    /// <param name="height">Of the panel, in pixels.</param>
    public SvgPlot(string title, PlotAxis horizontal, PlotAxis vertical, double height = 300)
    {
        (this.title, this.horizontal, this.vertical, this.height) = (title, horizontal, vertical, height);
        Frame();
    }

    /// <summary>
    /// The style sheet; a page with plots in it has it once. Colours stand in the elements too, for
    /// programs that read none.
    /// </summary>
    public static string Style { get; } = $$"""
        svg.plot { max-width: 100%; height: auto; }
        .plot text { font-family: sans-serif; font-size: 13px; fill: #222; }
        .plot .title { font-size: 16px; }
        .plot .ground { fill: #fff; }
        .plot .grid { stroke: #ddd; }
        {{Colours(style => style.Light)}}
        @media (prefers-color-scheme: dark) {
        .plot text { fill: #ddd; }
        .plot .ground { fill: #1c1f24; }
        .plot .grid { stroke: #444; }
        {{Colours(style => style.Dark)}}
        }
        """;

    /// <summary>Another panel beneath, which what is drawn from now on goes into.</summary>
    /// <param name="axis">Its vertical axis.</param>
    /// <param name="panelHeight">In pixels.</param>
    public void Below(PlotAxis axis, double panelHeight)
    {
        top += height + Gap;
        (vertical, height) = (axis, panelHeight);
        Frame();
    }

    /// <summary>
    /// A line through some points, with its name in the legend; what lies outside of the axes is
    /// cut.
    /// </summary>
    /// <param name="name">Those of one name and style stand in the legend once.</param>
    /// <param name="points">From left to right.</param>
    /// <param name="style">Colour, dash and shape.</param>
    /// <param name="faint">Thin and pale: the single values behind a mean.</param>
    /// <param name="dashed">With the style's dash.</param>
    /// <param name="markers">At most so many points are drawn on the line.</param>
    public void Curve(string name, IEnumerable<(double X, double Y)> points, SeriesStyle style, bool faint = false,
        bool dashed = false, int markers = 0)
    {
        var all = points.ToArray();
        var path = string.Join(' ', all.Select(point => FormattableString.Invariant(
            $"{X(point.X) - Left:F1},{Y(point.Y) - top + Spare:F1}")));
        Line($"""<svg x="{Left}" y="{top - Spare:F1}" width="{Width - Left - Right}" """);
        Line($"""height="{height + 2 * Spare:F1}">""");
        Line($"""<polyline points="{path}" {Stroke(style, faint, dashed)}/></svg>""");
        var shown = Math.Min(markers, all.Length);
        for (var i = 0; i < shown; i++)
        {
            // in the middle of the i-th of as many parts
            var (x, y) = all[(int)((2L * i + 1) * all.Length / (2 * shown))];
            if (vertical.Share(y) is >= 0 and <= 1)
            {
                Line($"{style.Point(X(x), Y(y), 4, Escape($"{name}, {horizontal.Label(x)}: {y:G4}"))}");
            }
        }
        Name(name, style, faint, dashed, line: true, markers > 0);
    }

    /// <summary>Points, with their name in the legend.</summary>
    public void Dots(string name, IEnumerable<(double X, double Y, string Tip)> points, SeriesStyle style,
        double radius)
    {
        foreach (var (x, y, tip) in points)
        {
            Line($"{style.Point(X(x), Y(y), radius, Escape(tip))}");
        }
        Name(name, style, faint: false, dashed: false, line: false, points: true);
    }

    /// <summary>A remark in the upper right corner of the panel.</summary>
    public void Remark(string text) =>
        Line(Words(Width - Right - 6, top + 16, "end", text));

    /// <summary>The picture.</summary>
    /// <param name="inPage">
    /// Part of a page, which has the style sheet and a ground of its own; else a file.
    /// </param>
    public string End(bool inPage = false)
    {
        Below();
        var rows = Legend(out var entries);
        var above = 40 + rows * LegendRow;
        var whole = above + top + height + Bottom;
        var picture = new StringBuilder();
        void Add(FormattableString line) => picture.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{Width}" height="{whole:F0}" """);
        Add($"""viewBox="0 0 {Width} {whole:F0}" font-family="sans-serif" font-size="13" role="img" """);
        Add($"""aria-label="{Escape(title)}">""");
        if (!inPage)
        {
            Add($"<style>\n{Style}\n</style>");
            Add($"""<rect class="ground" width="{Width}" height="{whole:F0}" fill="#fff"/>""");
        }
        var shown = Escape(Shortened(title, 76));
        Add($"""<text class="title" x="{Left}" y="26" font-size="16" fill="#222">{shown}</text>""");
        picture.Append(entries);
        Add($"""<g transform="translate(0 {above})">""");
        return $"{picture}{panels}</g></svg>\n";
    }

    private static string Colours(Func<SeriesStyle, string> colour) => string.Join('\n', SeriesStyle.All.Select(style =>
        $".plot .s{style.Number} {{ stroke: {colour(style)}; }} .plot .f{style.Number} {{ fill: {colour(style)}; }}"));

    private static string Stroke(SeriesStyle style, bool faint, bool dashed) => "fill=\"none\" "
        + $"""class="s{style.Number}" stroke="{style.Light}" stroke-width="{(faint ? 1 : 2)}" """
        + "stroke-linejoin=\"round\" "
        + (faint ? "stroke-opacity=\"0.4\"" : dashed && style.Dash.Length > 0
            ? $"stroke-dasharray=\"{style.Dash}\"" : "").TrimEnd();

    private void Frame()
    {
        foreach (var mark in vertical.Marks)
        {
            var y = Y(mark);
            Line($"""<line class="grid" x1="{Left}" y1="{y:F1}" x2="{Width - Right}" y2="{y:F1}" stroke="#ddd"/>""");
            Line(Words(Left - 8, y + 4, "end", vertical.Label(mark)));
        }
        Line($"""<g transform="rotate(-90 16 {top + height / 2:F1})">""");
        Line(Words(16, top + height / 2, "middle", vertical.Name));
        Line($"</g>");
    }

    /// <summary>The horizontal axis, under the last panel.</summary>
    private void Below()
    {
        foreach (var mark in horizontal.Marks)
        {
            Line(Words(X(mark), top + height + 18, "middle", horizontal.Label(mark)));
        }
        Line(Words((Left + Width - Right) / 2, top + height + 38, "middle", horizontal.Name));
    }

    private void Name(string name, SeriesStyle style, bool faint, bool dashed, bool line, bool points)
    {
        var entry = (name, style, faint, dashed, line, points);
        if (name.Length > 0 && !legend.Contains(entry))
        {
            legend.Add(entry);
        }
    }

    /// <summary>The legend in rows.</summary>
    /// <returns>How many.</returns>
    private int Legend(out string text)
    {
        var lines = new StringBuilder();
        var (x, row) = ((double)Left, 0);
        foreach (var (name, style, faint, dashed, line, points) in legend)
        {
            var shown = Shortened(name, LongestName);
            var width = 52 + shown.Sum(letter => letter < '\u2e80' ? LetterWidth : 1.9 * LetterWidth);
            if (x > Left && x + width > Width - Right)
            {
                (x, row) = (Left, row + 1);
            }
            var y = 46 + row * LegendRow;
            if (line)
            {
                lines.Append(CultureInfo.InvariantCulture, $"""<line x1="{x:F1}" y1="{y}" x2="{x + 30:F1}" y2="{y}" """)
                    .Append($"{Stroke(style, faint, dashed)}/>");
            }
            lines.Append(points ? style.Point(x + 15, y, 4) : "");
            lines.Append(FormattableString.Invariant(Words(x + 36, y + 4, "start", shown))).Append('\n');
            x += width;
        }
        text = lines.ToString();
        return legend.Count == 0 ? 0 : row + 1;
    }

    /// <summary>Names of folders differ at their end as well as at their beginning.</summary>
    private static string Shortened(string text, int longest) => text.Length <= longest ? text
        : $"{text[..(longest / 2)]}…{text[^(longest / 2 - 1)..]}";

    /// <summary>A text.</summary>
    /// <param name="x">Where it starts, ends or has its middle, as the anchor says.</param>
    /// <param name="y">Of the line that it stands on.</param>
    /// <param name="anchor">start, middle or end</param>
    /// <param name="text">Not escaped.</param>
    private static FormattableString Words(double x, double y, string anchor, string text) =>
        $"""<text x="{x:F1}" y="{y:F1}" text-anchor="{anchor}" fill="#222">{Escape(text)}</text>""";

    private double X(double value) => Left + horizontal.Share(value) * (Width - Left - Right);

    private double Y(double value) => top + (1 - vertical.Share(value)) * height;

    private void Line(FormattableString line) => panels.Append(line.ToString(CultureInfo.InvariantCulture))
        .Append('\n');

    /// <summary>XML has no control characters, not even escaped, and no halves of a pair.</summary>
    private static string Escape(string text) => SecurityElement.Escape(string.Concat(text.EnumerateRunes()
        .Select(letter => Rune.IsControl(letter) || letter.Value is 0xfffe or 0xffff ? "\ufffd" : letter.ToString())));
}
