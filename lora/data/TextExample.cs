namespace LoraScratch.Lora.Data;

/// <summary>One row of a data set.</summary>
/// <param name="Text">What the model reads.</param>
/// <param name="Label">The index of its class, or <see cref="NoLabel"/>.</param>
/// <param name="Origin">
/// Where in its source it stands, for messages: "line 12", "pos/0_9.txt".
/// </param>
internal readonly record struct TextExample(string Text, int Label, string Origin)
{
    /// <summary>
    /// The line of its file, from 1, on which it begins; null where the file is the example.
    /// </summary>
    public int? Line { get; init; }

    /// <summary>The second text, where the model reads pairs; else null.</summary>
    public string? TextPair { get; init; }

    /// <summary>
    /// The indices of the classes that hold, rising, where any number of them may; else null.
    /// </summary>
    public int[]? Classes { get; init; }

    /// <summary>
    /// The cells of the columns that are carried through, in their order, as a
    /// <see cref="TableWriter"/> takes them; null: none are.
    /// </summary>
    public IReadOnlyList<object?>? Cells { get; init; }

    /// <summary>The label of an example whose class is not known.</summary>
    public const int NoLabel = -1;

    /// <summary>
    /// The same for two examples whose texts differ in white space at most; see
    /// <see cref="TextCorpus.Fingerprint"/>.
    /// </summary>
    public (UInt128, UInt128?) Fingerprint() =>
        (TextCorpus.Fingerprint(Text), TextPair is { } second ? TextCorpus.Fingerprint(second) : null);
}
