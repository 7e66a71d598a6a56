using System.Text.RegularExpressions;

namespace LoraScratch.Tests.Cli;

/// <summary>The rows of a table of layers, each with the whole path of its layer.</summary>
internal static partial class LayerRows
{
    /// <summary>Reads what a command printed.</summary>
    /// <returns>Paths, and the words after the path or number.</returns>
    public static (string Path, string[] Cells)[] Of(string output)
    {
        var (path, rows) = ("", new List<(string, string[])>());
        foreach (var line in output.Split('\n'))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is [var only] && only.StartsWith("distilbert.", StringComparison.Ordinal))
            {
                path = only;
            }
            else if (path.Length > 0 && Numbered().IsMatch(line))
            {
                rows.Add((Braces().Replace(path, words[0]), words[1..]));
            }
            else if (words is [var first, ..] && first.StartsWith("distilbert.", StringComparison.Ordinal))
            {
                rows.Add((first, words[1..]));
            }
        }
        return [.. rows];
    }

    [GeneratedRegex(@"^  \d+ ")]
    private static partial Regex Numbered();

    [GeneratedRegex(@"\{.*\}")]
    private static partial Regex Braces();
}
