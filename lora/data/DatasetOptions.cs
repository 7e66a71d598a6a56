namespace LoraScratch.Lora.Data;

/// <summary>
/// Which half of a data set that comes in two: <c>train/</c> or <c>test/</c> of the movie reviews.
/// A single file is the same for both.
/// </summary>
public enum DatasetSplit
{
    /// <summary>For training.</summary>
    Train,
    /// <summary>For evaluation.</summary>
    Test,
}

/// <summary>How a data file is to be read.</summary>
public sealed record DatasetOptions
{
    /// <summary>Name of the column (or JSON property) with the text.</summary>
    public string TextColumn { get; init; } = "text";

    /// <summary>Name of the column (or JSON property) with the label.</summary>
    public string LabelColumn { get; init; } = "label";

    /// <summary>
    /// The classes, as the model's config names them. If null: neg and pos for the movie reviews;
    /// for a file 0…n−1 if all labels are such numbers, otherwise the names found in it, sorted.
    /// </summary>
    public LabelSet? Labels { get; init; }

    /// <summary>
    /// The longest line, CSV record or review file in bytes; reading stops there instead of filling
    /// the memory.
    /// </summary>
    public int MaxLineBytes { get; init; } = 16 << 20;
}
