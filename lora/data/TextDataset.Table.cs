using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <content>Texts without labels: of a file, with their other columns, or line by line.</content>
public sealed partial class TextDataset
{
    /// <summary>
    /// Opens texts as <see cref="ReadTexts(string, DatasetOptions?)"/> reads them, with their other
    /// columns. All rows are read once at the beginning: what is wrong with the last one is told
    /// before there is work in the others.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="options">
    /// The columns to carry, or null for all of them, in the order of the file.
    /// </param>
    /// <exception cref="InputException">
    /// As from there; or a column is not there, or a header line has it twice.
    /// </exception>
    internal static TextTable ReadTable(string path, DatasetOptions options)
    {
        var (texts, columns) = OpenTexts(path, options, carries: true);
        using var file = Open(path);
        Span<byte> start = stackalloc byte[3];
        file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        return new TextTable(texts, texts.Count(), columns.Carried!,
            KindOf(path) == ".jsonl" ? null : columns.Separator,
            start.SequenceEqual("\uFEFF"u8) || start[..2].SequenceEqual(Encoding.Unicode.GetPreamble())
                || start[..2].SequenceEqual(Encoding.BigEndianUnicode.GetPreamble()));
    }

    /// <summary>
    /// Reads the lines of a stream as they come, such as those of standard input: a text in each,
    /// or JSON lines. Every line is a row, an empty one an empty text.
    /// </summary>
    /// <param name="stream">The lines; it is not closed.</param>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="options">The properties of JSON lines.</param>
    /// <param name="isJson">
    /// Whether they are JSON lines; if null: where a property is named, or the first line that is
    /// not blank begins with a brace.
    /// </param>
    /// <exception cref="InputException">
    /// A line is not UTF-8 or too long, or not the object that is expected; those before it have
    /// been given.
    /// </exception>
    internal static IEnumerable<TextExample> ReadLines(Stream stream, string name, DatasetOptions? options = null,
        bool? isJson = null)
    {
        options ??= new DatasetOptions();
        isJson ??= options.TextColumn is null && options.TextPairColumn is null ? null : true;
        var lines = new LineReader(stream, name, options.MaxLineBytes);
        while (lines.TryRead(out var line))
        {
            var origin = $"line {lines.Line}";
            var text = RawExample.Decode(line.TrimEnd((byte)'\r'), name, origin);
            var isBlank = string.IsNullOrWhiteSpace(text);
            isJson ??= isBlank ? null : text.TrimStart().StartsWith('{');
            yield return isJson != true || isBlank
                ? new TextExample(isJson == true ? "" : text, TextExample.NoLabel, origin)
                {
                    Line = lines.Line,
                    TextPair = options.TextPairColumn is null ? null : "",
                }
                : TextOf(name, JsonLinesReader.Parse(text.Trim(), name, origin, options, withLabels: false) with
                {
                    Line = lines.Line,
                }, options);
        }
    }

    /// <summary>The texts of a file, and the options with the columns that they are of.</summary>
    private static (IEnumerable<TextExample> Texts, DatasetOptions Columns) OpenTexts(string path,
        DatasetOptions options, bool carries)
    {
        var kind = KindOf(path);
        if (kind == ".tar")
        {
            throw new InputException($"{path}: an archive holds labelled reviews; here a .csv, .tsv or .jsonl file "
                + $"with a '{options.TextName}' column is expected.");
        }
        var (rows, columns) = ReadRows(path, kind, options, withLabels: false, carries);
        return ((columns.EmptyRows == EmptyRows.Keep ? rows
            : new IncompleteRows(path).Without(rows, columns, needsLabels: false))
            .Select(row => TextOf(path, row, columns)), columns);
    }

    private static TextExample TextOf(string name, RawExample row, DatasetOptions options) =>
        new(NotNull(name, row, options.TextName, row.Text), TextExample.NoLabel, row.Origin)
        {
            Line = row.Line,
            TextPair = options.TextPairColumn is { } second ? NotNull(name, row, second, row.TextPair) : null,
            Cells = row.Cells,
        };

    private static string NotNull(string name, RawExample row, string column, string? text) => text
        ?? throw new InputException($"{name}, {row.Origin}: '{column}' is null. A text is expected, which may be "
            + "empty (\"\").");

    /// <summary>The columns that are carried, which the file must have.</summary>
    /// <param name="path">The file.</param>
    /// <param name="chosen">Some of them; null: all.</param>
    /// <param name="all">Those of the file.</param>
    private static IReadOnlyList<string> Carried(string path, IReadOnlyList<string>? chosen, IReadOnlyList<string> all)
    {
        if ((chosen ?? []).FirstOrDefault(column => !all.Contains(column)) is { } missing)
        {
            throw new InputException($"{path}: there is no column {Engine.IO.Describe.Name(missing)} (option "
                + $"'columns'); the file has: {LabelSet.Listed(all)}.");
        }
        return chosen ?? all;
    }
}
