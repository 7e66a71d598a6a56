using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// JSON lines: one object per line with the text and, where it is wanted, the label (a string, a
/// number, true or false). Blank lines are skipped.
/// </summary>
internal static class JsonLinesReader
{
    private const int MaxNamed = 20, MaxColumns = 1_000;

    private static readonly JsonDocumentOptions StrictJson = new() { AllowDuplicateProperties = false };

    /// <summary>Reads the rows one by one.</summary>
    /// <exception cref="InputException">A line is not such an object.</exception>
    public static IEnumerable<RawExample> Read(Stream stream, string name, DatasetOptions options, bool withLabels) =>
        Lines(stream, name, options)
            .Select(line => Parse(line.Json, name, line.Origin, options, withLabels) with { Line = line.Number });

    /// <summary>The properties of all objects, in the order in which they first come.</summary>
    /// <param name="stream">The lines; not closed.</param>
    /// <param name="name">The file, for messages.</param>
    /// <param name="options">How long a line may be.</param>
    /// <exception cref="InputException">
    /// A line is no object, or there are too many for the columns of a table.
    /// </exception>
    public static IReadOnlyList<string> Columns(Stream stream, string name, DatasetOptions options)
    {
        var all = new OrderedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (json, origin, _) in Lines(stream, name, options))
        {
            foreach (var property in Parse(json, name, origin, options, row =>
                row.EnumerateObject().Select(property => property.Name).ToArray()))
            {
                all.TryAdd(property, origin);
            }
            if (all.Count > MaxColumns)
            {
                throw new InputException($"{name}, {origin}: up to here the objects have more than {MaxColumns:N0} "
                    + "properties: too many columns for a table.");
            }
        }
        return [.. all.Keys];
    }

    private static IEnumerable<(string Json, string Origin, int Number)> Lines(Stream stream, string name,
        DatasetOptions options)
    {
        var lines = new LineReader(stream, name, options.MaxLineBytes);
        while (lines.TryRead(out var line))
        {
            line = line.Trim(" \t\r"u8);
            if (!line.IsEmpty)
            {
                var origin = $"line {lines.Line}";
                yield return (RawExample.Decode(line, name, origin), origin, lines.Line);
            }
        }
    }

    /// <summary>Reads one row.</summary>
    /// <param name="json">The object.</param>
    /// <param name="name">The file, for messages.</param>
    /// <param name="origin">Where in it the row stands.</param>
    /// <param name="options">Its properties.</param>
    /// <param name="withLabels">Whether labels are read.</param>
    /// <exception cref="InputException">It is not such an object.</exception>
    public static RawExample Parse(string json, string name, string origin, DatasetOptions options, bool withLabels) =>
        Parse(json, name, origin, options, row => Example(row, name, origin, options, withLabels) with
        {
            Cells = options.Carried is { } columns ? [.. columns.Select(column => Cell(row, column))] : null,
        });

    private static T Parse<T>(string json, string name, string origin, DatasetOptions options,
        Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(json, StrictJson);
            var row = document.RootElement;
            if (row.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{name}, {origin}: a JSON object with '{options.TextName}' is expected, "
                    + $"and this is {Kind(row)}.");
            }
            return read(row);
        }
        catch (JsonException e)
        {
            throw new InputException(
                $"{name}, {origin}: not valid JSON ({JsonFile.Reason(e)}) One object per line is expected.");
        }
        catch (InvalidOperationException)
        {
            throw new InputException($"{name}, {origin}: a string holds half of a surrogate pair (such as \\uD83D "
                + "alone), which is no text.");
        }
    }

    private static RawExample Example(JsonElement row, string name, string origin, DatasetOptions options,
        bool withLabels)
    {
        var text = Text(row, options.TextName, name, origin);
        if (withLabels && options.LabelColumns is { } classes)
        {
            return new RawExample(text, null, origin)
            {
                TextPair = options.TextPairColumn is { } pair ? Text(row, pair, name, origin) : null,
                Labels = LabelSets.OfFlags(name, origin, options,
                    i => Property(row, classes[i], name, origin).ToString()),
            };
        }
        var written = withLabels ? Property(row, options.LabelName, name, origin) : default;
        var label = withLabels && written.ValueKind != JsonValueKind.Array
            ? Label(written, name, origin, options) : null;
        return new RawExample(text, label, origin)
        {
            Labels = withLabels ? Labels(written, label, name, origin, options) : null,
            TextPair = options.TextPairColumn is { } second ? Text(row, second, name, origin) : null,
        };
    }

    /// <summary>
    /// A value that outlives its line; undefined where the row has no such property.
    /// </summary>
    private static object? Cell(JsonElement row, string column)
    {
        if (!row.TryGetProperty(column, out var value))
        {
            return default(JsonElement);
        }
        if (value.ValueKind == JsonValueKind.String)
        {
            _ = value.GetString();                              // half of a surrogate pair is refused here
        }
        return value.Clone();
    }

    private static string? Text(JsonElement row, string property, string name, string origin) =>
        Property(row, property, name, origin) is { ValueKind: JsonValueKind.String or JsonValueKind.Null } text
            ? text.GetString()
            : throw new InputException($"{name}, {origin}: '{property}' should be a string, and is "
                + $"{Kind(row.GetProperty(property))}.");

    /// <summary>The classes that hold, where any number may.</summary>
    private static IReadOnlyList<string>? Labels(JsonElement value, string? label, string name, string origin,
        DatasetOptions options)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return options.IsMultiLabel && label is not null ? LabelSets.OfCell(label, options) : null;
        }
        if (!options.IsMultiLabel)
        {
            throw new InputException($"{name}, {origin}: '{options.LabelName}' is an array: several classes of one "
                + "text. Give option 'multi-label', or the name of one class.");
        }
        return [.. value.EnumerateArray().Select(entry => Label(entry, name, origin, options)
            ?? throw new InputException($"{name}, {origin}: '{options.LabelName}' has null in it; names of classes "
                + "are expected.")).Distinct()];
    }

    private static string? Label(JsonElement value, string name, string origin, DatasetOptions options) =>
        value.ValueKind switch
        {
            JsonValueKind.Null => null,
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => throw new InputException($"{name}, {origin}: '{options.LabelName}' should be the name or the index "
                + $"of a class, and is {Kind(value)}."),
        };

    private static JsonElement Property(JsonElement row, string property, string name, string origin) =>
        row.TryGetProperty(property, out var value) ? value
            : throw new InputException(
                $"{name}, {origin}: there is no property '{property}'; the object has: {Names(row)}.");

    private static string Names(JsonElement row)
    {
        var names = row.EnumerateObject().Take(MaxNamed).Select(p => Describe.Name(p.Name)[1..^1]);
        return row.GetPropertyCount() switch
        {
            0 => "nothing",
            <= MaxNamed => string.Join(", ", names),
            var count => $"{string.Join(", ", names)}, … ({count} properties)",
        };
    }

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => $"the number {Describe.Name(value.GetRawText())[1..^1]}",
        _ => value.GetRawText(),
    };
}
