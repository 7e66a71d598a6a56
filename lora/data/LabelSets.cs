using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Labels of examples for which any number of classes may hold. Their names are read by the rule of
/// <see cref="LabelColumn"/>, which all names of a file follow together.
/// </summary>
internal static class LabelSets
{
    /// <summary>What stands between the names in a cell, unless something else is said.</summary>
    public const char Separator = '|';

    private static readonly char[] OtherSeparators = [',', ';', '|', '/'];

    /// <summary>The names in a cell, each once, without white space around them.</summary>
    public static IReadOnlyList<string> OfCell(string cell, DatasetOptions options) =>
        [.. cell.Split(options.LabelSeparator ?? Separator,
            StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Distinct()];

    /// <summary>The names of the columns that have a 1.</summary>
    /// <param name="name">The file, for messages.</param>
    /// <param name="origin">The row.</param>
    /// <param name="options">The columns.</param>
    /// <param name="cell">The cell of a column, by its number in the options.</param>
    /// <exception cref="InputException">A cell is neither 0 nor 1.</exception>
    public static IReadOnlyList<string> OfFlags(string name, string origin, DatasetOptions options,
        Func<int, string> cell) => [.. options.LabelColumns!.Where((column, i) => cell(i).Trim() switch
        {
            "1" or "1.0" or "true" or "True" or "TRUE" => true,
            "0" or "0.0" or "false" or "False" or "FALSE" => false,
            var other => throw new InputException($"{name}, {origin}: '{column}' is {Describe.Name(other)}; a label "
                + "column has 0 or 1 in every row."),
        })];

    /// <summary>Resolves the labels of a file.</summary>
    /// <param name="name">The file, for messages.</param>
    /// <param name="options">The columns, and the classes that are given.</param>
    /// <param name="rows">The rows, each with its labels.</param>
    /// <returns>The classes, and the indices of each row's, rising.</returns>
    /// <exception cref="InputException">As from <see cref="LabelColumn.Resolve"/>.</exception>
    public static (LabelSet Classes, int[][] Labels) Resolve(string name, DatasetOptions options,
        IReadOnlyList<RawExample> rows)
    {
        RequireSeparator(name, options, rows);
        var named = rows.SelectMany(row => row.Labels!.Select(label => row with { Label = label })).ToArray();
        if (named.Length == 0)
        {
            throw new InputException($"{name}: no row has a label, and nothing could be learned from that. Is "
                + $"{Describe.Name(options.LabelColumns?[0] ?? options.LabelName)} the label column?");
        }
        var (classes, indices) = LabelColumn.Resolve(name,
            options with { Labels = options.Labels ?? (options.LabelColumns is { } columns ? new(columns) : null) },
            named);
        var at = 0;
        return (classes, [.. rows.Select(row =>
        {
            var own = indices[at..(at += row.Labels!.Count)];
            Array.Sort(own);
            return own;
        })]);
    }

    /// <summary>
    /// A cell with another separator would be the name of one class, and every combination a class
    /// of its own.
    /// </summary>
    private static void RequireSeparator(string name, DatasetOptions options, IReadOnlyList<RawExample> rows)
    {
        if (options.LabelSeparator is not null || options.LabelColumns is not null
            || rows.Any(row => row.Labels!.Count > 1))
        {
            return;
        }
        foreach (var other in OtherSeparators)
        {
            if (rows.FirstOrDefault(row => row.Label?.Contains(other) == true) is
                { Label: { } label, Origin: var origin })
            {
                throw new InputException($"{name}: no label has the separator '{Separator}', and in {origin} stands "
                    + $"{Describe.Name(label)}. Say what stands between the names of classes with option "
                    + $"'label-separator', '{other}' perhaps.");
            }
        }
    }
}
