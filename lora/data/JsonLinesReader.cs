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
    private const int MaxNamed = 20;

    private static readonly JsonDocumentOptions StrictJson = new() { AllowDuplicateProperties = false };

    /// <summary>Reads the rows one by one.</summary>
    /// <exception cref="InputException">A line is not such an object.</exception>
    public static IEnumerable<RawExample> Read(Stream stream, string name, DatasetOptions options, bool withLabels)
    {
        var lines = new LineReader(stream, name, options.MaxLineBytes);
        while (lines.TryRead(out var line))
        {
            line = line.Trim(" \t\r"u8);
            if (!line.IsEmpty)
            {
                yield return Parse(line, name, $"line {lines.Line}", options, withLabels);
            }
        }
    }

    private static RawExample Parse(ReadOnlySpan<byte> line, string name, string origin, DatasetOptions options,
        bool withLabels)
    {
        var json = RawExample.Decode(line, name, origin);
        try
        {
            using var document = JsonDocument.Parse(json, StrictJson);
            var row = document.RootElement;
            if (row.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{name}, {origin}: a JSON object with '{options.TextName}' is expected, "
                    + $"and this is {Kind(row)}.");
            }
            var text = Property(row, options.TextName, name, origin);
            if (text.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
            {
                throw new InputException(
                    $"{name}, {origin}: '{options.TextName}' should be a string, and is {Kind(text)}.");
            }
            return new RawExample(text.GetString(), withLabels
                ? Label(Property(row, options.LabelName, name, origin), name, origin, options) : null, origin);
        }
        catch (JsonException e)
        {
            throw new InputException(
                $"{name}, {origin}: not valid JSON ({e.Message}) One object per line is expected.");
        }
        catch (InvalidOperationException)
        {
            throw new InputException($"{name}, {origin}: a string holds half of a surrogate pair (such as \\uD83D "
                + "alone), which is no text.");
        }
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
