using System.Globalization;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>Figures of a validation, as people read them.</summary>
internal static class MetricText
{
    /// <summary>"macro F1"</summary>
    public static string Name(ScoreMetric metric) => metric switch
    {
        ScoreMetric.Accuracy => "accuracy",
        ScoreMetric.MacroF1 => "macro F1",
        ScoreMetric.WeightedF1 => "weighted F1",
        _ => "loss",
    };

    /// <summary>"macro F1 93.21 %"</summary>
    public static string Of(Score score, ScoreMetric metric) => $"{Name(metric)} " + metric switch
    {
        ScoreMetric.Accuracy => Text.Percent(score.Accuracy),
        ScoreMetric.MacroF1 => Text.Percent(score.MacroF1!.Value),
        ScoreMetric.WeightedF1 => Text.Percent(score.WeightedF1!.Value),
        _ => score.Loss.ToString("F4", CultureInfo.InvariantCulture),
    };

    /// <summary>
    /// "loss 0.1234  accuracy 95.00 %  macro F1 93.21 %": loss, accuracy, and the metric.
    /// </summary>
    public static string All(Score score, ScoreMetric metric) => string.Join("  ",
        new[] { ScoreMetric.Loss, ScoreMetric.Accuracy, metric }.Distinct().Select(each => Of(score, each)));

    /// <summary>"class weights: ham 0.55, spam 5.5", of at most twelve classes.</summary>
    public static string Weights(IReadOnlyList<string> labels, IReadOnlyList<float> weights) =>
        Terminal.Printable("class weights: " + string.Join(", ", labels.Zip(weights, (name, weight) =>
            string.Create(CultureInfo.InvariantCulture, $"{LabelSet.Shown(name)} {weight:G3}")).Take(12))
            + (labels.Count > 12 ? ", …" : ""));
}
