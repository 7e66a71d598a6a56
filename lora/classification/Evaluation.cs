namespace LoraScratch.Lora.Classification;

/// <summary>
/// How a model does on what it must guess: the class of a text, or a masked token.
/// </summary>
/// <param name="Count">Guesses.</param>
/// <param name="Correct">Right ones.</param>
/// <param name="Loss">Mean cross-entropy.</param>
/// <param name="Tokens">Of all texts.</param>
/// <param name="Seconds">Taken by the model.</param>
public sealed record Score(int Count, int Correct, double Loss, long Tokens, double Seconds)
{
    /// <summary>Share of right guesses.</summary>
    public double Accuracy => (double)Correct / Count;

    /// <summary><see cref="Evaluation.MacroF1"/>; null of masked tokens.</summary>
    public double? MacroF1 { get; init; }

    /// <summary><see cref="Evaluation.WeightedF1"/>; null as there.</summary>
    public double? WeightedF1 { get; init; }

    /// <summary>
    /// Whether this is the better state: the metric is better, or as good at a smaller loss.
    /// </summary>
    /// <param name="other">Of the same examples.</param>
    /// <param name="metric">What counts.</param>
    public bool IsBetterThan(Score other, ScoreMetric metric = ScoreMetric.Accuracy)
    {
        var (ours, theirs) = metric switch
        {
            ScoreMetric.Accuracy => (Correct, other.Correct),
            ScoreMetric.MacroF1 => (MacroF1, other.MacroF1),
            ScoreMetric.WeightedF1 => (WeightedF1, other.WeightedF1),
            _ => ((double?)0, (double?)0),
        };
        return ours == theirs ? Loss < other.Loss : ours > theirs;
    }
}

/// <summary>How a model does on labelled texts.</summary>
/// <param name="Classes">By class.</param>
/// <param name="Count">Number of texts.</param>
/// <param name="Correct">
/// Texts whose class was predicted; of several classes, texts of which all were predicted, and no
/// other (exact match).
/// </param>
/// <param name="Loss">
/// Mean cross-entropy; of several classes, the mean binary cross-entropy over texts and classes.
/// </param>
/// <param name="Tokens">Of all texts.</param>
/// <param name="Seconds">Taken by the model.</param>
public sealed record Evaluation(IReadOnlyList<ClassScore> Classes, int Count, int Correct, double Loss, long Tokens,
    double Seconds)
{
    /// <summary>
    /// [true class][predicted class]: numbers of texts. Null where any number of classes may hold
    /// for a text.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>>? Confusion { get; init; }

    /// <summary>Whether the probabilities are what they say.</summary>
    internal AnswerCalibration Calibration { get; init; } = new();

    /// <summary><see cref="Correct"/> as a share.</summary>
    public double Accuracy => (double)Correct / Count;

    /// <summary>
    /// Precision, recall and F1 of all decisions together; where each text has one class, all three
    /// are the accuracy.
    /// </summary>
    public ClassScore Micro => new(Classes.Sum(one => one.Support), Classes.Sum(one => one.Predicted),
        Classes.Sum(one => one.Correct));

    /// <summary>The mean of the classes' precision; see <see cref="MacroF1"/>.</summary>
    public double MacroPrecision => Macro(one => one.Precision);

    /// <summary>The mean of the classes' recall; see <see cref="MacroF1"/>.</summary>
    public double MacroRecall => Macro(one => one.Recall);

    /// <summary>
    /// The mean of the classes' F1, small classes counting as much as large ones. As in
    /// scikit-learn's classification_report with zero_division 0: where each text has one class, a
    /// class that no text has and that was never predicted does not count.
    /// </summary>
    public double MacroF1 => Macro(one => one.F1);

    /// <summary>The mean of the classes' precision; see <see cref="WeightedF1"/>.</summary>
    public double WeightedPrecision => Weighted(one => one.Precision);

    /// <summary>
    /// The mean of the classes' recall; see <see cref="WeightedF1"/>. Where each text has one class
    /// it is the accuracy.
    /// </summary>
    public double WeightedRecall => Weighted(one => one.Recall);

    /// <summary>
    /// The mean of the classes' F1, each weighing as many texts as have it; 0 where none has any.
    /// </summary>
    public double WeightedF1 => Weighted(one => one.F1);

    /// <summary>
    /// Share of the decisions, one for each text and class, that are wrong (Hamming loss).
    /// </summary>
    public double HammingLoss =>
        Classes.Sum(one => (double)(one.Support + one.Predicted - 2 * one.Correct)) / Count / Classes.Count;

    /// <summary>Tokens per second.</summary>
    public double TokensPerSecond => Tokens / Math.Max(Seconds, 1e-9);

    /// <summary>The same in numbers alone.</summary>
    public Score Score => new(Count, Correct, Loss, Tokens, Seconds)
    {
        MacroF1 = MacroF1,
        WeightedF1 = WeightedF1,
    };

    private double Macro(Func<ClassScore, double> figure) =>
        Classes.Where(one => Confusion is null || one.Support + one.Predicted > 0).Average(figure);

    private double Weighted(Func<ClassScore, double> figure) =>
        Classes.Sum(one => one.Support * figure(one)) / Math.Max(Classes.Sum(one => one.Support), 1);
}

/// <summary>How a model does on one class.</summary>
/// <param name="Support">Texts that have it.</param>
/// <param name="Predicted">Texts for which it was predicted.</param>
/// <param name="Correct">Texts for which it was, and rightly.</param>
public sealed record ClassScore(int Support, int Predicted, int Correct)
{
    /// <summary>Share of the predictions that are right; 0 without any.</summary>
    public double Precision => Predicted == 0 ? 0 : (double)Correct / Predicted;

    /// <summary>Share of the texts that were found; 0 without any.</summary>
    public double Recall => Support == 0 ? 0 : (double)Correct / Support;

    /// <summary>
    /// The harmonic mean of precision and recall, 2·correct / (support + predicted); 0 without any.
    /// </summary>
    public double F1 => Support + Predicted == 0 ? 0 : 2.0 * Correct / (Support + Predicted);
}
