using System.Buffers;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Comma- or tab-separated values by RFC 4180: a header line; fields that begin with a quote end at
/// the next single quote, hold separators and line feeds as they are, and "" for one quote; a quote
/// inside a field that does not begin with one is a character like others. Lines end with LF or CR
/// LF, blank lines are skipped, and a byte order mark is allowed.
/// <para>
/// Many files know no quoting, and a quote is a character in them wherever it stands. Rows of these
/// are never read as one in silence: a quoted field of a .tsv, where that is the custom, must end
/// on its line, and for a .csv see <see cref="MergedRows"/>.
/// </para>
/// </summary>
internal static class DelimitedReader
{
    /// <summary>Reads the rows one by one.</summary>
    /// <exception cref="InputException">
    /// A column is missing, a row has another number of fields than the header, a quote is not
    /// closed, ….
    /// </exception>
    public static IEnumerable<RawExample> Read(Stream stream, string name, byte separator, DatasetOptions options,
        bool labelRequired)
    {
        var records = new RecordReader(stream, name, separator, options.MaxLineBytes);
        if (!records.TryRead(out var header))
        {
            throw new InputException($"{name}: the file is empty. A header line with the columns "
                + $"'{options.TextColumn}' and '{options.LabelColumn}' is expected.");
        }
        var text = Column(name, header, options.TextColumn, nameof(options.TextColumn));
        var label = labelRequired || header.Contains(options.LabelColumn)
            ? Column(name, header, options.LabelColumn, nameof(options.LabelColumn)) : -1;
        var merged = records.Merged = new MergedRows(name, separator, header.Count, label, options.Labels);

        while (records.TryRead(out var fields))
        {
            var origin = $"line {records.FirstLine}";
            if (fields.Count != header.Count)
            {
                throw new InputException($"{name}, {origin}: {Fields(fields.Count)}, but the header has "
                    + $"{header.Count}: {string.Join(", ", header)}. "
                    + "Put a field that holds a separator or a quote between double quotes.");
            }
            if (records.IsQuoted)
            {
                merged.EndRecord(records.FirstLine, records.LastLine, label < 0 ? null : fields[label]);
            }
            else if (label >= 0)
            {
                merged.AddLabel(fields[label]);
            }
            yield return new RawExample(fields[text], label < 0 || fields[label].Length == 0 ? null : fields[label],
                origin).Checked(name);
        }
        merged.EndFile();
    }

    private static string Fields(int count) => count == 1 ? "1 field" : $"{count} fields";

    private static int Column(string name, List<string> header, string column, string option)
    {
        var index = header.IndexOf(column);
        if (index < 0)
        {
            throw new InputException(
                $"{name}: there is no column '{column}'; the header line has: {string.Join(", ", header)}. "
                + "Rename the column, or say which one it is "
                + $"({(option == nameof(DatasetOptions.TextColumn) ? "text" : "label")} column).");
        }
        if (header.LastIndexOf(column) != index)
        {
            throw new InputException($"{name}: the header line has the column '{column}' twice. Rename one of them.");
        }
        return index;
    }

    // What to do with a .tsv that knows no quoting.
    private const string Unquoted = "If quotes are characters like others in this file, write a field that begins "
        + "with one between quotes, and each quote in it twice; pandas does so: read_csv(…, sep='\\t', quoting=3), "
        + "then to_csv(…, sep='\\t', index=False). A text with line breaks is read from a .csv or .jsonl.";

    // Splits lines into fields; a quoted field may go on over several lines.
    private sealed class RecordReader(Stream stream, string name, byte separator, int maxBytes)
    {
        private readonly LineReader lines = new(stream, name, maxBytes);
        private readonly ArrayBufferWriter<byte> quoted = new();

        public int FirstLine { get; private set; }

        public int LastLine => lines.Line;

        /// <summary>Whether the record has a quoted field.</summary>
        public bool IsQuoted { get; private set; }

        /// <summary>
        /// Is told the lines of the records with quoted fields; null for the header.
        /// </summary>
        public MergedRows? Merged { get; set; }

        public bool TryRead(out List<string> fields)
        {
            fields = [];
            ReadOnlySpan<byte> line;
            do
            {
                if (!lines.TryRead(out line))
                {
                    return false;
                }
            }
            while (line.TrimEnd((byte)'\r').IsEmpty);

            (FirstLine, IsQuoted) = (lines.Line, false);
            var whole = line;
            while (true)
            {
                if (!line.IsEmpty && line[0] == '"')
                {
                    IsQuoted = true;
                    line = ReadQuoted(line[1..], fields, ref whole);
                }
                else
                {
                    var end = line.IndexOf(separator);
                    fields.Add(Decode(end < 0 ? WithoutReturn(line) : line[..end]));
                    line = end < 0 ? [] : line[end..];
                }
                if (line.IsEmpty)
                {
                    if (IsQuoted)
                    {
                        Merged?.AddLine(whole);
                    }
                    return true;
                }
                line = line[1..];                                       // the separator
            }
        }

        // Reads from behind the opening quote; returns what follows the closing one: a separator and the rest of the
        // line, or nothing. The whole line goes on to the one that it ends in.
        private ReadOnlySpan<byte> ReadQuoted(
            ReadOnlySpan<byte> line, List<string> fields, scoped ref ReadOnlySpan<byte> whole)
        {
            var opened = lines.Line;
            quoted.ResetWrittenCount();
            while (true)
            {
                var quote = line.IndexOf((byte)'"');
                if (quoted.WrittenCount + line.Length > maxBytes)
                {
                    throw new InputException($"{name}, line {opened}: a quoted field is longer than {maxBytes:N0} "
                        + "bytes, the most that is read. Is its closing quote missing?");
                }
                quoted.Write(quote < 0 ? line : line[..quote]);
                if (quote < 0)
                {
                    if (separator == '\t')
                    {
                        throw new InputException($"{name}, line {opened}: the field that begins with a quote here is "
                            + $"not closed on its line. {Unquoted}");
                    }
                    Merged?.AddLine(whole);
                    if (!lines.TryRead(out line))
                    {
                        throw new InputException($"{name}, line {opened}: the field that begins with a quote here is "
                            + "not closed before the end of the file. "
                            + "Close it, or write a quote inside a quoted field twice.");
                    }
                    whole = line;
                    quoted.Write("\n"u8);
                    continue;
                }
                line = line[(quote + 1)..];
                if (!line.IsEmpty && line[0] == '"')
                {
                    quoted.Write("\""u8);
                    line = line[1..];
                    continue;
                }
                line = WithoutReturn(line);
                if (!line.IsEmpty && line[0] != separator)
                {
                    throw new InputException($"{name}, line {lines.Line}: '{(char)line[0]}' follows the closing "
                        + $"quote of field {fields.Count + 1}, where a separator "
                        + "or the end of the line is expected. "
                        + (separator == '\t' ? Unquoted : "Write a quote inside a quoted field twice."));
                }
                fields.Add(Decode(quoted.WrittenSpan));
                return line;
            }
        }

        private static ReadOnlySpan<byte> WithoutReturn(ReadOnlySpan<byte> line) =>
            line.EndsWith("\r"u8) ? line[..^1] : line;

        private string Decode(ReadOnlySpan<byte> bytes) => RawExample.Decode(bytes, name, $"line {lines.Line}");
    }
}
