using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Pages;
using static LoraScratch.Lora.Reporting.ReportText;

namespace LoraScratch.Lora.Reporting;

/// <summary>What runs and methods came to.</summary>
internal static class ResultTables
{
    private const int MaxRecords = 50;

    /// <summary>The tables; empty where there is no run.</summary>
    public static Html Of(ReportData data) => Html.Concat([
        data.Runs.Count == 0 ? Html.Empty : Runs(data.Runs), .. data.Experiments.Select(Experiment)]);

    private static Html Runs(IReadOnlyList<ReportedRun> runs)
    {
        var isAsked = runs.Any(run => run.Answers is not null);
        string[] heads = ["run", "method", "trainable parameters", "steps", "kept", "validation accuracy",
            "validation loss",
            .. isAsked ? (string[])["accuracy on the texts", "macro F1"] : [], "seconds"];
        var stopped = string.Join(", ", runs.Where(run => run.Summary.WasCancelled).Select(run => run.Name));
        return Html.Of($"""
            {PageTable.Of("Every run in the state that was kept", heads, runs.Select(run => Row(run, isAsked)))}
            {(stopped.Length == 0 ? Html.Empty
                : Html.Of($"""<p class="bad-text">✗ Stopped before its end: {stopped}</p>"""))}
            """);
    }

    private static IReadOnlyList<Html> Row(ReportedRun run, bool isAsked)
    {
        var (summary, answers) = (run.Summary, run.Answers);
        var kept = run.Curve.Validations.FirstOrDefault(point => point.Step == summary.KeptStep);
        return
        [
            Cell(run.Name), Cell(summary.Method ?? "pretraining"), Cell(Count(summary.TrainableParameters)),
            Cell(Count(summary.Steps)), Cell(Count(summary.KeptStep)),
            Cell(kept is null ? null : Percent(kept.Accuracy)),
            Cell(kept is null ? null : PageMatrix.Number(kept.Loss)),
            .. isAsked ? (Html[])[Cell(answers is null ? null : Percent(answers.Result.Accuracy)),
                Cell(answers is null ? null : Percent(answers.Result.MacroF1))] : [],
            Cell(Duration(summary.Seconds)),
        ];
    }

    private static Html Experiment(ReportedExperiment experiment)
    {
        var (name, records) = (experiment.Name, experiment.Records);
        var some = records.Count > MaxRecords ? $", {MaxRecords} of {records.Count}" : "";
        return Html.Of($"""
            {(experiment.Methods.Count == 0 ? Html.Empty : Methods(experiment))}
            <details><summary>Every run of {name}</summary>
            {PageTable.Of($"Runs of {name}, the best by validation first{some}",
                ["run", "trainable parameters", "steps", "validation", "test", "seconds"],
                records.OrderByDescending(record => record.Validation).Take(MaxRecords).Select(Record))}</details>
            """);
    }

    private static Html Methods(ReportedExperiment experiment) => PageTable.Of(
        $"Methods of {experiment.Name}, mean and standard deviation over the seeds",
        ["method", "trainable parameters", "learning rate", "train", "validation", "test", "seconds"],
        experiment.Methods.Select(method => (Html[])
        [
            Cell(method.Name), Cell(Count(method.TrainableParameters)), Cell(PageMatrix.Number(method.LearningRate)),
            Cell(Percent(method.Train)), Cell(Percent(method.Validation)), Cell(Percent(method.Test)),
            Cell(Duration(method.Seconds.Mean)),
        ]));

    private static IReadOnlyList<Html> Record(RunRecord record) =>
    [
        Cell(record.Name), Cell(Count(record.TrainableParameters)), Cell(Count(record.Steps)),
        Cell(Percent(record.Validation)), Cell(record.Test is { } test ? Percent(test) : null),
        Cell(Duration(record.Seconds)),
    ];
}
