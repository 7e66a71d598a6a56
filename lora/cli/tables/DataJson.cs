using System.Text.Json;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli.Tables;

/// <summary>The report of 'lora data', for programs.</summary>
internal static class DataJson
{
    /// <summary>One object.</summary>
    /// <param name="report">What was found.</param>
    /// <param name="guess">The columns that were guessed; null: none was.</param>
    /// <param name="options">The columns.</param>
    /// <param name="ofBase">
    /// Share of the words that the base's tokenizer cuts in its own kind of text; null: not known.
    /// </param>
    public static string Of(DataReport report, ColumnGuess? guess, DatasetOptions options, double? ofBase)
    {
        var (data, tokens, repeated) = (report.Data, report.Tokens, report.Repeated);
        string Name(int label) => data.Labels[label];
        return JsonSerializer.Serialize(new OrderedDictionary<string, object?>
        {
            ["source"] = data.Source,
            ["rows"] = report.Rows,
            ["examples"] = data.Count,
            ["text_column"] = options.TextName,
            ["label_column"] = options.LabelColumns is null ? options.LabelName : null,
            ["guessed"] = ((string?[])[guess?.TextColumn, guess?.LabelColumn]).Where(column => column is not null),
            ["classes"] = report.ClassCounts.Select((count, label) => KeyValuePair.Create(Name(label), count))
                .ToDictionary(),
            ["without_text"] = new { rows = data.Incomplete.WithoutText, first = data.Incomplete.FirstWithoutText },
            ["without_label"] = new { rows = data.Incomplete.WithoutLabel, first = data.Incomplete.FirstWithoutLabel },
            ["repeated_texts"] = new { examples = repeated.Examples, first = Two(repeated.First) },
            ["contradictory_texts"] = new { texts = repeated.Contradictions, first = Two(repeated.FirstContradiction) },
            ["similar_classes"] = report.SimilarLabels.Select(similar =>
                new { classes = similar.Classes.Select(Name), likeness = Word(similar.Likeness) }),
            ["rare_classes"] = new { fewer_than = report.FewestExamples, classes = report.RareClasses.Select(Name) },
            ["tokens"] = new
            {
                median = tokens.Length(0.5),
                p95 = tokens.Length(0.95),
                longest = tokens.Longest,
                max_length = report.MaxLength,
                cut_examples = report.Cut,
            },
            ["unknown_tokens"] = new
            {
                share = tokens.UnknownShare,
                examples = tokens.WithUnknown,
                characters = tokens.UnknownCharacters.ToDictionary(unknown => unknown.Character.ToString(),
                    unknown => unknown.Examples),
            },
            ["fragmentation"] = new
            {
                examples = tokens.Fragmented,
                cut_word_share = tokens.CutWordShare,
                cut_word_share_of_base = ofBase,
            },
            ["leaked_test_examples"] = report.Test is null ? null : report.Leaked,
            ["findings"] = report.Findings.Select(Word),
        }, JsonOutput.Options);
    }

    private static string[] Two((TextExample Earlier, TextExample Later)? two) =>
        two is var (earlier, later) ? [earlier.Origin, later.Origin] : [];

    /// <summary>"RareClasses" is rare_classes.</summary>
    private static string Word<T>(T value) where T : struct, Enum =>
        JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
