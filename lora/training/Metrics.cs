namespace LoraScratch.Lora.Training;

/// <summary>One step of training.</summary>
/// <param name="Step">From 1.</param> <param name="Steps">Of the whole run.</param> <param name="Epoch">From 1.</param>
/// <param name="Loss">Mean cross-entropy of the step's texts or masked tokens, before the step.</param> <param name="LearningRate">Of this step.</param>
/// <param name="GradientNorm">Norm of all gradients together, before clipping.</param> <param name="Tokens">Tokens of the step's texts.</param>
/// <param name="StepSeconds">Duration of the step.</param> <param name="Seconds">Since the training began, validation included.</param>
/// <param name="SecondsLeft">Estimate for the steps to come, from the mean of those so far; validation not included.</param>
public sealed record StepMetrics(
    int Step, int Steps, int Epoch, float Loss, float LearningRate, float GradientNorm, int Tokens, double StepSeconds, double Seconds, double SecondsLeft)
{
    /// <summary>Tokens per second of this step.</summary>
    public double TokensPerSecond => Tokens / Math.Max(StepSeconds, 1e-9);
}

/// <summary>A look at how far the run is: at the end of every epoch and of the run, and after every <see cref="TrainingOptions.ValidateEvery"/> steps.</summary>
/// <param name="Epoch">From 1.</param> <param name="Step">Steps so far.</param> <param name="TrainLoss">Mean over the texts trained on since the last look.</param>
/// <param name="Validation">On the texts laid aside; null without any, and where the run was stopped before.</param> <param name="IsBest">Whether this state is the best so far.</param>
public sealed record ValidationMetrics(int Epoch, int Step, float TrainLoss, Score? Validation, bool IsBest);

/// <summary>How a model does on what it must guess: the class of a text, or a masked token.</summary>
/// <param name="Count">Guesses.</param> <param name="Correct">Right ones.</param> <param name="Loss">Mean cross-entropy.</param>
/// <param name="Tokens">Of all texts.</param> <param name="Seconds">Taken by the model.</param>
public sealed record Score(int Count, int Correct, double Loss, long Tokens, double Seconds)
{
    /// <summary>Share of right guesses.</summary>
    public double Accuracy => (double)Correct / Count;

    /// <summary>Whether this is the better state: more guesses right, or as many at a smaller loss.</summary>
    public bool IsBetterThan(Score other) => Correct != other.Correct ? Correct > other.Correct : Loss < other.Loss;
}

/// <summary>How a model does on labelled texts.</summary>
/// <param name="Confusion">[true class][predicted class]: numbers of texts.</param> <param name="Loss">Mean cross-entropy.</param>
/// <param name="Tokens">Of all texts.</param> <param name="Seconds">Taken by the model.</param>
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
/// <param name="LabelId">The class of the largest logit.</param> <param name="Label">Its name.</param>
/// <param name="Logits">One per class.</param> <param name="Probabilities">Their softmax.</param>
public sealed record Prediction(int LabelId, string Label, IReadOnlyList<float> Logits, IReadOnlyList<double> Probabilities);
