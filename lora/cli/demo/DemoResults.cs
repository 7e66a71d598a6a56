using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli.Demo;

/// <summary>What one of the three ways came to.</summary>
/// <param name="Method">Which.</param>
/// <param name="Options">How it was trained.</param>
/// <param name="Training">The run; the state of its best epoch was kept.</param>
/// <param name="Train">Accuracy on the reviews that it was adapted with.</param>
/// <param name="Validation">On those that chose the epoch.</param>
/// <param name="Test">On those that nothing was chosen by.</param>
/// <param name="StoredBytes">
/// The safetensors file with what this task needs on top of the base.
/// </param>
/// <param name="Probes">What the model says about some short reviews.</param>
internal sealed record MethodResult(
    TrainingMethod Method, TrainingOptions Options, TrainingResult Training, double Train, double Validation,
    double Test, long StoredBytes,
    IReadOnlyList<(string Text, Prediction Prediction)> Probes) : IMethodOutcome
{
    /// <summary>"LoRA (query, value)"</summary>
    public string Name => MethodNames.Of(Method, Options.Targets!);

    /// <summary>Parameters that were trained.</summary>
    public long TrainableParameters => Training.TrainableParameters;

    /// <summary>Training time, evaluation between the epochs included.</summary>
    public double Seconds => Training.Seconds;

    IReadOnlyList<double> IMethodOutcome.Train => [Train];

    IReadOnlyList<double> IMethodOutcome.Validation => [Validation];

    IReadOnlyList<double> IMethodOutcome.Test => [Test];

    IReadOnlyList<double> IMethodOutcome.Seconds => [Seconds];

    /// <summary>Its losses.</summary>
    public LossCurve Curve => Training.Curve(Name);
}

/// <summary>Merged against unmerged weights.</summary>
/// <param name="LargestDifference">max |logit difference|</param>
/// <param name="LargestLogit">max |logit|, to compare it with.</param>
/// <param name="ChangedPredictions">Texts whose class changed.</param>
/// <param name="Texts">Texts compared.</param>
internal sealed record MergeCheck(double LargestDifference, double LargestLogit, int ChangedPredictions, int Texts);

/// <summary>What one seed of the demo came to.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="Task">The reviews.</param>
/// <param name="Methods">LoRA, last two layers, everything.</param>
/// <param name="LoRA">The model with the LoRA adapter attached.</param>
/// <param name="Merge">Merged against unmerged.</param>
internal sealed record DemoResult(
    ulong Seed, ReviewTask Task, IReadOnlyList<MethodResult> Methods, FineTuning LoRA, MergeCheck Merge)
{
    /// <summary>The result of a method.</summary>
    public MethodResult this[TrainingMethod method] => Methods.Single(result => result.Method == method);
}

/// <summary>What one of the three ways came to with several seeds.</summary>
/// <param name="Runs">By seed.</param>
/// <param name="Leads">LoRA's lead on the test reviews, by seed; empty for LoRA itself.</param>
internal sealed record MethodOverSeeds(IReadOnlyList<MethodResult> Runs, IReadOnlyList<double> Leads) : IMethodOutcome
{
    public string Name => Runs[0].Name;

    public long TrainableParameters => Runs[0].TrainableParameters;

    public IReadOnlyList<double> Train => [.. Runs.Select(run => run.Train)];

    public IReadOnlyList<double> Validation => [.. Runs.Select(run => run.Validation)];

    public IReadOnlyList<double> Test => [.. Runs.Select(run => run.Test)];

    public IReadOnlyList<double> Seconds => [.. Runs.Select(run => run.Seconds)];
}
