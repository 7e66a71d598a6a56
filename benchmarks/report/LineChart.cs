using LoraScratch.Lora.Pages;

namespace LoraScratch.Benchmarks.Report;

/// <summary>A line with its points.</summary>
/// <param name="Name">In the legend.</param>
/// <param name="Points">From left to right.</param>
/// <param name="IsReference">Whether it was counted and not measured: a dashed line.</param>
internal sealed record Curve(string Name, IReadOnlyList<(double X, double Y)> Points, bool IsReference = false);

/// <summary>A chart with logarithmic axes, on which a power law is a straight line.</summary>
/// <param name="Caption">What it shows.</param>
/// <param name="XName">Name and unit.</param>
/// <param name="YName">Name and unit.</param>
/// <param name="Curves">At least one, with positive values.</param>
internal sealed record LineChart(string Caption, string XName, string YName, IReadOnlyList<Curve> Curves)
{
    private const int Width = 560, Height = 320, Left = 64, Right = 16, Top = 14, Bottom = 44;
    private const int MaxMarks = 7;

    /// <summary>Styles of the charts; colours are those of the page.</summary>
    public const string Style = """
        svg.chart { max-width: 100%; height: auto; }
        svg.chart text { fill: var(--muted); font-size: 12px; }
        svg.chart .grid { stroke: var(--line); }
        svg.chart polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
        svg.chart .reference { stroke-dasharray: 5 4; }
        .c0 { --curve: var(--pos); } .c1 { --curve: var(--neg); } .c2 { --curve: var(--good); }
        .c3 { --curve: var(--bad); } .c4 { --curve: var(--muted); }
        svg.chart polyline { stroke: var(--curve); } svg.chart circle { fill: var(--curve); }
        .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0.2rem 0; }
        .legend span { color: var(--curve); font-weight: 700; }
        """;

    private IEnumerable<(double X, double Y)> Points => Curves.SelectMany(curve => curve.Points);

    /// <summary>The picture with caption and legend.</summary>
    public Html Draw()
    {
        var (marksX, marksY) = (Marks(Points.Select(point => point.X)), Marks(Points.Select(point => point.Y)));
        double X(double value) => Left + Share(marksX, value) * (Width - Left - Right);
        double Y(double value) => Height - Bottom - Share(marksY, value) * (Height - Top - Bottom);
        var grid = marksY.Select(mark => Html.Of($"""
            <line class="grid" x1="{Left}" y1="{Y(mark):F1}" x2="{Width - Right}" y2="{Y(mark):F1}"/>
            <text x="{Left - 8}" y="{Y(mark) + 4:F1}" text-anchor="end">{mark:G4}</text>
            """));
        var below = marksX.Select(mark => Html.Of($"""
            <text x="{X(mark):F1}" y="{Height - Bottom + 18}" text-anchor="middle">{mark:G6}</text>
            """));
        var curves = Curves.Select((curve, i) => Html.Of($"""
            <g class="{Colour(i)}"><polyline class="{(curve.IsReference ? "reference" : "")}"
            points="{Path(curve, X, Y)}"/>{Dots(curve, X, Y)}</g>
            """));
        var legend = Curves.Select((curve, i) => Html.Of($"""
            <li class="{Colour(i)}"><span>{(curve.IsReference ? "- -" : "—●—")}</span> {curve.Name}</li>
            """));
        return Html.Of($"""
            <figure><figcaption>{Caption}</figcaption>
            <svg class="chart" viewBox="0 0 {Width} {Height}" width="{Width}" role="img" aria-label="{Caption}">
            {grid}{below}
            <text x="{(Left + Width - Right) / 2}" y="{Height - 8}" text-anchor="middle">{XName}</text>
            <text x="14" y="{Height / 2}" text-anchor="middle" transform="rotate(-90 14 {Height / 2})">{YName}</text>
            {curves}</svg>
            <ul class="legend">{legend}</ul></figure>

            """);
    }

    private static string Colour(int curve) => $"c{curve % 5}";

    private static string Path(Curve curve, Func<double, double> x, Func<double, double> y) =>
        string.Join(' ', curve.Points.Select(point => FormattableString.Invariant($"{x(point.X):F1},{y(point.Y):F1}")));

    private static IEnumerable<Html> Dots(Curve curve, Func<double, double> x, Func<double, double> y) =>
        curve.IsReference ? [] : curve.Points.Select(point => Html.Of($"""
            <circle cx="{x(point.X):F1}" cy="{y(point.Y):F1}" r="3.5"><title>{curve.Name}, {point.X:G6}:
            {point.Y:G4}</title></circle>
            """));

    private static double Share(double[] marks, double value) =>
        Math.Log(value / marks[0]) / Math.Log(marks[^1] / marks[0]);

    /// <summary>
    /// Round numbers around the values: powers of two, or where these are few the steps between.
    /// </summary>
    private static double[] Marks(IEnumerable<double> values)
    {
        var (low, high) = (values.Min(), values.Max());
        foreach (var steps in new[] { 1, 2, 4, 8, 16, 32 })             // marks to a doubling
        {
            double Mark(int i) => Rounded(Math.Pow(2, (double)i / steps));
            var (first, last) = ((int)Math.Floor(steps * Math.Log2(low)), (int)Math.Ceiling(steps * Math.Log2(high)));
            if (last - first >= 3 || steps == 32)
            {
                last = Math.Max(last, first + 1);
                var stride = (last - first + MaxMarks - 1) / MaxMarks;
                return [.. Enumerable.Range(0, (last - first + stride - 1) / stride + 1)
                    .Select(i => Mark(first + i * stride))];
            }
        }
        throw new InvalidOperationException("The last step always ends the search.");
    }

    private static double Rounded(double value)
    {
        var unit = Math.Pow(10, Math.Floor(Math.Log10(value)) - 3);
        return Math.Round(value / unit) * unit;
    }
}
