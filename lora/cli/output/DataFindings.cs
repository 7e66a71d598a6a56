using System.Globalization;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>
/// The words for what is noteworthy about data: a name and a sentence or two for each finding, the
/// same in the report of 'lora data' and in the notes before a training.
/// </summary>
/// <param name="report">What was found.</param>
/// <param name="ofBase">
/// Share of the words that the base's tokenizer cuts in its own kind of text; null: not known.
/// </param>
internal sealed class DataFindings(DataReport report, double? ofBase = null)
{
    private const int MaxEmpty = 2, MaxNamed = 3, MaxRare = 6, MaxCharacters = 5, LongestName = 40;

    private readonly TextDataset data = report.Data;

    /// <summary>Each finding with its name and what is to be said.</summary>
    public IEnumerable<(string Name, string Text)> Lines => report.Findings.Select(Line);

    /// <summary>
    /// Says the findings on standard error, one line each. Incomplete rows are not among them: they
    /// are refused by their names, or were said to be left out.
    /// </summary>
    public void Say()
    {
        foreach (var (_, text) in report.Findings.Where(finding => finding != DataFinding.IncompleteRows).Select(Line))
        {
            Console.Error.WriteLine(Terminal.Printable($"note: {data.Source}: {text}"));
        }
    }

    /// <summary>Says on standard error that examples to measure on are trained on, too.</summary>
    /// <param name="repeated">How many are.</param>
    /// <param name="count">Of how many.</param>
    /// <param name="what">"validation", "test"</param>
    public static void SayRepeated(int repeated, int count, string what)
    {
        if (repeated > 0)
        {
            Console.Error.WriteLine($"note: {Text.Count(repeated)} of {Text.Count(count)} {what} examples "
                + $"{(repeated == 1 ? "repeats" : "repeat")} the text of a training example, which makes the {what} "
                + "accuracy too high: remove repeated texts from the data");
        }
    }

    /// <summary>"b 812, a 640", the largest first; more than so many are counted.</summary>
    public string Classes(int most) => Joined(report.ClassCounts.Select((count, label) => (Label: label, Count: count))
        .OrderByDescending(entry => entry.Count).ThenBy(entry => entry.Label).Select(entry => Counted(entry.Label)),
        ", ", report.ClassCounts.Count, most);

    private (string Name, string Text) Line(DataFinding finding) => finding switch
    {
        DataFinding.IncompleteRows => ("empty", Incomplete()),
        DataFinding.RepeatedTexts => ("repeated", Repeated(report.Repeated)),
        DataFinding.Contradictions => ("contradictory", Contradictory(report.Repeated)),
        DataFinding.SimilarLabels => ("labels", "classes that may be one: "
            + Joined(report.SimilarLabels.Select(Similar), "; ", report.SimilarLabels.Count, MaxNamed)),
        DataFinding.RareClasses => ("rare", $"classes with fewer than {Text.Count(report.FewestExamples)} examples: "
            + Joined(report.RareClasses.Select(Counted), ", ", report.RareClasses.Count, MaxRare)),
        DataFinding.CutTexts => ("cut", $"{Examples(report.Cut)} cut at {Text.Count(report.MaxLength)} tokens "
            + "(--max-length)"),
        DataFinding.UnknownTokens => ("unknown", Unknown()),
        DataFinding.Fragmentation => ("fragmented", Fragmented()),
        DataFinding.Leakage => ("leakage", $"{Text.Count(report.Leaked)} of {Text.Count(report.Test!.Count)} examples "
            + $"of {report.Test.Source} repeat a text of these, which makes their accuracy too high"),
        _ => throw new InvalidOperationException($"There are no words for {finding}."),
    };

    private string Incomplete()
    {
        var rows = data.Incomplete;
        var parts = new[]
        {
            Part(rows.WithoutText, "text", rows.FirstWithoutText),
            Part(rows.WithoutLabel, "label", rows.FirstWithoutLabel),
        };
        return string.Join(", ", parts.Where(part => part.Length > 0))
            + ": training stops at them without --empty skip";

        static string Part(int count, string what, IReadOnlyList<string> first) => count == 0 ? ""
            : $"{Text.Count(count)} {what}{(count == 1 ? "" : "s")} ({string.Join(", ", first.Take(MaxEmpty))}"
                + $"{(count > MaxEmpty ? ", …" : "")})";
    }

    private static string Repeated(RepeatedTexts repeated)
    {
        var (earlier, later) = repeated.First!.Value;
        return $"{Text.Count(repeated.Examples)} {(repeated.Examples == 1 ? "example repeats" : "examples repeat")} an "
            + $"earlier text ({later.Origin} that of {earlier.Origin})";
    }

    private string Contradictory(RepeatedTexts repeated)
    {
        var (earlier, later) = repeated.FirstContradiction!.Value;
        return $"{Text.Count(repeated.Contradictions)} {(repeated.Contradictions == 1 ? "text has" : "texts have")} "
            + $"several labels ({earlier.Origin} {Label(earlier)}, {later.Origin} {Label(later)})";
    }

    private string Similar(SimilarLabels similar) =>
        Joined(similar.Classes.Select(Counted), ", ", similar.Classes.Count, MaxNamed) + similar.Likeness switch
        {
            LabelLikeness.WhiteSpace => " (white space)",
            LabelLikeness.LetterCase => " (letter case)",
            LabelLikeness.UnicodeForm => " (Unicode form)",
            LabelLikeness.Plural => " (plural)",
            _ => " (one letter)",
        };

    private string Unknown()
    {
        var (tokens, characters) = (report.Tokens, report.Tokens.UnknownCharacters);
        return $"{Text.Count(tokens.WithUnknown)} {(tokens.WithUnknown == 1 ? "example has" : "examples have")} "
            + $"unknown words ({Percent(tokens.UnknownShare)} of all tokens)" + (characters.Count == 0 ? ""
                : $": {Joined(characters.Select(unknown => $"'{unknown.Character}' in {Text.Count(unknown.Examples)}"),
                    ", ", characters.Count, MaxCharacters)}");
    }

    private string Fragmented() => $"{Examples(report.Tokens.Fragmented)} fragmented: half of the words are cut or "
        + $"unknown, as in another language than the model's. Of all words {Percent(report.Tokens.CutWordShare)} are"
        + (ofBase is { } share ? $"; of English film reviews, which the base model knows, {Percent(share)}" : "");

    private string Label(TextExample example) => example.Classes is { } several
        ? $"'{string.Join('|', several.Select(label => data.Labels[label]))}'" : Name(example.Label);

    private string Counted(int label) => $"{Name(label)} {Text.Count(report.ClassCounts[label])}";

    private string Name(int label) => LabelSet.Shown(data.Labels[label], LongestName);

    /// <summary>"1 example (0.1 %) is", "12 examples (0.4 %) are"</summary>
    private string Examples(int count) => $"{Text.Count(count)} {(count == 1 ? "example" : "examples")} "
        + $"({Percent((double)count / data.Count)}) {(count == 1 ? "is" : "are")}";

    private static string Percent(double share) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * share:F1} %");

    private static string Joined(IEnumerable<string> named, string between, int count, int most) =>
        string.Join(between, named.Take(most)) + (count > most ? $"{between}and {Text.Count(count - most)} more" : "");
}
