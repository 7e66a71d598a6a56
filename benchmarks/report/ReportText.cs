using System.Text;

namespace LoraScratch.Benchmarks.Report;

/// <summary>The report on a terminal.</summary>
internal static class ReportText
{
    /// <summary>What the machine is.</summary>
    public static string Of(IEnumerable<(string Name, string Value)> facts) =>
        string.Concat(facts.Select(fact => $"{fact.Name,-10} {fact.Value}\n"));

    /// <summary>A question with its tables, and what every column says.</summary>
    public static string Of(Question question)
    {
        var text = new StringBuilder($"\n{question.Title}\n{new string('=', question.Title.Length)}\n")
            .Append(question.Answer).Append('\n');
        foreach (var table in question.Tables)
        {
            text.Append('\n').Append(table.Caption).Append('\n');
            int[] widths = [.. table.Columns.Select((column, i) =>
                Math.Max(column.Name.Length, table.Rows.Max(row => row[i].Length)))];
            string Line(IEnumerable<string> cells) => "  " + string.Join("  ", cells.Select((cell, i) =>
                i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))) + '\n';
            text.Append(Line(table.Columns.Select(column => column.Name)));
            foreach (var row in table.Rows)
            {
                text.Append(Line(row));
            }
            foreach (var (name, meaning) in table.Columns)
            {
                text.Append($"  {name.Trim()}: {meaning}\n");
            }
        }
        return text.ToString();
    }
}
