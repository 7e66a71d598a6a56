using LoraScratch.Lora.Classification;

namespace LoraScratch.Lora.Training;

/// <summary>How far a run is.</summary>
/// <param name="Step">The last step.</param>
/// <param name="Validation">The last validation; null before the first.</param>
/// <param name="Best">
/// How the best state did on the held-out examples, which the run keeps; null without any.
/// </param>
public sealed record TrainingProgress(StepMetrics Step, ValidationMetrics? Validation, Score? Best);

/// <summary>One step of training.</summary>
/// <param name="Step">From 1.</param>
/// <param name="Steps">Of the whole run.</param>
/// <param name="Epoch">From 1.</param>
/// <param name="Loss">
/// Mean cross-entropy of the step's examples or masked tokens, before the step.
/// </param>
/// <param name="LearningRate">Of this step.</param>
/// <param name="GradientNorm">Norm of all gradients together, before clipping.</param>
/// <param name="Tokens">Tokens of the step's examples.</param>
/// <param name="StepSeconds">Duration of the step.</param>
/// <param name="Seconds">Since the training began, validation included.</param>
/// <param name="SecondsLeft">
/// Estimate for the steps to come, from the mean of those so far; validation not included.
/// </param>
public sealed record StepMetrics(
    int Step, int Steps, int Epoch, float Loss, float LearningRate, float GradientNorm, int Tokens, double StepSeconds,
    double Seconds, double SecondsLeft)
{
    /// <summary>Tokens per second of this step.</summary>
    public double TokensPerSecond => Tokens / Math.Max(StepSeconds, 1e-9);
}

/// <summary>
/// One validation: at the end of every epoch and of the run, and after every
/// <see cref="TrainingOptions.ValidateEvery"/> steps.
/// </summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Step">Steps so far.</param>
/// <param name="TrainLoss">Mean over the examples trained on since the one before.</param>
/// <param name="Validation">
/// On the held-out examples; null without any, and where the run was stopped before.
/// </param>
/// <param name="IsBest">Whether this state is the best so far.</param>
public sealed record ValidationMetrics(int Epoch, int Step, float TrainLoss, Score? Validation, bool IsBest);
