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

    /// <summary>
    /// Whether this is the better state: more guesses right, or as many at a smaller loss.
    /// </summary>
    public bool IsBetterThan(Score other) => Correct != other.Correct ? Correct > other.Correct : Loss < other.Loss;
}

/// <summary>How a model does on labelled texts.</summary>
/// <param name="Confusion">[true class][predicted class]: numbers of texts.</param>
/// <param name="Loss">Mean cross-entropy.</param>
/// <param name="Tokens">Of all texts.</param>
/// <param name="Seconds">Taken by the model.</param>
public sealed record Evaluation(IReadOnlyList<IReadOnlyList<int>> Confusion, double Loss, long Tokens, double Seconds)
{
    /// <summary>Number of texts.</summary>
    public int Count => Confusion.Sum(row => row.Sum());

    /// <summary>Texts whose class was predicted.</summary>
    public int Correct => Confusion.Select((row, i) => row[i]).Sum();

    /// <summary>Share of texts whose class was predicted.</summary>
    public double Accuracy => (double)Correct / Count;

    /// <summary>Tokens per second.</summary>
    public double TokensPerSecond => Tokens / Math.Max(Seconds, 1e-9);

    /// <summary>The same in numbers alone.</summary>
    public Score Score => new(Count, Correct, Loss, Tokens, Seconds);
}

/// <summary>What the model says about a text.</summary>
/// <param name="LabelId">The class of the largest logit.</param>
/// <param name="Label">Its name.</param>
/// <param name="Logits">One per class.</param>
/// <param name="Probabilities">Their softmax.</param>
/// <param name="IsTruncated">Whether the text was longer than the room for it.</param>
public sealed record Prediction(int LabelId, string Label, IReadOnlyList<float> Logits,
    IReadOnlyList<double> Probabilities, bool IsTruncated = false);
