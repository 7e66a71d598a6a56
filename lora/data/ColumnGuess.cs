using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Which columns of a file are taken for the text and the label where nobody names them and none is
/// called so. The rule looks at all values and at no names but the standard ones:
/// <list type="bullet">
/// <item>A column that is called text (label) in other letter case is that one.</item>
/// <item>Labels: few distinct values, at least two, each in two rows or more on average; where
/// there are more than twenty, each in ten, and then neither numbers nor codes; short ones, of
/// fifty characters at most on average; neither dates nor amounts; in at least half of the
/// rows.</item>
/// <item>Texts: three words or more in most rows; no dates or numbers, and no labels where these
/// are to be guessed too; in at least half of the rows. Of several such columns the longest one,
/// where the others are at most half as long and have fewer than eight words on average: subjects
/// beside messages.</item>
/// </list>
/// Where no column is meant, or several may be, nothing is taken. Pairs are never guessed: two
/// columns of texts may be a question and its answer, or a message and the reply to it.
/// </summary>
/// <param name="Source">The file.</param>
/// <param name="TextCandidates">
/// Columns that may be the text, the likeliest first; empty where it was not looked for.
/// </param>
/// <param name="LabelCandidates">As for the text.</param>
internal sealed record ColumnGuess(string Source, IReadOnlyList<ColumnProfile> TextCandidates,
    IReadOnlyList<ColumnProfile> LabelCandidates)
{
    private const int FewValues = 20, LongestLabel = 50, WordsOfMessage = 8, MaxNamed = 20, ValuesNamed = 3;

    /// <summary>The column that is taken for the text; null: none.</summary>
    public string? TextColumn { get; private init; }

    /// <summary>The column that is taken for the label; null: none.</summary>
    public string? LabelColumn { get; private init; }

    /// <summary>Guesses what is wanted.</summary>
    /// <param name="source">The file.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="options">What is given is not guessed, nor taken for anything else.</param>
    /// <param name="wantsText">Whether the text column is looked for.</param>
    /// <param name="wantsLabel">Whether the label column is.</param>
    public static ColumnGuess Of(string source, IReadOnlyList<ColumnProfile> columns, int rows, DatasetOptions options,
        bool wantsText, bool wantsLabel)
    {
        string?[] taken =
        [
            wantsText ? null : options.TextName, wantsLabel ? null : options.LabelName, options.TextPairColumn,
            .. options.LabelColumns ?? [],
        ];
        var free = columns.Where(column => !taken.Contains(column.Name) && 2 * column.Filled >= rows).ToArray();
        var labels = free.Where(column => MayBeLabel(column, rows)).ToArray();
        var texts = (wantsLabel ? free.Except(labels) : free).Where(column => column.HasTexts)
            .OrderByDescending(column => column.MeanLength).ToArray();
        var text = wantsText ? Called(free, "text") ?? Longest(texts) : null;
        var others = labels.Where(column => column != text).ToArray();
        var label = wantsLabel ? Called(free, "label") ?? (others is [var only] ? only : null) : null;
        return new ColumnGuess(source, wantsText ? texts : [], wantsLabel ? others : [])
        {
            TextColumn = text?.Name,
            LabelColumn = label?.Name,
        };
    }

    /// <summary>Why nothing, or not everything, was taken.</summary>
    /// <param name="columns">All columns of the file.</param>
    /// <param name="wantsText">Whether the text column was looked for.</param>
    /// <param name="wantsLabel">Whether the label column was.</param>
    /// <param name="hasHeaderLine">Of JSON lines false: their properties are the columns.</param>
    public InputException Refusal(IReadOnlyList<ColumnProfile> columns, bool wantsText, bool wantsLabel,
        bool hasHeaderLine)
    {
        var needsText = wantsText && TextColumn is null;
        var needsLabel = wantsLabel && LabelColumn is null;
        string[] missing = [.. needsText ? (string[])["text"] : [], .. needsLabel ? (string[])["label"] : []];
        var names = string.Join(", ", columns.Take(MaxNamed).Select(column => Describe.Name(column.Name)[1..^1]))
            + (columns.Count > MaxNamed ? $", … ({columns.Count} columns)" : "");
        return new InputException($"{Source}: there is no column "
            + $"{string.Join(" and none ", missing.Select(Describe.Name))}; "
            + $"{(hasHeaderLine ? "the header line has" : "the objects have")}: {names}."
            + (needsText ? Candidates(TextCandidates, "the text", "has texts of at least three words in most rows",
                column => $"{column.MeanWords:F0} words on average") : "")
            + (needsLabel ? Candidates(LabelCandidates, "the label", "has few values that come again and again",
                column => $"{column.Distinct.Count} values: {string.Join(", ", column.Distinct
                    .Order(StringComparer.Ordinal).Take(ValuesNamed).Select(value => Describe.Name(value)[1..^1]))}"
                    + (column.Distinct.Count > ValuesNamed ? ", …" : "")) : "")
            + $" Name the column: {string.Join(", ", missing.Select(kind => $"option '{kind}-column'"))}.");
    }

    /// <summary>Why the first line is taken for a row.</summary>
    /// <param name="label">The column that shows it.</param>
    public InputException NoHeader(ColumnProfile label) => new($"{Source}: the first line seems to be a row and no "
        + $"header line, for its {Describe.Name(label.Name)} is a value of other rows too. If it is a row, say so "
        + "(option 'no-header'); else name the columns: option 'text-column', option 'label-column'.");

    private static string Candidates(IReadOnlyList<ColumnProfile> columns, string what, string expected,
        Func<ColumnProfile, string> describe) => columns.Count == 0 ? $" None of them {expected}, to be {what}."
            : $" Several may be {what}: {string.Join("; ", columns.Take(MaxNamed).Select(column =>
                $"{Describe.Name(column.Name)} ({describe(column)})"))}.";

    private static ColumnProfile? Called(ColumnProfile[] columns, string name) =>
        columns.Where(column => string.Equals(column.Name.Trim(), name, StringComparison.OrdinalIgnoreCase)).ToArray()
            is [var only] ? only : null;

    private static ColumnProfile? Longest(ColumnProfile[] texts) => texts is [var first, .. var others]
        && Array.TrueForAll(others, other => 2 * other.MeanLength <= first.MeanLength
            && other.MeanWords < WordsOfMessage) ? first : null;

    private static bool MayBeLabel(ColumnProfile column, int rows)
    {
        var values = column.Distinct.Count;
        var most = values <= FewValues ? rows / 2 : Math.Min(rows / 10, ColumnProfile.MaxDistinct);
        return values >= 2 && values <= most
            && (values <= FewValues || !column.HasCodes) && !column.HasFigures && column.MeanLength <= LongestLabel;
    }
}
