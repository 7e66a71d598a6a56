using System.Text.Json;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Looks at a whole file for the columns that nobody named, and completes the options with what is
/// guessed: see <see cref="ColumnGuess"/> for the rule.
/// </summary>
/// <param name="open">Opens the file, from its start.</param>
/// <param name="name">Its name, for messages.</param>
/// <param name="options">What is given; who is told.</param>
/// <param name="withLabels">Whether labels are read.</param>
internal sealed class ColumnFinder(Func<Stream> open, string name, DatasetOptions options, bool withLabels)
{
    private const int MaxColumns = 1_000;

    private bool GuessesText => options.TextColumn is null;

    private bool GuessesLabel => withLabels && options.LabelColumn is null && options.LabelColumns is null;

    private bool MayGuess => options is { ColumnsGuessed: not null, HasHeader: true } && (GuessesText || GuessesLabel);

    /// <summary>The options with the columns of a .csv or .tsv.</summary>
    /// <param name="format">How it is written.</param>
    /// <exception cref="Engine.InputException">
    /// A column is called as expected nowhere, and none or several may be meant.
    /// </exception>
    public DatasetOptions InDelimited(DelimitedFormat format)
    {
        if (!MayGuess)
        {
            return options;
        }
        using var records = new DelimitedRecords(open(), name, format, options.MaxLineBytes);
        if (!records.TryRead() || records.Fault is not null)
        {
            return options;                                     // the reader says what is wrong
        }
        ColumnProfile[] columns = [.. records.Fields().Select(field => new ColumnProfile(field))];
        if (!IsMissing(columns))
        {
            return options;
        }
        var rows = 0;
        for (; records.TryRead(); rows++)
        {
            for (var i = 0; i < Math.Min(columns.Length, records.Count); i++)
            {
                columns[i].Add(records[i]);
            }
        }
        return rows == 0 ? options : Completed(columns, rows, hasHeaderLine: true);
    }

    /// <summary>The options with the properties of JSON lines.</summary>
    /// <exception cref="Engine.InputException">As above.</exception>
    public DatasetOptions InJsonLines()
    {
        if (!MayGuess)
        {
            return options;
        }
        using var stream = open();
        var lines = new LineReader(stream, name, options.MaxLineBytes);
        var columns = new OrderedDictionary<string, ColumnProfile>(StringComparer.Ordinal);
        var rows = 0;
        while (lines.TryRead(out var line) && (rows != 1 || IsMissing(columns.Values)))
        {
            line = line.Trim(" \t\r"u8);
            if (!line.IsEmpty && !TryAdd(RawExample.Decode(line, name, $"line {lines.Line}"), columns))
            {
                break;                                          // the reader says what is wrong
            }
            rows += line.IsEmpty ? 0 : 1;
        }
        return rows == 0 || !IsMissing(columns.Values) ? options
            : Completed([.. columns.Values], rows, hasHeaderLine: false);
    }

    private static bool TryAdd(string json, OrderedDictionary<string, ColumnProfile> columns)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (!columns.TryGetValue(property.Name, out var column) && columns.Count < MaxColumns)
                {
                    columns[property.Name] = column = new ColumnProfile(property.Name);
                }
                column?.Add(property.Value.ValueKind switch
                {
                    JsonValueKind.String => property.Value.GetString(),
                    JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => property.Value.GetRawText(),
                    _ => null,
                });
            }
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private bool LacksText(IEnumerable<ColumnProfile> columns) =>
        GuessesText && columns.All(column => column.Name != options.TextName);

    private bool LacksLabel(IEnumerable<ColumnProfile> columns) =>
        GuessesLabel && columns.All(column => column.Name != options.LabelName);

    private bool IsMissing(IEnumerable<ColumnProfile> columns) => LacksText(columns) || LacksLabel(columns);

    private DatasetOptions Completed(ColumnProfile[] columns, int rows, bool hasHeaderLine)
    {
        var (text, label) = (LacksText(columns), LacksLabel(columns));
        var guess = ColumnGuess.Of(name, columns, rows, options, text, label);
        if (hasHeaderLine && Array.Find(columns, column => column.Name == guess.LabelColumn) is { } taken
            && taken.Distinct.Contains(taken.Name))
        {
            throw guess.NoHeader(taken);
        }
        if (text && guess.TextColumn is null || label && guess.LabelColumn is null)
        {
            throw guess.Refusal(columns, text, label, hasHeaderLine);
        }
        options.ColumnsGuessed!(guess);
        return options with
        {
            TextColumn = guess.TextColumn ?? options.TextColumn,
            LabelColumn = guess.LabelColumn ?? options.LabelColumn,
        };
    }
}
