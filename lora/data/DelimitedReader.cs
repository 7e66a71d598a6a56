using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>The examples of a .csv or .tsv: a row each.</summary>
internal static class DelimitedReader
{
    private const int MaxNamed = 20;

    /// <summary>Reads the rows one by one.</summary>
    /// <param name="open">Opens the file.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="format">How it is written.</param>
    /// <param name="options">Its columns.</param>
    /// <param name="withLabels">
    /// Whether labels are read; there must be a column of them then.
    /// </param>
    /// <exception cref="InputException">
    /// A column is missing, a row has another number of fields than the first, a quote is not
    /// closed, ….
    /// </exception>
    public static IEnumerable<RawExample> Read(Func<Stream> open, string name, DelimitedFormat format,
        DatasetOptions options, bool withLabels)
    {
        using var records = new DelimitedRecords(open(), name, format, options.MaxLineBytes);
        if (!records.TryRead())
        {
            throw new InputException($"{name}: the file is empty. "
                + (!options.HasHeader ? "A row in each line is expected."
                    : withLabels ? $"A header line with the columns '{options.TextName}' and '{options.LabelName}' is "
                        + "expected." : $"A header line with the column '{options.TextName}' is expected."));
        }
        RequireQuotes(name, records);
        var columns = records.Count;
        var header = options.HasHeader ? records.Fields() : null;
        var text = Column(name, header, columns, options.TextName, "text");
        var pair = options.TextPairColumn is { } second ? Column(name, header, columns, second, "text-pair") : -1;
        int[] flags = withLabels && options.LabelColumns is { } classes
            ? [.. classes.Select(one => Column(name, header, columns, one, "label"))] : [];
        var label = withLabels && flags.Length == 0 ? Column(name, header, columns, options.LabelName, "label") : -1;
        int[]? carried = options.Carried is { } kept
            ? [.. kept.Select(one => Column(name, header, columns, one, "text"))] : null;  // there, if not twice
        for (var isRow = header is null || records.TryRead(); isRow; isRow = records.TryRead())
        {
            RequireQuotes(name, records);
            if (records.Count != columns)
            {
                throw new InputException($"{name}, line {records.FirstLine}: {Fields(records.Count)}, but "
                    + (header is null ? $"the first line has {columns}. " : $"the header has {columns}: "
                        + $"{Names(header)}. ")
                    + (format.IsQuoted ? "Put a field that holds a separator or a quote between double quotes."
                        : "Quotes are read as characters here; option 'quoting' standard reads a separator between "
                            + "them as a part of the field."));
            }
            yield return new RawExample(records[text], label < 0 ? null : records[label], $"line {records.FirstLine}")
            {
                Line = records.FirstLine,
                TextPair = pair < 0 ? null : records[pair],
                Cells = carried is null ? null : [.. carried.Select(field => records[field])],
                Labels = !withLabels ? null
                    : flags.Length > 0 ? LabelSets.OfFlags(name, $"line {records.FirstLine}", options,
                        i => records[flags[i]])
                    : options.IsMultiLabel ? LabelSets.OfCell(records[label], options) : null,
            };
        }
    }

    /// <summary>The names of the columns; of a file without a header line their numbers.</summary>
    /// <inheritdoc cref="Read"/>
    public static IReadOnlyList<string> Columns(Func<Stream> open, string name, DelimitedFormat format,
        DatasetOptions options)
    {
        using var records = new DelimitedRecords(open(), name, format, options.MaxLineBytes);
        return !records.TryRead() ? [] : options.HasHeader ? records.Fields()
            : [.. Enumerable.Range(1, records.Count).Select(number => number.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>"1 field", "3 fields"</summary>
    public static string Fields(int count) => count == 1 ? "1 field" : $"{count} fields";

    private static void RequireQuotes(string name, DelimitedRecords records)
    {
        if (records.Fault is { } fault)
        {
            throw new InputException($"{name}, line {records.FirstLine}: {fault}. Write a quote inside a quoted field "
                + "twice; or, if quotes are characters in this file, read it with option 'quoting' none.");
        }
    }

    private static int Column(string name, string[]? header, int columns, string column, string kind)
    {
        if (header is null)
        {
            return int.TryParse(column, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number >= 1 && number <= columns ? number - 1
                : throw new InputException($"{name}: option '{kind}-column' is {Describe.Name(column)}; the file is "
                    + $"read without a header line, and its first line has {Fields(columns)}: expected a number from 1 "
                    + $"to {columns}. Is it the right option 'separator'?");
        }
        var index = Array.IndexOf(header, column);
        if (index < 0)
        {
            throw new InputException($"{name}: there is no column {Describe.Name(column)}; the header line has: "
                + $"{Names(header)}. Rename the column, or say which one it is (option '{kind}-column').");
        }
        if (Array.LastIndexOf(header, column) != index)
        {
            throw new InputException($"{name}: the header line has the column {Describe.Name(column)} twice. Rename "
                + "one of them.");
        }
        return index;
    }

    private static string Names(string[] header) =>
        string.Join(", ", header.Take(MaxNamed).Select(column => Describe.Name(column)[1..^1]))
        + (header.Length > MaxNamed ? $", … ({header.Length} columns)" : "");
}
