using LoraScratch.Lora;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// Numbers of a model's layers in 80 columns: a path that several layers have stands once, with the
/// numbers of the layers in braces, and a row for each beneath it.
/// </summary>
internal static class LayerTable
{
    private const string Numbered = "layer";

    /// <summary>Prints it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="headers">Of the columns after the path.</param>
    /// <param name="rows">Path and the cells of each layer.</param>
    /// <param name="totals">Rows under a name of their own, at the end.</param>
    public static void Print(TextWriter output, IReadOnlyList<string> headers,
        IReadOnlyList<(string Path, IReadOnlyList<string> Cells)> rows,
        params IReadOnlyList<(string Name, IReadOnlyList<string> Cells)> totals)
    {
        (string Path, IReadOnlyList<string> Cells)[] all = [.. rows, .. totals];
        int[] widths = [.. headers.Select((header, i) =>
            Math.Max(Columns.Of(header), all.Max(row => Columns.Of(row.Cells[i]))) + 2)];
        // where all paths fit beside their numbers, none needs a line of its own
        var longest = all.Max(row => row.Path.Length);
        var room = Math.Max(Columns.Screen - widths.Sum(), Numbered.Length + 2);
        var fits = longest <= room;
        var margin = Math.Min(room, fits ? Math.Max(longest, Numbered.Length) : 24);
        output.WriteLine($"{Numbered.PadRight(margin)}{Row(headers)}");
        foreach (var folded in FoldedPaths.Fold(rows, row => row.Path, row => fits ? row.Path : null))
        {
            var (path, modules) = (folded.Path, folded.Modules);
            var isOne = modules.Count == 1 && path.Length <= margin;
            if (!isOne)
            {
                output.WriteLine(path);
            }
            foreach (var (number, row) in modules)
            {
                output.WriteLine($"{(isOne ? path : $"  {number}").PadRight(margin)}{Row(row.Cells)}");
            }
        }
        foreach (var (name, cells) in totals)
        {
            output.WriteLine($"{name.PadRight(margin)}{Row(cells)}");
        }

        string Row(IReadOnlyList<string> cells) =>
            string.Concat(cells.Select((cell, i) => Columns.Right(cell, widths[i])));
    }
}
