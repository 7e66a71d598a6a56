using System.Globalization;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Cli.Tables;

/// <summary>Whether probabilities are what they say, and what a threshold costs.</summary>
internal static class CalibrationTable
{
    /// <summary>Two tables for people, of at most 80 columns.</summary>
    /// <param name="result">Of at least one text.</param>
    /// <param name="output">Where to.</param>
    public static void Print(Evaluation result, TextWriter output)
    {
        var (calibration, isMultiLabel) = (result.Calibration, result.Confusion is null);
        output.WriteLine($"\nexpected calibration error {Text.Percent(calibration.ExpectedError)}"
            + (isMultiLabel ? "  (a decision for each text and class)" : ""));
        Row(output, "probability", isMultiLabel ? "decisions" : "answers", "mean", isMultiLabel ? "holds" : "right");
        foreach (var bin in calibration.Bins.Where(bin => bin.Count > 0))
        {
            Row(output, string.Create(CultureInfo.InvariantCulture, $"{bin.From:F1} to {bin.To:F1}"),
                Text.Count(bin.Count), Text.Percent(bin.Confidence), Text.Percent(bin.Accuracy));
        }
        output.WriteLine();
        Row(output, isMultiLabel ? ["threshold", "labels", "precision", "recall"]
            : ["threshold", "answered", "share", "right of them"]);
        foreach (var cost in calibration.Thresholds)
        {
            Row(output, cost.Threshold.ToString("0.0#", CultureInfo.InvariantCulture), Text.Count(cost.Answered),
                isMultiLabel ? Percent(cost.Accuracy) : Text.Percent(cost.Share),
                Percent(isMultiLabel ? cost.Recall : cost.Accuracy));
        }
    }

    /// <summary>The same for programs; null stands for a share of nothing.</summary>
    public static object Json(Evaluation result)
    {
        var calibration = result.Calibration;
        return new
        {
            expected_error = calibration.ExpectedError,
            bins = calibration.Bins.Select(bin => new
            {
                from = bin.From,
                to = bin.To,
                count = bin.Count,
                probability = bin.Count == 0 ? (double?)null : bin.Confidence,
                accuracy = bin.Count == 0 ? (double?)null : bin.Accuracy,
            }),
            thresholds = calibration.Thresholds.Select(cost => result.Confusion is null
                ? (object)new
                {
                    threshold = cost.Threshold,
                    labels = cost.Answered,
                    precision = cost.Accuracy,
                    recall = cost.Recall,
                }
                : new
                {
                    threshold = cost.Threshold,
                    answered = cost.Answered,
                    share = cost.Share,
                    accuracy = cost.Accuracy,
                }),
        };
    }

    private static string Percent(double? share) => share is { } value ? Text.Percent(value) : "-";

    private static void Row(TextWriter output, params string[] cells) =>
        output.WriteLine($"{cells[0],-12}{cells[1],11}{cells[2],11}{cells[3],15}");
}
