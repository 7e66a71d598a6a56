using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Merging;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Reporting;

/// <summary>Everything that a report shows.</summary>
/// <param name="Curves">Of the runs; may be none.</param>
/// <param name="Runs">Trainings by themselves.</param>
/// <param name="Experiments">Comparisons and sweeps.</param>
/// <param name="Certificates">Of merges, by the name of the merged folder.</param>
internal sealed record ReportData(IReadOnlyList<LossCurve> Curves, IReadOnlyList<ReportedRun> Runs,
    IReadOnlyList<ReportedExperiment> Experiments, IReadOnlyList<(string Name, MergeCertificate Kept)> Certificates)
{
    /// <summary>What the page is called.</summary>
    public string Title => (Runs, Experiments, Certificates) switch
    {
        ([var run], [], _) => $"Training of {run.Name}",
        ([], [var experiment], _) => $"Experiment {experiment.Name}",
        ([], [], [var (name, _)]) => $"Merge into {name}",
        _ => $"{Runs.Count + Experiments.Count + Certificates.Count} results",
    };
}

/// <summary>A training.</summary>
/// <param name="Name">In tables and legends.</param>
/// <param name="Summary">What training.json says.</param>
/// <param name="Curve">Its losses and validations.</param>
internal sealed record ReportedRun(string Name, RunSummary Summary, LossCurve Curve)
{
    /// <summary>How its result answers some texts; null where none were given.</summary>
    public ReportedAnswers? Answers { get; init; }
}

/// <summary>How a model answers labelled texts.</summary>
/// <param name="Source">What the texts are called.</param>
/// <param name="Labels">The classes.</param>
/// <param name="Result">Figures and confusion matrix.</param>
/// <param name="Mistakes">The wrong answers, the most confident first; perhaps not all.</param>
internal sealed record ReportedAnswers(string Source, IReadOnlyList<string> Labels, Evaluation Result,
    IReadOnlyList<ReportedMistake> Mistakes);

/// <summary>A wrong answer.</summary>
/// <param name="Place">Line or file of the text.</param>
/// <param name="Text">The text, of a pair both.</param>
/// <param name="Label">What is right.</param>
/// <param name="Predicted">What was answered.</param>
/// <param name="Probability">With which probability.</param>
internal sealed record ReportedMistake(string Place, string Text, string Label, string Predicted, double Probability);

/// <summary>A comparison or a sweep.</summary>
/// <param name="Name">Of its folder.</param>
/// <param name="Methods">
/// The table of methods; none of a sweep, and before a comparison ends.
/// </param>
/// <param name="Records">Every run that has ended.</param>
internal sealed record ReportedExperiment(string Name, IReadOnlyList<ReportedMethod> Methods,
    IReadOnlyList<RunRecord> Records);

/// <summary>A method of a comparison, as its results.json has it.</summary>
/// <param name="Name">"LoRA (query, value)"</param>
/// <param name="TrainableParameters">Elements that it trains.</param>
/// <param name="LearningRate">That was chosen.</param>
/// <param name="Train">Accuracy.</param>
/// <param name="Validation">Accuracy.</param>
/// <param name="Test">Accuracy.</param>
/// <param name="Seconds">Of a training.</param>
internal sealed record ReportedMethod(string Name, long TrainableParameters, double LearningRate, MeanOfSeeds Train,
    MeanOfSeeds Validation, MeanOfSeeds Test, MeanOfSeeds Seconds);

/// <summary>A figure over the seeds.</summary>
/// <param name="Mean">Mean.</param>
/// <param name="Deviation">Standard deviation; 0 of one seed.</param>
internal sealed record MeanOfSeeds(double Mean, double Deviation);
