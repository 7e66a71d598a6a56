using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>What a reader of <see cref="DataReport"/> should look at.</summary>
internal enum DataFinding
{
    /// <summary>Rows lack their text or their label.</summary>
    IncompleteRows,

    /// <summary>Examples repeat a text.</summary>
    RepeatedTexts,

    /// <summary>Texts have several labels.</summary>
    Contradictions,

    /// <summary>Names of classes are alike.</summary>
    SimilarLabels,

    /// <summary>Classes have few examples.</summary>
    RareClasses,

    /// <summary>Examples are longer than the limit.</summary>
    CutTexts,

    /// <summary>At least one example in a hundred has unknown tokens.</summary>
    UnknownTokens,

    /// <summary>
    /// At least one example in twenty is fragmented: see <see cref="TokenStatistics.Fragmented"/>.
    /// </summary>
    Fragmentation,

    /// <summary>Test texts stand among these, too.</summary>
    Leakage,
}

/// <summary>
/// What is noteworthy about labelled texts before a model is trained on them. It changes nothing:
/// all of it may be right.
/// </summary>
internal sealed record DataReport
{
    private const int FewExamples = 10;
    private const double UnknownShare = 0.01, FragmentedShare = 0.05;

    private DataReport(TextDataset data) => Data = data;

    /// <summary>The examples.</summary>
    public TextDataset Data { get; }

    /// <summary>Rows of the source, those that lack something included.</summary>
    public int Rows => Data.Count + Data.Incomplete.Count;

    /// <summary>Examples of each class.</summary>
    public required IReadOnlyList<int> ClassCounts { get; init; }

    /// <summary>Examples that repeat a text.</summary>
    public required RepeatedTexts Repeated { get; init; }

    /// <summary>Names of classes that may mean one.</summary>
    public required IReadOnlyList<SimilarLabels> SimilarLabels { get; init; }

    /// <summary>
    /// A class with fewer examples is rare: ten, or as many as it takes for one in each part.
    /// </summary>
    public required int FewestExamples { get; init; }

    /// <summary>Classes that have examples, but fewer than that, the rarest first.</summary>
    public required IReadOnlyList<int> RareClasses { get; init; }

    /// <summary>What the tokenizer makes of the texts.</summary>
    public required TokenStatistics Tokens { get; init; }

    /// <summary>Tokens of an example at most.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Examples that are longer.</summary>
    public required int Cut { get; init; }

    /// <summary>The data to test on; null: none is given.</summary>
    public TextDataset? Test { get; private init; }

    /// <summary>Examples of the data to test on whose text stands in this one, too.</summary>
    public int Leaked { get; private init; }

    /// <summary>What is noteworthy, in the order of the list.</summary>
    public IEnumerable<DataFinding> Findings =>
        from entry in new (DataFinding Finding, bool IsNoteworthy)[]
        {
            (DataFinding.IncompleteRows, Data.Incomplete.Count > 0),
            (DataFinding.RepeatedTexts, Repeated.Examples > 0),
            (DataFinding.Contradictions, Repeated.Contradictions > 0),
            (DataFinding.SimilarLabels, SimilarLabels.Count > 0),
            (DataFinding.RareClasses, RareClasses.Count > 0),
            (DataFinding.CutTexts, Cut > 0),
            (DataFinding.UnknownTokens, Tokens.WithUnknown >= UnknownShare * Data.Count && Tokens.WithUnknown > 0),
            (DataFinding.Fragmentation, Tokens.Fragmented >= FragmentedShare * Data.Count && Tokens.Fragmented > 0),
            (DataFinding.Leakage, Leaked > 0),
        }
        where entry.IsNoteworthy
        select entry.Finding;

    /// <summary>Looks at a data set.</summary>
    /// <param name="data">At least one example.</param>
    /// <param name="tokenizer">That of the model.</param>
    /// <param name="maxLength">Tokens of an example at most.</param>
    /// <param name="share">
    /// The smallest share of the examples that is held out; 0: nothing is.
    /// </param>
    /// <param name="test">Other data that a model is to be tested on; may be null.</param>
    public static DataReport Of(TextDataset data, Tokenizer tokenizer, int maxLength, double share,
        TextDataset? test = null)
    {
        var tokens = TokenStatistics.Of(data.Examples, tokenizer);
        var counts = data.CountPerLabel();
        var fewest = share > 0 ? (int)Math.Min(int.MaxValue, Math.Max(FewExamples, Math.Ceiling(1 / share)))
            : FewExamples;
        return new DataReport(data)
        {
            ClassCounts = counts,
            Repeated = RepeatedTexts.Find(data.Examples),
            SimilarLabels = LoraScratch.Lora.Data.SimilarLabels.Find(data.Labels.Names),
            FewestExamples = fewest,
            RareClasses = [.. Enumerable.Range(0, counts.Length).Where(label => counts[label] > 0
                && counts[label] < fewest).OrderBy(label => counts[label])],
            Tokens = tokens,
            MaxLength = maxLength,
            Cut = tokens.LongerThan(maxLength),
            Test = test,
            Leaked = test?.CountAlsoIn(data) ?? 0,
        };
    }
}
