using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Tells a text with line breaks, which a .csv may hold between quotes, from several rows that a
/// stray quote at the start of one field and at the end of another would make one. Between two such
/// quotes stands no other, or reading ends there, so that each line by itself has the fields of a
/// row. A text may have lines with as many separators by chance, but hardly with a label of the
/// data in its place.
/// </summary>
/// <param name="name">The file, for messages.</param>
/// <param name="separator">Between fields.</param>
/// <param name="columns">Fields of a row.</param>
/// <param name="label">Index of the label column; −1 if there is none.</param>
/// <param name="classes">What labels mean, where that is known.</param>
internal sealed class MergedRows(string name, byte separator, int columns, int label, LabelSet? classes)
{
    private readonly HashSet<string> known = [.. classes is null ? [] : Labels(classes)];
    private readonly List<Doubt> doubts = [];
    private readonly List<string> labels = [];                          // of the lines of this record, read as rows
    private bool isEveryLineARow = true, provesQuoting;

    private readonly record struct Doubt(int First, int Last, string[] Labels);

    /// <summary>The label of a record without a quoted field.</summary>
    public void AddLabel(string own) => known.Add(own);

    /// <summary>A line of a record that has a quoted field.</summary>
    public void AddLine(ReadOnlySpan<byte> line)
    {
        line = line.TrimEnd((byte)'\r');
        if (line.IsEmpty)
        {
            return;                                                     // blank lines are no rows
        }
        isEveryLineARow &= line.Count(separator) + 1 == columns;
        if (isEveryLineARow && label >= 0)
        {
            for (var column = 0; column < label; column++)
            {
                line = line[(line.IndexOf(separator) + 1)..];
            }
            var end = line.IndexOf(separator);
            labels.Add(Encoding.UTF8.GetString(end < 0 ? line : line[..end]));
        }
    }

    /// <summary>The record has ended.</summary>
    /// <param name="first">Its first line.</param>
    /// <param name="last">Its last line.</param>
    /// <param name="own">Its label; null without a label column.</param>
    /// <exception cref="InputException">It is several rows.</exception>
    public void EndRecord(int first, int last, string? own)
    {
        provesQuoting |= !isEveryLineARow;
        if (own is not null)
        {
            known.Add(own);
        }
        if (last > first && isEveryLineARow && columns > 1)
        {
            labels.Remove(own ?? "");                                   // one of the lines has the label of the record
            doubts.Add(new Doubt(first, last, [.. labels]));
            if (labels.Any(other => known.Contains(other) || IsNumber(other) && own is not null && IsNumber(own)))
            {
                throw Merged(doubts[^1]);
            }
        }
        labels.Clear();
        isEveryLineARow = true;
    }

    /// <summary>The file has ended, and all its labels are known.</summary>
    /// <exception cref="InputException">A record is several rows.</exception>
    public void EndFile()
    {
        // Without labels it counts whether any field of the file can only be read as a quoted one.
        foreach (var doubt in doubts.Where(doubt => label < 0 ? !provesQuoting : doubt.Labels.Any(known.Contains)))
        {
            throw Merged(doubt);
        }
    }

    /// <summary>
    /// A class by its number, which need not stand in another row; not the 000 of 1,000.
    /// </summary>
    private static bool IsNumber(string label) => LabelSet.IsIndex(label, out _) && (label == "0" || label[0] != '0');

    private static IEnumerable<string> Labels(LabelSet classes) =>
        classes.Names.Concat(LabelSet.Numbered(classes.Count).Names);

    private InputException Merged(Doubt doubt) => new(
        $"{name}, line {doubt.First}: the field that begins with a quote here ends in line {doubt.Last}, and each of "
        + "these lines has the fields of a row: they would be read as one. If they are rows, write a field that begins "
        + "with a quote between quotes, and each quote in it twice. If they are one text, write the data as .jsonl.");
}
