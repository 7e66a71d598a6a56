using LoraScratch.Lora.Data;

namespace LoraScratch.Cli.Tables;

/// <summary>The report of 'lora data', for people: some fifteen lines of 80 columns.</summary>
internal static class DataTable
{
    private const int Indent = 15, MaxClasses = 12;

    /// <summary>Prints it.</summary>
    /// <param name="report">What was found.</param>
    /// <param name="findings">The words for it.</param>
    /// <param name="columns">"text 'message', label 'queue'"</param>
    /// <param name="output">Where to.</param>
    public static void Print(DataReport report, DataFindings findings, string columns, TextWriter output)
    {
        var lengths = report.Tokens;
        var lines = new List<(string Name, string Text)>
        {
            ("rows", $"{Text.Count(report.Rows)}, {Text.Count(report.Data.Count)} of them with text and label"),
            ("columns", columns),
            ("classes", $"{Text.Count(report.ClassCounts.Count)}: {findings.Classes(MaxClasses)}"),
            ("tokens", $"median {Text.Count(lengths.Length(0.5))}, 95 % up to {Text.Count(lengths.Length(0.95))}, "
                + $"longest {Text.Count(lengths.Longest)}"),
        };
        if (columns.Length == 0)
        {
            lines.RemoveAt(1);
        }
        var all = findings.Lines.ToArray();
        lines.AddRange(all.Length > 0 ? all : [("", "Nothing else is noteworthy.")]);
        output.WriteLine(Terminal.Printable(report.Data.Source));
        foreach (var (name, text) in lines)
        {
            var margin = name.PadRight(Indent);
            foreach (var line in Columns.Wrapped(Terminal.Printable(text), Columns.Screen - Indent))
            {
                output.WriteLine($"{margin}{line}");
                margin = new string(' ', Indent);
            }
        }
    }
}
