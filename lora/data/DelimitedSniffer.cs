using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Finds out how a .csv or .tsv is written where the caller does not say it. Many files know no
/// quoting, and a quote is a character in them wherever it stands; read as RFC 4180 has it, a stray
/// quote at the start of one row and one at the end of another make one row of all between them.
/// The whole file is looked at, in both readings, and what is decided is said.
/// </summary>
/// <param name="open">Opens the file, from its start.</param>
/// <param name="name">The file, for messages.</param>
/// <param name="usual">The separator that its name tells.</param>
/// <param name="options">What is given, and who is told.</param>
internal sealed class DelimitedSniffer(Func<Stream> open, string name, char usual, DatasetOptions options)
{
    private static readonly char[] Separators = [',', ';', '\t', '|'];

    /// <summary>The lines of a record that has several.</summary>
    private readonly record struct Span(int First, int Last);

    /// <summary>A reading of the whole file.</summary>
    /// <param name="Columns">Fields of its first record.</param>
    /// <param name="HasQuote">Whether there is any quote.</param>
    /// <param name="Misfit">The first record that is none in this reading, and why.</param>
    /// <param name="Spans">How many records have several lines.</param>
    /// <param name="FirstSpan">The first of them.</param>
    private sealed record Reading(int Columns, bool HasQuote, string? Misfit, int Spans, Span FirstSpan);

    /// <summary>Separator and quoting of the file.</summary>
    /// <exception cref="InputException">
    /// It can be read in two ways, and only the caller knows which is right.
    /// </exception>
    public DelimitedFormat Sniff()
    {
        var separator = options.Separator ?? SeparatorOfHeader();
        return new DelimitedFormat(separator,
            options.Quoting is { } given ? given == Quoting.Standard : IsQuoted(separator));
    }

    /// <summary>
    /// The one by which the header line has the text column; or, where the column is to be guessed
    /// and the usual one parts nothing, the one that makes most columns of the header line.
    /// </summary>
    private char SeparatorOfHeader()
    {
        if (!options.HasHeader)
        {
            return usual;
        }
        var columns = HeaderBy(usual);
        if (columns.Contains(options.TextName))
        {
            return usual;
        }
        var other = Array.Find(Separators, separator => HeaderBy(separator).Contains(options.TextName));
        if (other == 0 && columns.Length == 1 && options is { ColumnsGuessed: not null, TextColumn: null })
        {
            other = Separators.MaxBy(separator => HeaderBy(separator).Length);
            other = HeaderBy(other).Length > 1 ? other : default;
        }
        if (other == 0)
        {
            return usual;
        }
        options.Notes?.Invoke($"{name}: the fields are separated by {Spelled(other)}, as its header line shows "
            + "(option 'separator').");
        return other;
    }

    private string[] HeaderBy(char separator)
    {
        using var records = new DelimitedRecords(open(), name,
            new DelimitedFormat(separator, options.Quoting != Quoting.None), options.MaxLineBytes);
        return records.TryRead() ? records.Fields() : [];
    }

    private bool IsQuoted(char separator)
    {
        var standard = Read(new DelimitedFormat(separator, IsQuoted: true));
        if (!standard.HasQuote || standard is { Misfit: null, Spans: 0 })
        {
            return true;                                                // no row is several lines of the file
        }
        var plain = Read(new DelimitedFormat(separator, IsQuoted: false));
        if (standard.Misfit is not null)
        {
            if (plain.Misfit is null)
            {
                SayPlain(standard.Misfit);
            }
            return plain.Misfit is not null;                            // neither fits: the reader says where
        }
        var (first, last) = (standard.FirstSpan.First, standard.FirstSpan.Last);
        if (plain.Misfit is not null || standard.Columns == 1)
        {
            options.Notes?.Invoke($"{name}: {Rows(standard.Spans)} with line breaks between quotes, the first from "
                + $"line {first} to {last}. If quotes are characters in this file: option 'quoting' none.");
            return true;
        }
        if (separator == '\t')                                          // where no quoting is the custom
        {
            SayPlain($"line {first} would become one row with the lines to {last}");
            return false;
        }
        throw new InputException($"{name}, line {first}: a field that begins with a quote here ends in line {last}, "
            + $"and each of these lines has the {standard.Columns} fields of a row. Say which is right: option "
            + "'quoting' none if they are rows, and quotes are characters; option 'quoting' standard if they are one "
            + "text with line breaks.");
    }

    private void SayPlain(string why) => options.Notes?.Invoke($"{name}: quotes are read as characters: {why}. "
        + "If they are marks around fields: option 'quoting' standard.");

    private Reading Read(DelimitedFormat format)
    {
        using var records = new DelimitedRecords(open(), name, format, options.MaxLineBytes);
        var (columns, hasQuote, spans, firstSpan) = (0, false, 0, default(Span));
        string? misfit = null;
        try
        {
            while (misfit is null && records.TryRead())
            {
                columns = columns == 0 ? records.Count : columns;
                hasQuote |= records.HasQuote;
                misfit = records.Fault is { } fault ? $"in line {records.FirstLine} {fault}"
                    : records.Count != columns
                        ? $"line {records.FirstLine} would have {DelimitedReader.Fields(records.Count)} instead of "
                            + $"{columns}"
                    : null;
                if (records.LastLine > records.FirstLine && spans++ == 0)
                {
                    firstSpan = new Span(records.FirstLine, records.LastLine);
                }
            }
        }
        catch (InputException e)
        {
            // the record is longer than any; whether quotes made it so, the other reading shows
            (misfit, hasQuote) = (e.Message, true);
        }
        return new Reading(columns, hasQuote, misfit, spans, firstSpan);
    }

    private static string Rows(int count) => count == 1 ? "1 row" : $"{count:N0} rows";

    private static string Spelled(char separator) => separator == '\t' ? "tabs" : $"'{separator}'";
}
