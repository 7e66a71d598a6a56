using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// The rows of a file that lack their text or their label: they are counted, and the first are
/// named, so that a file is mended in one go.
/// </summary>
/// <param name="name">The file, for messages.</param>
internal sealed class IncompleteRows(string name)
{
    private const int MaxKept = 20, MaxNamed = 5;

    private readonly List<string> all = [], texts = [], labels = [];

    /// <summary>How many lack their text, or one text of a pair.</summary>
    public int WithoutText { get; private set; }

    /// <summary>How many have their text and lack their label.</summary>
    public int WithoutLabel { get; private set; }

    /// <summary>How many lack something.</summary>
    public int Count => WithoutText + WithoutLabel;

    /// <summary>The places of the first twenty without a text.</summary>
    public IReadOnlyList<string> FirstWithoutText => texts;

    /// <summary>The places of the first twenty without a label.</summary>
    public IReadOnlyList<string> FirstWithoutLabel => labels;

    /// <summary>Passes on the rows that are complete.</summary>
    /// <param name="rows">The rows of the file.</param>
    /// <param name="options">The columns, and what becomes of the other rows.</param>
    /// <param name="needsLabels">Whether a row without a label is incomplete.</param>
    /// <exception cref="InputException">
    /// At the end: some were not; the message names the first five.
    /// </exception>
    public IEnumerable<RawExample> Without(IEnumerable<RawExample> rows, DatasetOptions options, bool needsLabels)
    {
        foreach (var row in rows)
        {
            if (RawExample.Fault(row.Text) is { } text)
            {
                Add(row, options.TextName, text, isText: true);
            }
            else if (options.TextPairColumn is { } column && RawExample.Fault(row.TextPair) is { } second)
            {
                Add(row, column, second, isText: true);
            }
            else if (needsLabels && row.Labels is null && RawExample.Fault(row.Label) is { } label)
            {
                Add(row, options.LabelName, label, isText: false);
            }
            else
            {
                yield return row;
            }
        }
        if (Count > 0 && options.EmptyRows is EmptyRows.Refuse)
        {
            throw Refused();
        }
        if (options.EmptyRows == EmptyRows.Skip)
        {
            Note(options, WithoutText, "text", texts);
            Note(options, WithoutLabel, "label", labels);
        }
    }

    /// <summary>Names the rows, as something that must be mended.</summary>
    public InputException Refused() => new($"{name}, {Listed(all, Count, "; ")}. Complete or remove "
        + (Count == 1 ? "the row; option 'empty' skip leaves it out."
            : $"these {Count:N0} rows{Parts()}; option 'empty' skip leaves them out."));

    /// <summary>Rows of another file or half, after these.</summary>
    /// <param name="next">Its incomplete rows.</param>
    public IncompleteRows Then(IncompleteRows next)
    {
        var both = new IncompleteRows(name)
        {
            WithoutText = WithoutText + next.WithoutText,
            WithoutLabel = WithoutLabel + next.WithoutLabel,
        };
        both.all.AddRange(all.Concat(next.all).Take(MaxKept));
        both.texts.AddRange(texts.Concat(next.texts).Take(MaxKept));
        both.labels.AddRange(labels.Concat(next.labels).Take(MaxKept));
        return both;
    }

    /// <summary>"1 row", "1,204 rows"</summary>
    internal static string Rows(int count) => count == 1 ? "1 row" : $"{count:N0} rows";

    private string Parts() => WithoutLabel == 0 || WithoutText == 0 ? ""
        : $", {WithoutText:N0} without a text and {WithoutLabel:N0} without a label";

    private void Note(DatasetOptions options, int count, string what, List<string> named)
    {
        if (count > 0)
        {
            options.Notes?.Invoke($"{name}: {Rows(count)} without a {what} left out: {Listed(named, count, ", ")}");
        }
    }

    private void Add(RawExample row, string column, string fault, bool isText)
    {
        (WithoutText, WithoutLabel) = isText ? (WithoutText + 1, WithoutLabel) : (WithoutText, WithoutLabel + 1);
        Name(all, $"{row.Origin}: '{column}' is {fault}");
        Name(isText ? texts : labels, row.Origin);
    }

    private static void Name(List<string> named, string row)
    {
        if (named.Count < MaxKept)
        {
            named.Add(row);
        }
    }

    private static string Listed(List<string> named, int count, string between) =>
        string.Join(between, named.Take(MaxNamed))
        + (count > MaxNamed ? $"{between}and {count - MaxNamed:N0} more" : "");
}
