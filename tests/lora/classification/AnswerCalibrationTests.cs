using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Lora;

/// <summary>Calibration, counted by hand.</summary>
public sealed class AnswerCalibrationTests
{
    [Test]
    public void The_expected_error_is_that_of_Guo_and_others_counted_by_hand()
    {
        // bin (0.5, 0.6]: 0.55 right, 0.60 wrong → mean 0.575, accuracy 0.5; bin (0.8, 0.9]: 0.85 right, 0.85 right,
        // 0.9 wrong → mean 0.8666…, accuracy 0.6666…; bin (0.9, 1]: 0.95 right → accuracy 1
        // ECE = 2/6 · 0.075 + 3/6 · 0.2 + 1/6 · 0.05 = 0.025 + 0.1 + 0.008333…
        var calibration = Counted((0.55, true), (0.6, false), (0.85, true), (0.85, true), (0.9, false), (0.95, true));
        Assert.That(calibration.ExpectedError, Is.EqualTo(0.4 / 3).Within(1e-12));
        Assert.That(calibration.Count, Is.EqualTo(6));
        Assert.That(calibration.Bins.Select(bin => bin.Count), Is.EqualTo(new[] { 0, 0, 0, 0, 0, 2, 0, 0, 3, 1 }));
        Assert.That(calibration.Bins[8].Accuracy, Is.EqualTo(2 / 3.0).Within(1e-12));
        Assert.That(calibration.Bins[8].Confidence, Is.EqualTo(2.6 / 3).Within(1e-12));
    }

    [Test]
    public void A_bin_has_its_upper_end_and_the_first_one_0()
    {
        var calibration = Counted([.. Enumerable.Range(0, 11).Select(tenth => (tenth / 10.0, true))]);
        Assert.That(calibration.Bins.Select(bin => bin.Count), Is.EqualTo(new[] { 2, 1, 1, 1, 1, 1, 1, 1, 1, 1 }));
        Assert.That(Counted((0.8000001, true)).Bins[8].Count, Is.EqualTo(1));
    }

    [Test]
    public void A_threshold_costs_answers_and_brings_accuracy()
    {
        var costs = Counted((0.4, false), (0.5, false), (0.79, true), (0.8, true), (0.97, true), (0.99, false))
            .Thresholds;
        Assert.That(costs.Select(cost => cost.Threshold),
            Is.EqualTo(new[] { 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99 }));
        Assert.That(costs.Select(cost => (cost.Answered, cost.Right)),
            Is.EqualTo(new[] { (5, 3), (4, 3), (4, 3), (3, 2), (2, 1), (2, 1), (1, 0) }));
        Assert.That((costs[0].Share, costs[0].Accuracy, costs[3].Recall), Is.EqualTo((5 / 6.0, 3 / 5.0, 2 / 3.0)));
        Assert.That(Counted((0.1, false)).Thresholds[0], Has.Property("Accuracy").Null.And.Property("Recall").Null);
    }

    [Test]
    public void Evaluation_counts_the_most_probable_class_of_a_text_or_each_class_that_may_hold()
    {
        var one = new EvaluationCounts(3, isMultiLabel: false);
        one.Add(Example(label: 0), Logits(0.75, 0.2, 0.05));
        one.Add(Example(label: 2), Logits(0.025, 0.95, 0.025));
        Assert.That(Filled(one.Result(0, 1)), Is.EqualTo(new[] { (7, 1, 1), (9, 1, 0) }));

        var any = new EvaluationCounts(2, isMultiLabel: true);
        any.Add(Example(label: TextExample.NoLabel, 1), [(float)Math.Log(0.25 / 0.75), (float)Math.Log(0.65 / 0.35)]);
        Assert.That(Filled(any.Result(0, 1)), Is.EqualTo(new[] { (2, 1, 0), (6, 1, 1) }));
    }

    [Test]
    public void An_answer_below_the_threshold_is_unsure_and_one_at_it_is_not()
    {
        var prediction = new Prediction(0, "a", [0, 0, 0], new ClassProbabilities(["a", "b", "c"], [0.5, 0.3, 0.2]));
        Assert.That((prediction.IsUnsure(0), prediction.IsUnsure(0.5), prediction.IsUnsure(0.51)),
            Is.EqualTo((false, false, true)));
        Assert.That(() => prediction.IsUnsure(1.1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => prediction.IsUnsure(double.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That((prediction with { IsMultiLabel = true }).IsUnsure(0.51), "no class reaches it");
    }

    private static AnswerCalibration Counted(params (double Probability, bool IsRight)[] answers)
    {
        var calibration = new AnswerCalibration();
        foreach (var (probability, isRight) in answers)
        {
            calibration.Add(probability, isRight);
        }
        return calibration;
    }

    private static IEnumerable<(int Bin, int Count, int Right)> Filled(Evaluation result) =>
        result.Calibration.Bins.Select((bin, i) => (i, bin.Count, bin.Right)).Where(bin => bin.Count > 0);

    private static float[] Logits(params double[] probabilities) => [.. probabilities.Select(p => (float)Math.Log(p))];

    private static EncodedExample Example(int label, params int[] classes) =>
        new([1], label) { Classes = classes.Length == 0 ? null : classes };
}
