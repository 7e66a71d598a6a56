namespace LoraScratch.Cli.Tables;

/// <summary>
/// Which class was taken for which, in 80 columns: the matrix with the classes' names or, where
/// these are long, with numbers above it; of many classes the most frequent confusions alone.
/// </summary>
internal static class ConfusionTable
{
    private const string Corner = "true \\ predicted";
    private const int MaxListed = 20, LongestName = 32;

    /// <summary>Prints it.</summary>
    /// <param name="confusion">[true class][predicted class]: examples.</param>
    /// <param name="labels">Names of the classes.</param>
    /// <param name="output">Where to.</param>
    public static void Print(IReadOnlyList<IReadOnlyList<int>> confusion, IReadOnlyList<string> labels,
        TextWriter output)
    {
        var names = labels.Select(Terminal.Printable).ToArray();
        var cell = confusion.SelectMany(row => row).Max(count => Text.Count(count).Length) + 2;
        var named = Math.Max(10, Math.Max(cell, names.Max(Columns.Of) + 2));
        var margin = Math.Max(named, Corner.Length + 2);
        if (margin + labels.Count * named <= Columns.Screen)
        {
            Matrix(confusion, names, names, margin, named, output);
            return;
        }
        string[] numbers = [.. Enumerable.Range(1, labels.Count).Select(i => $"{i}")];
        cell = Math.Max(cell, numbers[^1].Length + 2);
        margin = Columns.Screen - labels.Count * cell;
        if (margin >= Corner.Length + 2)
        {
            string[] rows = [.. names.Select((name, i) => $"{numbers[i].PadLeft(numbers[^1].Length)} {name}")];
            Matrix(confusion, rows, numbers,
                Math.Min(margin, Math.Max(rows.Max(Columns.Of) + 1, Corner.Length + 2)), cell, output);
            return;
        }
        Largest(confusion, names, output);
    }

    private static void Matrix(IReadOnlyList<IReadOnlyList<int>> confusion, string[] rows, string[] columns, int margin,
        int cell, TextWriter output)
    {
        output.WriteLine(Corner.PadRight(margin)
            + string.Concat(columns.Select(name => Columns.Right(name, cell))));
        for (var i = 0; i < rows.Length; i++)
        {
            // a space at least stands before the first number
            output.WriteLine($"{Columns.Left(Columns.Fit(rows[i], margin - 1), margin)}"
                + string.Concat(confusion[i].Select(count => Text.Count(count).PadLeft(cell))));
        }
    }

    private static void Largest(IReadOnlyList<IReadOnlyList<int>> confusion, string[] names, TextWriter output)
    {
        var wrong = confusion.SelectMany((row, i) => row.Select((count, j) => (True: i, Predicted: j, Count: count)))
            .Where(entry => entry.True != entry.Predicted && entry.Count > 0).OrderByDescending(entry => entry.Count)
            .ToArray();
        output.WriteLine($"{names.Length} classes: too many for a matrix here, --json has it. "
            + (wrong.Length == 0 ? "None was taken for another." : "Most often confused:"));
        var width = Math.Min(LongestName, names.Max(Columns.Of) + 2);
        if (wrong.Length > 0)
        {
            output.WriteLine($"{Columns.Left("true", width)}  {Columns.Left("predicted", width)}{"examples",10}");
        }
        foreach (var (row, column, count) in wrong.Take(MaxListed))
        {
            output.WriteLine($"{Columns.Left(names[row], width)}  {Columns.Left(names[column], width)}"
                + $"{Text.Count(count),10}");
        }
        if (wrong.Length > MaxListed)
        {
            output.WriteLine($"and {Text.Count(wrong.Length - MaxListed)} other pairs with "
                + $"{Text.Count(wrong.Skip(MaxListed).Sum(entry => (long)entry.Count))} examples");
        }
    }
}
