namespace LoraScratch.Cli;

/// <summary>
/// A line at the bottom of a terminal that is written again and again. Whatever is shorter than
/// what stood there covers its rest with spaces, and no more than one row is ever taken: a line
/// that the terminal wraps could not be taken back.
/// </summary>
/// <param name="output">The terminal.</param>
/// <param name="width">Its columns at the moment.</param>
internal sealed class ProgressLine(TextWriter output, Func<int> width)
{
    private const int LongestBar = 20, ShortestBar = 5;
    private int taken;

    /// <summary>Shows a text, and a bar where there is room for one.</summary>
    /// <param name="text">Shortened where the terminal is narrow.</param>
    /// <param name="share">How much is done, 0 to 1.</param>
    public void Show(string text, double share)
    {
        // in the last column, some terminals go on to the next row
        var room = Math.Max(1, width() - 1);
        var line = Columns.Fit(text, room);
        var bar = Math.Min(LongestBar, room - Columns.Of(line) - 2);
        if (bar >= ShortestBar)
        {
            var done = (int)Math.Round(Math.Clamp(share, 0, 1) * bar);
            line = $"{line}  {new string('━', done)}{new string('┄', bar - done)}";
        }
        Replace(line);
    }

    /// <summary>Writes a line that stays, above what is shown from then on.</summary>
    public void WriteLine(string text)
    {
        Replace("");
        output.Write('\r');
        output.WriteLine(text);
    }

    /// <summary>Leaves what is shown, and goes on below it.</summary>
    public void End()
    {
        if (taken > 0)
        {
            output.WriteLine();
            taken = 0;
        }
    }

    private void Replace(string line)
    {
        var columns = Columns.Of(line);
        output.Write($"\r{line}{new string(' ', Math.Max(0, taken - columns))}");
        taken = columns;
    }
}
