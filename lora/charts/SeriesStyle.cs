using System.Globalization;

namespace LoraScratch.Lora.Charts;

/// <summary>
/// How a series of a plot looks: a colour, and with a dash and the shape of its points it is told
/// from the others without colour, too.
/// </summary>
/// <param name="Number">From 0: names the style sheet's classes.</param>
/// <param name="Light">Its colour on white.</param>
/// <param name="Dark">Its colour on black.</param>
internal sealed record SeriesStyle(int Number, string Light, string Dark)
{
    private static readonly string[] Dashes = ["", "8 4", "2 3", "12 3 2 3"];

    /// <summary>
    /// As many as one plot can have. The hues are those that colour-blind readers tell apart (Okabe
    /// and Ito 2008), darker on white and lighter on black, so that thin lines are seen.
    /// </summary>
    public static IReadOnlyList<SeriesStyle> All { get; } =
    [
        new(0, "#0072b2", "#56b4e9"), new(1, "#c05500", "#ff9a4d"), new(2, "#00795a", "#3fd0a4"),
        new(3, "#a8478a", "#e79bd0"), new(4, "#806400", "#f0d24a"), new(5, "#2f7fb5", "#9ad4f5"),
        new(6, "#6b4fa3", "#b9a2f2"), new(7, "#555555", "#bbbbbb"),
    ];

    /// <summary>stroke-dasharray; no two have dash and shape in common.</summary>
    public string Dash => Dashes[(Number + Number / Dashes.Length) % Dashes.Length];

    /// <summary>A point: a disc, a square, a triangle or a diamond.</summary>
    /// <param name="x">Its middle, to the right.</param>
    /// <param name="y">Downwards.</param>
    /// <param name="size">Half of its width.</param>
    /// <param name="tip">What a pointer on it shows, escaped; may be "".</param>
    public string Point(double x, double y, double size, string tip = "")
    {
        string Shape(params (double X, double Y)[] corners) => "<polygon points=\""
            + string.Join(' ', corners.Select(corner =>
                FormattableString.Invariant($"{x + size * corner.X:F1},{y + size * corner.Y:F1}"))) + "\"";
        var shape = (Number % 4) switch
        {
            0 => string.Create(CultureInfo.InvariantCulture, $"""<circle cx="{x:F1}" cy="{y:F1}" r="{size:0.#}" """)
                .TrimEnd(),
            1 => Shape((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
            2 => Shape((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
            _ => Shape((0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)),
        };
        return $"""{shape} class="f{Number}" fill="{Light}" """.TrimEnd()
            + (tip.Length == 0 ? "/>" :
                $"><title>{tip}</title></{shape[1..shape.IndexOf(' ', StringComparison.Ordinal)]}>");
    }
}
