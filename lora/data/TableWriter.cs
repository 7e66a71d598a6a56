using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using CsvHelper;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Writes a table row by row, in UTF-8: as .csv (RFC 4180: lines end with CR LF, a field that holds
/// a separator, a quote or a line break stands between quotes, a quote in it twice), as .tsv (the
/// same with tabs, and lines that end with LF), or as .jsonl (an object in each line). A cell is a
/// string, a bool, a whole number, a double, null, a list of strings (an array; in a field, with
/// <see cref="LabelSets.Separator"/> between them), or a value of JSON, which stays as it was
/// written.
/// </summary>
internal sealed class TableWriter : IDisposable
{
    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Stream stream;
    private readonly IReadOnlyList<string> columns;
    private readonly Utf8JsonWriter? objects;
    private readonly CsvWriter? fields;

    /// <summary>Begins a table; of fields, with the line of their names.</summary>
    /// <param name="stream">Where to; not closed.</param>
    /// <param name="path">Its name tells how it is written.</param>
    /// <param name="columns">Their names, which differ.</param>
    /// <param name="separator">Between the fields of a .csv; a comma if null.</param>
    /// <param name="hasByteOrderMark">
    /// Whether a .csv or .tsv begins with one, by which some spreadsheets know UTF-8.
    /// </param>
    /// <exception cref="InputException">
    /// The kind of the file is not known by its name, or two columns have one name.
    /// </exception>
    public TableWriter(Stream stream, string path, IReadOnlyList<string> columns, char? separator = null,
        bool hasByteOrderMark = false)
    {
        (this.stream, this.columns) = (stream, columns);
        if (columns.GroupBy(column => column).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InputException($"{path}: two columns would be called {Describe.Name(twice.Key)}. Rename one.");
        }
        var kind = KindOf(path);
        if (kind == ".jsonl")
        {
            objects = new Utf8JsonWriter(stream, Json);
            return;
        }
        fields = CsvWriter.Create(stream, new CsvWriterOptions
        {
            Separator = kind == ".tsv" ? '\t' : separator ?? ',',
            NewLine = kind == ".tsv" ? "\n" : "\r\n",
            WriteByteOrderMark = hasByteOrderMark,
        }, leaveOpen: true);
        fields.WriteRecord([.. columns]);
    }

    /// <summary>Writes a file whole or not at all, while the rows come.</summary>
    /// <param name="path">As for the constructor; its folder must exist.</param>
    /// <param name="columns">As there.</param>
    /// <param name="rows">A cell for each column; if they throw, nothing has changed.</param>
    /// <param name="separator">As there.</param>
    /// <param name="hasByteOrderMark">As there.</param>
    /// <exception cref="InputException">As there, or the file cannot be written.</exception>
    public static void WriteFile(string path, IReadOnlyList<string> columns,
        IEnumerable<IReadOnlyList<object?>> rows, char? separator = null, bool hasByteOrderMark = false) =>
        AtomicFile.Write(path, stream =>
        {
            using var table = new TableWriter(stream, path, columns, separator, hasByteOrderMark);
            foreach (var row in rows)
            {
                table.Write(row);
            }
        });

    /// <summary>Refuses a file whose name does not tell how a table is written.</summary>
    /// <returns>".csv", ".tsv" or ".jsonl"</returns>
    /// <exception cref="InputException">It ends otherwise.</exception>
    public static string KindOf(string path) => Path.GetExtension(path).ToLowerInvariant() is var kind
        && kind is ".csv" or ".tsv" or ".jsonl" ? kind
        : throw new InputException($"{path}: the kind of this table is not known by its name. Expected is .csv, .tsv "
            + "or .jsonl.");

    /// <summary>Writes a row.</summary>
    /// <param name="cells">
    /// One for each column. A JSON value that is undefined is left out of an object.
    /// </param>
    /// <exception cref="ArgumentException">There are more or less, or of another kind.</exception>
    public void Write(IReadOnlyList<object?> cells)
    {
        if (cells.Count != columns.Count)
        {
            throw new ArgumentException($"{cells.Count} cells for {columns.Count} columns.", nameof(cells));
        }
        fields?.WriteRecord([.. cells.Select(Field)]);
        if (objects is not null)
        {
            WriteObject(objects, cells);
        }
    }

    /// <summary>Writes what is left of a table of fields; the stream stays open.</summary>
    public void Dispose()
    {
        fields?.Dispose();
        objects?.Dispose();
    }

    private static string Field(object? cell) => cell switch
    {
        null => "",
        string text => text,
        bool flag => flag ? "true" : "false",
        int or long or double => ((IFormattable)cell).ToString(null, CultureInfo.InvariantCulture),
        IReadOnlyList<string> list => string.Join(LabelSets.Separator, list),
        JsonElement { ValueKind: JsonValueKind.Undefined or JsonValueKind.Null } => "",
        JsonElement { ValueKind: JsonValueKind.String } value => value.GetString()!,
        JsonElement value => value.GetRawText(),
        _ => throw Unknown(cell),
    };

    private void WriteObject(Utf8JsonWriter json, IReadOnlyList<object?> cells)
    {
        json.Reset();
        json.WriteStartObject();
        for (var i = 0; i < cells.Count; i++)
        {
            if (cells[i] is JsonElement { ValueKind: JsonValueKind.Undefined })
            {
                continue;
            }
            json.WritePropertyName(columns[i]);
            WriteValue(json, cells[i]);
        }
        json.WriteEndObject();
        json.Flush();
        stream.Write("\n"u8);
    }

    private static void WriteValue(Utf8JsonWriter json, object? cell)
    {
        switch (cell)
        {
            case null: json.WriteNullValue(); break;
            case string text: json.WriteStringValue(text); break;
            case bool flag: json.WriteBooleanValue(flag); break;
            case int or long: json.WriteNumberValue(Convert.ToInt64(cell, CultureInfo.InvariantCulture)); break;
            case double number: json.WriteNumberValue(number); break;
            case IReadOnlyList<string> list: JsonSerializer.Serialize(json, list); break;
            case JsonElement value: json.WriteRawValue(value.GetRawText()); break;
            default: throw Unknown(cell);
        }
    }

    private static ArgumentException Unknown(object cell) => new($"A cell cannot be a {cell.GetType().Name}.");
}
