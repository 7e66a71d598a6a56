using LoraScratch.Lora;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// The tensors of a model in 80 columns: what layers with the same tensors have in common stands
/// once, under the path of the layers.
/// </summary>
internal static class TensorTable
{
    /// <summary>Prints it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="rows">
    /// Path, shape, size and so on of each tensor; as many cells in each.
    /// </param>
    /// <param name="everyLayer">Whether every tensor has a line of its own.</param>
    public static void Print(TextWriter output, IReadOnlyList<(string Path, IReadOnlyList<string> Cells)> rows,
        bool everyLayer)
    {
        if (rows.Count == 0)
        {
            return;
        }
        int[] widths = [.. rows[0].Cells.Select((_, i) => rows.Max(row => Columns.Of(row.Cells[i])) + 2)];
        var lines = FoldedPaths.Fold(rows, row => row.Path,
            row => everyLayer ? row.Path : string.Join('\n', row.Cells)).Select(folded => folded.Modules.Count == 1
                ? (Prefix: "", Name: folded.Path, folded.Modules[0].Module.Cells)
                : (folded.Prefix, Name: $"  {folded.Rest}", folded.Modules[0].Module.Cells)).ToList();
        var width = lines.Max(line => line.Name.Length);
        var prefix = "";
        foreach (var line in lines)
        {
            if (line.Prefix.Length > 0 && line.Prefix != prefix)
            {
                output.WriteLine($"{line.Prefix}, each:");
            }
            prefix = line.Prefix;
            output.WriteLine(line.Name.PadRight(width)
                + string.Concat(line.Cells.Select((cell, i) => Columns.Right(cell, widths[i]))).TrimEnd());
        }
    }
}
