using BenchmarkDotNet.Loggers;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Shows a line for every benchmark and then the tables: BenchmarkDotNet's log of fifty benchmarks
/// has thousands of lines.
/// </summary>
internal sealed class ShortLogger : ILogger
{
    private const string Remaining = "// ** ", Summary = "// * Summary *", End = "// * Artifacts cleanup";

    private readonly ILogger console = ConsoleLogger.Default;
    private string line = "";
    private bool isSummary;

    public string Id => nameof(ShortLogger);

    public int Priority => 0;

    public void Write(LogKind logKind, string text)
    {
        line += text;
        if (isSummary)
        {
            console.Write(logKind, text);
        }
    }

    public void WriteLine()
    {
        if (isSummary)
        {
            console.WriteLine();
        }
        else if (line.StartsWith(Remaining, StringComparison.Ordinal))
        {
            console.WriteLine(line.Trim('/', '*', ' '));
        }
        line = "";
    }

    public void WriteLine(LogKind logKind, string text)
    {
        isSummary = (isSummary || text.StartsWith(Summary, StringComparison.Ordinal))
            && !text.StartsWith(End, StringComparison.Ordinal);
        if (logKind == LogKind.Error && !isSummary)
        {
            console.WriteLine(logKind, text);
        }
        Write(logKind, text);
        WriteLine();
    }

    public void Flush() => console.Flush();
}
