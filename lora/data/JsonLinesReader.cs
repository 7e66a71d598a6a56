using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// JSON lines: one object per line with the text and, where it is known, the label (a string or a
/// whole number). Blank lines are skipped.
/// </summary>
internal static class JsonLinesReader
{
    private static readonly JsonDocumentOptions StrictJson = new() { AllowDuplicateProperties = false };

    /// <summary>Reads the rows one by one.</summary>
    /// <exception cref="InputException">A line is not such an object.</exception>
    public static IEnumerable<RawExample> Read(Stream stream, string name, DatasetOptions options, bool labelRequired)
    {
        var lines = new LineReader(stream, name, options.MaxLineBytes);
        while (lines.TryRead(out var line))
        {
            line = line.Trim(" \t\r"u8);
            if (!line.IsEmpty)
            {
                yield return Parse(line, name, $"line {lines.Line}", options, labelRequired);
            }
        }
    }

    private static RawExample Parse(ReadOnlySpan<byte> line, string name, string origin, DatasetOptions options,
        bool labelRequired)
    {
        var json = RawExample.Decode(line, name, origin);
        try
        {
            using var document = JsonDocument.Parse(json, StrictJson);
            var row = document.RootElement;
            if (row.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{name}, {origin}: a JSON object with '{options.TextColumn}' is expected, "
                    + $"and this is {Kind(row)}.");
            }
            if (Property(row, options.TextColumn) is not { } text)
            {
                throw new InputException(
                    $"{name}, {origin}: there is no property '{options.TextColumn}'; the object has: {Names(row)}.");
            }
            if (text.ValueKind != JsonValueKind.String)
            {
                throw new InputException(
                    $"{name}, {origin}: '{options.TextColumn}' should be a string, and is {Kind(text)}.");
            }

            var label = Property(row, options.LabelColumn);
            if (label is null && labelRequired)
            {
                throw new InputException(
                    $"{name}, {origin}: there is no property '{options.LabelColumn}'; the object has: {Names(row)}.");
            }
            return new RawExample(text.GetString()!, label is { } value ? Label(value, name, origin, options) : null,
                origin).Checked(name);
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

    private static string Label(JsonElement value, string name, string origin, DatasetOptions options) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number when value.TryGetInt64(out var index) =>
                index.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => throw new InputException($"{name}, {origin}: '{options.LabelColumn}' should be the name or the index "
                + $"of a class, and is {Kind(value)}."),
        };

    // A property that is null counts as absent.
    private static JsonElement? Property(JsonElement row, string property) =>
        row.TryGetProperty(property, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string Names(JsonElement row) =>
        string.Join(", ", row.EnumerateObject().Select(p => p.Name)) is { Length: > 0 } names ? names : "nothing";

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => $"the number {value.GetRawText()}",
        _ => value.GetRawText(),
    };
}
