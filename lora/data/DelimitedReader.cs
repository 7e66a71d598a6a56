using System.Buffers;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Comma- or tab-separated values by RFC 4180: a header line; fields that begin with a quote end at the next single quote, hold separators and line
/// feeds as they are, and "" for one quote; a quote inside a field that does not begin with one is a character like others. Lines end with LF or CR LF,
/// blank lines are skipped, and a byte order mark is allowed.
/// </summary>
internal static class DelimitedReader
{
    /// <summary>Reads the rows one by one.</summary>
    /// <exception cref="InputException">A column is missing, a row has another number of fields than the header, a quote is not closed, ….</exception>
    public static IEnumerable<RawExample> Read(Stream stream, string name, byte separator, DatasetOptions options, bool labelRequired)
    {
        var records = new RecordReader(stream, name, separator, options.MaxLineBytes);
        if (!records.TryRead(out var header))
            throw new InputException($"{name}: the file is empty. A header line with the columns '{options.TextColumn}' and '{options.LabelColumn}' is expected.");
        var text = Column(name, header, options.TextColumn, nameof(options.TextColumn));
        var label = labelRequired || header.Contains(options.LabelColumn) ? Column(name, header, options.LabelColumn, nameof(options.LabelColumn)) : -1;

        while (records.TryRead(out var fields))
        {
            var origin = $"line {records.FirstLine}";
            if (fields.Count != header.Count)
                throw new InputException($"{name}, {origin}: {Fields(fields.Count)}, but the header has {header.Count}: {string.Join(", ", header)}. "
                    + "Put a field that holds a separator or a quote between double quotes.");
            yield return new RawExample(fields[text], label < 0 || fields[label].Length == 0 ? null : fields[label], origin).Checked(name);
        }
    }

    private static string Fields(int count) => count == 1 ? "1 field" : $"{count} fields";

    private static int Column(string name, List<string> header, string column, string option)
    {
        var index = header.IndexOf(column);
        if (index < 0)
            throw new InputException($"{name}: there is no column '{column}'; the header line has: {string.Join(", ", header)}. "
                + $"Rename the column, or say which one it is ({(option == nameof(DatasetOptions.TextColumn) ? "text" : "label")} column).");
        if (header.LastIndexOf(column) != index)
            throw new InputException($"{name}: the header line has the column '{column}' twice. Rename one of them.");
        return index;
    }

    // Splits lines into fields; a quoted field may go on over several lines.
    private sealed class RecordReader(Stream stream, string name, byte separator, int maxBytes)
    {
        private readonly LineReader lines = new(stream, name, maxBytes);
        private readonly ArrayBufferWriter<byte> quoted = new();

        public int FirstLine { get; private set; }

        public bool TryRead(out List<string> fields)
        {
            fields = [];
            ReadOnlySpan<byte> line;
            do
                if (!lines.TryRead(out line))
                    return false;
            while (line.TrimEnd((byte)'\r').IsEmpty);

            FirstLine = lines.Line;
            while (true)
            {
                if (!line.IsEmpty && line[0] == '"')
                    line = ReadQuoted(line[1..], fields);
                else
                {
                    var end = line.IndexOf(separator);
                    fields.Add(Decode(end < 0 ? WithoutReturn(line) : line[..end]));
                    line = end < 0 ? [] : line[end..];
                }
                if (line.IsEmpty)
                    return true;
                line = line[1..];                                       // the separator
            }
        }

        // Reads from behind the opening quote; returns what follows the closing one: a separator and the rest of the line, or nothing.
        private ReadOnlySpan<byte> ReadQuoted(ReadOnlySpan<byte> line, List<string> fields)
        {
            var opened = lines.Line;
            quoted.ResetWrittenCount();
            while (true)
            {
                var quote = line.IndexOf((byte)'"');
                if (quoted.WrittenCount + line.Length > maxBytes)
                    throw new InputException($"{name}, line {opened}: a quoted field is longer than {maxBytes:N0} bytes, the most that is read. Is its closing quote missing?");
                quoted.Write(quote < 0 ? line : line[..quote]);
                if (quote < 0)
                {
                    if (!lines.TryRead(out line))
                        throw new InputException($"{name}, line {opened}: the field that begins with a quote here is not closed before the end of the file. "
                            + "Close it, or write a quote inside a quoted field twice.");
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
                    throw new InputException($"{name}, line {lines.Line}: '{(char)line[0]}' follows the closing quote of field {fields.Count + 1}, where a separator "
                        + "or the end of the line is expected. Write a quote inside a quoted field twice.");
                fields.Add(Decode(quoted.WrittenSpan));
                return line;
            }
        }

        private static ReadOnlySpan<byte> WithoutReturn(ReadOnlySpan<byte> line) => line.EndsWith("\r"u8) ? line[..^1] : line;

        private string Decode(ReadOnlySpan<byte> bytes) => RawExample.Decode(bytes, name, $"line {lines.Line}");
    }
}
