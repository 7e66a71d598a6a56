using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// The rows of a file that lack their text or their label: all of them are named at once, so that a
/// file is mended in one go.
/// </summary>
/// <param name="name">The file, for messages.</param>
/// <param name="options">The columns, and what becomes of rows without a text.</param>
internal sealed class IncompleteRows(string name, DatasetOptions options)
{
    private const int MaxNamed = 20;

    private readonly List<string> refused = [], skipped = [];
    private int refusals, skips;

    /// <summary>Passes on the rows that are complete.</summary>
    /// <param name="rows">The rows of the file.</param>
    /// <param name="needsLabels">Whether a row without a label is incomplete.</param>
    /// <exception cref="InputException">
    /// At the end: some were not; the message names the first twenty.
    /// </exception>
    public IEnumerable<RawExample> Without(IEnumerable<RawExample> rows, bool needsLabels)
    {
        foreach (var row in rows)
        {
            if (RawExample.Fault(row.Text) is { } text)
            {
                AddText(row, options.TextName, text);
            }
            else if (options.TextPairColumn is { } column && RawExample.Fault(row.TextPair) is { } second)
            {
                AddText(row, column, second);
            }
            else if (needsLabels && row.Labels is null && RawExample.Fault(row.Label) is { } label)
            {
                Add(refused, ref refusals, $"{row.Origin}: '{options.LabelName}' is {label}");
            }
            else
            {
                yield return row;
            }
        }
        if (refusals > 0)
        {
            throw Refused();
        }
        if (skips > 0)
        {
            options.Notes?.Invoke($"{name}: {Rows(skips)} without a text left out: {Listed(skipped, skips, ", ")}");
        }
    }

    private void AddText(RawExample row, string column, string fault)
    {
        if (options.EmptyTexts == EmptyTexts.Skip)
        {
            Add(skipped, ref skips, row.Origin);
        }
        else
        {
            Add(refused, ref refusals, $"{row.Origin}: '{column}' is {fault}");
        }
    }

    private InputException Refused() => new($"{name}, {Listed(refused, refusals, "; ")}. "
        + (refusals == 1 ? "Complete or remove the row" : $"Complete or remove these {refusals:N0} rows")
        + (options.EmptyTexts == EmptyTexts.Refuse ? "; option 'empty' skip leaves rows without a text out." : "."));

    private static string Rows(int count) => count == 1 ? "1 row" : $"{count:N0} rows";

    private static string Listed(List<string> named, int count, string between) =>
        string.Join(between, named) + (count > named.Count ? $"{between}and {count - named.Count:N0} more" : "");

    private static void Add(List<string> named, ref int count, string row)
    {
        count++;
        if (named.Count < MaxNamed)
        {
            named.Add(row);
        }
    }
}
