using System.Text;

namespace LoraScratch.Cli;

/// <summary>
/// Writes to a terminal, and breaks sentences between words, where the terminal would break them in
/// a word. What is indented stays as it is: tables, and commands that can be copied.
/// </summary>
/// <param name="terminal">Where to.</param>
/// <param name="width">Its columns at the moment.</param>
internal sealed class TerminalWriter(Stream terminal, Func<int> width)
    : StreamWriter(terminal, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false))
{
    public override void WriteLine(string? value)
    {
        var columns = width();
        if (value is null || columns < 1 || Columns.Of(value) <= columns || value.StartsWith(' ')
            || value.Any(char.IsControl) || value.Contains("  ", StringComparison.Ordinal))
        {
            base.WriteLine(value);
            return;
        }
        foreach (var line in Columns.Wrapped(value, columns))
        {
            base.WriteLine(line);
        }
    }
}
