namespace LoraScratch.Benchmarks.Report;

/// <summary>What a person asks, and what was measured to answer it.</summary>
/// <param name="Title">The question.</param>
/// <param name="Answer">One or two sentences with the figures.</param>
/// <param name="Tables">The figures.</param>
/// <param name="Charts">Pictures of them.</param>
internal sealed record Question(string Title, string Answer, IReadOnlyList<ReportTable> Tables,
    IReadOnlyList<LineChart> Charts);

/// <summary>Figures.</summary>
/// <param name="Caption">What they are of.</param>
/// <param name="Columns">A name and an explanation for every column.</param>
/// <param name="Rows">As many cells as there are columns.</param>
internal sealed record ReportTable(string Caption, IReadOnlyList<(string Name, string Meaning)> Columns,
    IReadOnlyList<IReadOnlyList<string>> Rows);

/// <summary>Writes numbers as reports have them.</summary>
internal static class Figures
{
    public static string Number(double value, int digits = 2) =>
        value.ToString($"F{digits}", System.Globalization.CultureInfo.InvariantCulture);

    public static string Percent(double share) => $"{Number(100 * share, 0)} %";

    /// <summary>Seconds in the unit in which they are at least 1.</summary>
    public static string Time(double seconds) => seconds >= 1 ? $"{Number(seconds)} s"
        : seconds >= 1e-3 ? $"{Number(1e3 * seconds)} ms" : $"{Number(1e6 * seconds, 1)} µs";
}
