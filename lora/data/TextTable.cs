namespace LoraScratch.Lora.Data;

/// <summary>A file of texts with the columns that are carried through to a result.</summary>
/// <param name="Texts">The rows with their cells, read anew each time.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Columns">The names of the cells.</param>
/// <param name="Separator">What stands between the fields; null: it is of JSON lines.</param>
/// <param name="HasByteOrderMark">Whether it begins with one.</param>
internal sealed record TextTable(IEnumerable<TextExample> Texts, int Count, IReadOnlyList<string> Columns,
    char? Separator, bool HasByteOrderMark);
