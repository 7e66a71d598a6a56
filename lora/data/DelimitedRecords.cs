using CsvHelper;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>How a .csv or .tsv is written.</summary>
/// <param name="Separator">Between fields.</param>
/// <param name="IsQuoted">Whether quotes are marks around a field, or characters.</param>
internal readonly record struct DelimitedFormat(char Separator, bool IsQuoted);

/// <summary>
/// The records of a .csv or .tsv, one by one. Lines end with LF, CR LF or CR; empty ones are passed
/// over. A quote inside a field that does not begin with one is a character like others.
/// </summary>
internal sealed class DelimitedRecords : IDisposable
{
    private readonly CsvReader records;
    private readonly string name;
    private readonly DelimitedFormat format;
    private readonly int maxBytes;
    private bool isDoubted;

    /// <param name="stream">Closed with this.</param>
    /// <param name="name">The file, for messages.</param>
    /// <param name="format">Separator and quoting.</param>
    /// <param name="maxBytes">The longest record.</param>
    public DelimitedRecords(Stream stream, string name, DelimitedFormat format, int maxBytes)
    {
        (this.name, this.format, this.maxBytes) = (name, format, maxBytes);
        records = CsvReader.Create(stream, new CsvReaderOptions
        {
            Separator = format.Separator,
            Mode = format.IsQuoted ? CsvMode.Rfc4180 : CsvMode.NoEscape,
            HasHeader = false,
            TrackLineNumbers = true,
            MaxRecordSize = maxBytes,
            OnMalformedRecord = _ => isDoubted = true,
        });
    }

    /// <summary>The first line of the record.</summary>
    public int FirstLine { get; private set; }

    /// <summary>Its last line: a field between quotes may have line breaks.</summary>
    public int LastLine { get; private set; }

    /// <summary>Fields of the record.</summary>
    public int Count => records.FieldCount;

    /// <summary>Whether there is a quote in the record.</summary>
    public bool HasQuote => records.RawRecord.Contains((byte)'"');

    /// <summary>What is wrong with the quotes of the record; null if nothing.</summary>
    public string? Fault { get; private set; }

    /// <summary>A field of the record.</summary>
    /// <exception cref="InputException">It is not UTF-8.</exception>
    public string this[int field] => RawExample.Decode(records.GetSpan(field), name, $"line {FirstLine}");

    /// <summary>All fields of the record.</summary>
    public string[] Fields() => [.. Enumerable.Range(0, Count).Select(field => this[field])];

    /// <summary>Goes on to the next record.</summary>
    /// <returns>Whether there is one.</returns>
    /// <exception cref="InputException">
    /// It is longer than allowed, or compressed data is damaged.
    /// </exception>
    public bool TryRead()
    {
        isDoubted = false;
        try
        {
            if (!records.Read())
            {
                return false;
            }
        }
        catch (CsvFormatException)
        {
            throw new InputException($"{name}, line {LastLine + 1}: what begins here is longer than {maxBytes:N0} "
                + "bytes, the most that is read of a row. Is this a text file with one example per line"
                + (format.IsQuoted ? ", and is each field that begins with a quote closed?" : "?"));
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InputException($"{name}, after line {LastLine}: the compressed data is damaged or cut off. Copy "
                + "or download the file again.");
        }
        FirstLine = checked((int)records.LineNumber);
        LastLine = FirstLine + LineBreaks(records.RawRecord);
        Fault = isDoubted ? FaultOf(records.RawRecord) : null;
        return true;
    }

    public void Dispose() => records.Dispose();

    /// <summary>
    /// The first field whose quotes are wrong. The package names one fault of a record at most, and
    /// that may be a quote inside a field, which is none here.
    /// </summary>
    private string? FaultOf(ReadOnlySpan<byte> record)
    {
        for (var field = 1; ; field++)
        {
            if (record.StartsWith("\""u8))
            {
                record = record[1..];
                int quote;
                while ((quote = record.IndexOf((byte)'"')) >= 0 && record[(quote + 1)..].StartsWith("\""u8))
                {
                    record = record[(quote + 2)..];
                }
                if (quote < 0)
                {
                    return $"field {field} begins with a quote and is not closed before the end of the file";
                }
                record = record[(quote + 1)..];
                if (!record.IsEmpty && record[0] != format.Separator)
                {
                    return $"field {field} begins with a quote and goes on after the closing one, where a separator "
                        + "or the end of the line is expected";
                }
            }
            var end = record.IndexOf((byte)format.Separator);
            if (end < 0)
            {
                return null;
            }
            record = record[(end + 1)..];
        }
    }

    private static int LineBreaks(ReadOnlySpan<byte> record)
    {
        var count = 0;
        for (int at; (at = record.IndexOfAny("\r\n"u8)) >= 0; count++)
        {
            record = record[(at + (record[at..].StartsWith("\r\n"u8) ? 2 : 1))..];
        }
        return count;
    }
}
