using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Pages;

/// <summary>Numbers of a page, as a picture, as a table, and as data of its script.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Values">Row-major.</param>
[JsonConverter(typeof(PageMatrixConverter))]
internal sealed record PageMatrix(int Rows, int Columns, float[] Values)
{
    /// <summary>Larger ones are shown by statistics and their largest entries.</summary>
    public const int MaxCells = 16;

    /// <summary>Entries listed of a larger one.</summary>
    public const int MaxEntries = 64;

    private const int Shades = 8;           // on either side of zero, as in page.css
    private const int MaxSquares = 32;     // of a picture, in each direction

    /// <summary>A tensor's values; its last dimension is the columns.</summary>
    public static PageMatrix Of(Tensor tensor) => new(tensor.Shape.Rows, tensor.Shape.Columns, tensor.ToArray());

    /// <summary>Whether all of it is shown as a table.</summary>
    public bool IsSmall => Rows <= MaxCells && Columns <= MaxCells;

    private float Largest => Values.Length == 0 ? 0 : Values.Max(Math.Abs);

    /// <summary>Some of the columns.</summary>
    public PageMatrix SomeColumns(IReadOnlyList<int> columns) => new(Rows, columns.Count,
        [.. Enumerable.Range(0, Rows).SelectMany(i => columns.Select(j => Values[i * Columns + j]))]);

    /// <summary>Some of the rows.</summary>
    public PageMatrix SomeRows(IReadOnlyList<int> rows) => new(rows.Count, Columns,
        [.. rows.SelectMany(i => Values[(i * Columns)..((i + 1) * Columns)])]);

    /// <summary>
    /// Squares in shades, blue above zero and orange below; of a large matrix the largest number of
    /// each block.
    /// </summary>
    public Html Squares(double x = 0, double y = 0, double square = 1)
    {
        var (rows, columns) = (Math.Min(Rows, MaxSquares), Math.Min(Columns, MaxSquares));
        var largest = Largest;
        var paths = new SortedDictionary<string, StringBuilder>(StringComparer.Ordinal);
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                var shade = Shade(Extreme(Block(i, rows, Rows), Block(j, columns, Columns)), largest);
                if (!paths.TryGetValue(shade, out var path))
                {
                    paths[shade] = path = new StringBuilder();
                }
                path.Append(CultureInfo.InvariantCulture, $"M{j} {i}h1v1h-1z");
            }
        }
        var squares = paths.Select(path => Html.Of($"""<path class="{path.Key}" d="{path.Value.ToString()}"/>"""));
        return Html.Of($"""<g transform="translate({x:0.##} {y:0.##}) scale({square:0.###})">{squares}</g>""");
    }

    /// <summary>Width and height of <see cref="Squares"/> before scaling.</summary>
    public (int Columns, int Rows) PictureSize => (Math.Min(Columns, MaxSquares), Math.Min(Rows, MaxSquares));

    /// <summary>The picture by itself.</summary>
    public Html Picture(string label)
    {
        var (columns, rows) = PictureSize;
        return Html.Of($"""
            <svg class="heat" viewBox="0 0 {columns} {rows}" width="{Math.Min(320, columns * 14)}" role="img"
            aria-label="{label}">{Squares()}</svg>
            """);
    }

    /// <summary>
    /// All numbers in a shaded table; of a large matrix the picture, statistics and the largest
    /// entries.
    /// </summary>
    /// <param name="name">Caption.</param>
    /// <param name="rowName">Of row i; null: its number.</param>
    public Html Show(string name, Func<int, string>? rowName = null) => IsSmall
        ? Table($"{name} [{Rows}, {Columns}]", rowName)
        : Html.Of($"""
            <figure><figcaption>{name} [{Rows}, {Columns}], each square the largest of its
            block</figcaption>{Picture($"heat map of {name}")}</figure>
            <p class="small">{Statistics()}</p>
            <details><summary>The {Math.Min(MaxEntries, Values.Length)} largest entries of
            {name}</summary>{LargestEntries(name, rowName)}</details>
            """);

    private Html Table(string caption, Func<int, string>? rowName)
    {
        var largest = Largest;
        var heads = Enumerable.Range(0, Columns).Select(j => Html.Of($"<th scope=\"col\">{j}</th>"));
        var rows = Enumerable.Range(0, Rows).Select(i => Html.Of($"""
            <tr><th scope="row">{rowName?.Invoke(i) ?? i.ToString(CultureInfo.InvariantCulture)}</th>
            {Values.Skip(i * Columns).Take(Columns).Select(value => Cell(value, largest))}</tr>

            """));
        return Scrollable(caption, Html.Of($"""
            <table class="matrix"><caption>{caption}</caption>
            <thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table>
            """));
    }

    private Html LargestEntries(string name, Func<int, string>? rowName)
    {
        var places = Enumerable.Range(0, Values.Length).OrderByDescending(at => Math.Abs(Values[at])).Take(MaxEntries);
        return PageTable.Of($"Largest entries of {name}", ["row", "column", "value"], places.Select(at => (Html[])
        [
            Html.Escape(rowName?.Invoke(at / Columns) ?? Number(at / Columns)), Html.Escape(Number(at % Columns)),
            Html.Escape(Number(Values[at]))
        ]));
    }

    private string Statistics()
    {
        var mean = Values.Average(value => (double)value);
        var norm = Math.Sqrt(Values.Sum(value => (double)value * value));
        var deviation = Math.Sqrt(Values.Average(value => (value - mean) * (value - mean)));
        return $"mean {Number(mean)}, standard deviation {Number(deviation)}, largest magnitude {Number(Largest)}, "
            + $"norm {Number(norm)}";
    }

    private float Extreme(Range rows, Range columns)
    {
        var extreme = 0f;
        for (var i = rows.Start.Value; i < rows.End.Value; i++)
        {
            for (var j = columns.Start.Value; j < columns.End.Value; j++)
            {
                var value = Values[i * Columns + j];
                extreme = Math.Abs(value) > Math.Abs(extreme) ? value : extreme;
            }
        }
        return extreme;
    }

    private static Range Block(int i, int blocks, int all) =>
        (int)((long)i * all / blocks)..(int)((long)(i + 1) * all / blocks);

    private static Html Cell(float value, float largest) =>
        Html.Of($"""<td class="{Shade(value, largest)}">{Number(value)}</td>""");

    private static string Shade(float value, float largest)
    {
        var level = largest > 0 ? Math.Min(Shades, (int)MathF.Ceiling(Shades * Math.Abs(value) / largest)) : 0;
        return level == 0 ? "z" : value > 0 ? $"p{level}" : $"n{level}";
    }

    /// <summary>Five digits, a true minus sign.</summary>
    public static string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture).Replace('-', '−');

    /// <summary>A table that scrolls by itself on a narrow screen, by keyboard too.</summary>
    public static Html Scrollable(string label, Html table) =>
        Html.Of($"""<div class="scroll" tabindex="0" role="group" aria-label="{label}">{table}</div>""");
}
