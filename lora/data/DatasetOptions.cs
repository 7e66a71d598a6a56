namespace LoraScratch.Lora.Data;

/// <summary>
/// Which half of a data set that comes in two: <c>train/</c> or <c>test/</c> of the movie reviews.
/// A single file is the same for both.
/// </summary>
internal enum DatasetSplit
{
    /// <summary>For training.</summary>
    Train,
    /// <summary>For evaluation.</summary>
    Test,
}

/// <summary>What a double quote means in a .csv or .tsv file.</summary>
internal enum Quoting
{
    /// <summary>A character like others.</summary>
    None,

    /// <summary>
    /// As RFC 4180 has it: a field that begins with one ends at the next single one, and holds
    /// separators and line breaks as they are, and two for one.
    /// </summary>
    Standard,
}

/// <summary>
/// What becomes of a row whose text, or label where labels are read, is empty, null or blank.
/// </summary>
internal enum EmptyRows
{
    /// <summary>The data is refused; the message names the rows.</summary>
    Refuse,

    /// <summary>The row is left out, and that is said.</summary>
    Skip,

    /// <summary>
    /// The row is left out, and <see cref="TextDataset.Incomplete"/> has it: the caller decides.
    /// </summary>
    Report,

    /// <summary>
    /// An empty text is a text like others; null is refused, for it is none. Labels are not read.
    /// </summary>
    Keep,
}

/// <summary>How a data file is to be read.</summary>
internal sealed record DatasetOptions
{
    /// <summary>
    /// Name of the column (or JSON property) with the text; of a file without a header line the
    /// number of the column, from 1. If null: text, or the first.
    /// </summary>
    public string? TextColumn { get; init; }

    /// <summary>
    /// Name of the column (or JSON property) with the second text of a pair, or its number; null:
    /// there are no pairs.
    /// </summary>
    public string? TextPairColumn { get; init; }

    /// <summary>
    /// Name of the column (or JSON property) with the label, or its number. If null: label, or the
    /// second.
    /// </summary>
    public string? LabelColumn { get; init; }

    /// <summary>
    /// Whether any number of classes may hold for an example (multi-label): a label cell has their
    /// names with <see cref="LabelSeparator"/> between them, of JSON lines it may be an array, and
    /// an empty one says that none holds.
    /// </summary>
    public bool IsMultiLabel { get; init; }

    /// <summary>
    /// What stands between the names in a label cell; null: <see cref="LabelSets.Separator"/>.
    /// </summary>
    public char? LabelSeparator { get; init; }

    /// <summary>
    /// A column for each class, with 0 or 1, in place of the label column: any number of classes
    /// may hold. Null: there is one label column.
    /// </summary>
    public IReadOnlyList<string>? LabelColumns { get; init; }

    /// <summary>
    /// Columns whose cells each example keeps (<see cref="TextExample.Cells"/>); null: none.
    /// </summary>
    public IReadOnlyList<string>? Carried { get; init; }

    /// <summary>
    /// What stands between the fields of a .csv or .tsv, an ASCII character. If null: a comma or a
    /// tab, as the file is named, unless its header line has the text column by another one.
    /// </summary>
    public char? Separator { get; init; }

    /// <summary>What quotes mean in a .csv or .tsv. If null, the file decides.</summary>
    public Quoting? Quoting { get; init; }

    /// <summary>Whether the first line of a .csv or .tsv names the columns.</summary>
    public bool HasHeader { get; init; } = true;

    /// <summary>What becomes of rows without a text or a label.</summary>
    public EmptyRows EmptyRows { get; init; }

    /// <summary>
    /// The classes, as the model's config names them; labels are then their names, or all of them
    /// indices. If null: neg and pos for the movie reviews; for a file the labels in it, sorted.
    /// </summary>
    public LabelSet? Labels { get; init; }

    /// <summary>
    /// Is told, in a sentence that names the file, what was decided about it and left out of it.
    /// </summary>
    public Action<string>? Notes { get; init; }

    /// <summary>
    /// Is told which columns were guessed, where the text or the label column is neither named nor
    /// called so. If null, nothing is guessed: a guess must not pass in silence.
    /// </summary>
    public Action<ColumnGuess>? ColumnsGuessed { get; init; }

    /// <summary>
    /// What to do about a label that is none of <see cref="Labels"/>, as a sentence; null where
    /// nothing is to be said.
    /// </summary>
    public string? UnknownLabelHint { get; init; }

    /// <summary>
    /// The longest line, CSV record or review file in bytes; reading stops there instead of filling
    /// the memory.
    /// </summary>
    public int MaxLineBytes { get; init; } = 16 << 20;

    /// <summary>The text column, as the file has it.</summary>
    internal string TextName => TextColumn ?? (HasHeader ? "text" : "1");

    /// <summary>The label column, as the file has it.</summary>
    internal string LabelName => LabelColumn ?? (HasHeader ? "label" : "2");
}
