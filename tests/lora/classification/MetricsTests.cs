using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Classification;

/// <summary>
/// Precision, recall and F1 by class and on average, counted by hand by scikit-learn's definitions
/// (zero_division 0).
/// </summary>
internal class MetricsTests
{
    // [true][predicted] of the classes a, b, c, and d, which neither is nor is predicted
    private static readonly int[][] Confusion = [[3, 1, 0, 0], [1, 2, 1, 0], [0, 2, 0, 0], [0, 0, 0, 0]];

    [Test]
    public void Averages_are_those_of_scikit_learn()
    {
        var result = Counted();
        Assert.That(result.Confusion, Is.EqualTo(Confusion));
        Assert.That(result.Classes, Is.EqualTo(new ClassScore[] { new(4, 4, 3), new(4, 5, 2), new(2, 1, 0),
            new(0, 0, 0) }));
        Assert.That(result.Classes.Select(one => one.Precision), Is.EqualTo(new[] { 0.75, 0.4, 0, 0 }).Within(1e-12));
        Assert.That(result.Classes.Select(one => one.Recall), Is.EqualTo(new[] { 0.75, 0.5, 0, 0 }).Within(1e-12));
        Assert.That(result.Classes.Select(one => one.F1), Is.EqualTo(new[] { 0.75, 4 / 9.0, 0, 0 }).Within(1e-12));
        Assert.That((double[])[result.MacroPrecision, result.MacroRecall, result.MacroF1],
            Is.EqualTo(new[] { 1.15 / 3, 1.25 / 3, (0.75 + 4 / 9.0) / 3 }).Within(1e-12), "d does not count");
        Assert.That((double[])[result.WeightedPrecision, result.WeightedRecall, result.WeightedF1],
            Is.EqualTo(new[] { 0.46, 0.5, (3 + 16 / 9.0) / 10 }).Within(1e-12));
        Assert.That(result.WeightedRecall, Is.EqualTo(result.Accuracy).Within(1e-12));
        Assert.That((result.Score.MacroF1, result.Score.WeightedF1), Is.EqualTo((result.MacroF1, result.WeightedF1)));
    }

    [Test]
    public void Of_sets_of_classes_every_class_counts()
    {
        var counts = new EvaluationCounts(3, isMultiLabel: true);
        void Add(int[] truth, params float[] logits) =>
            counts.Add(new EncodedExample([2, 3], TextExample.NoLabel) { Classes = truth }, logits);
        Add([0], 1, -1, -1);
        Add([0, 1], 1, -1, -1);
        var result = counts.Result(4, 1);
        Assert.That((result.MacroF1, result.WeightedF1), Is.EqualTo((1 / 3.0, 2 / 3.0)), "of F1 1, 0 and 0");
    }

    [Test]
    public void The_table_fits_80_columns_and_names_every_class()
    {
        string[] labels = ["a", "b", new('c', 100), "d"];
        var lines = ClassTable.Of(Counted(), labels).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.All.Length.LessThanOrEqualTo(80));
        Assert.That(lines.Select(line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[0]),
            Is.EqualTo(new[] { "class", "a", "b", $"{new string('c', 33)}…", "d", "macro", "weighted" }));
        Assert.That(lines[2], Does.EndWith("    40.00 %    50.00 %    44.44 %          4"));
        Assert.That(lines[^2], Does.EndWith("    38.33 %    41.67 %    39.81 %         10"));
        Assert.That(lines[^1], Does.EndWith("    46.00 %    50.00 %    47.78 %         10"));
    }

    private static readonly Score Less = new(10, 5, 0.4, 1, 1) { MacroF1 = 0.5, WeightedF1 = 0.5 };

    [TestCase(ScoreMetric.Accuracy, 6, 0.1, 0.1, 0.9, true)]
    [TestCase(ScoreMetric.Accuracy, 5, 0.1, 0.1, 0.3, true)]
    [TestCase(ScoreMetric.Accuracy, 5, 0.9, 0.9, 0.4, false)]
    [TestCase(ScoreMetric.MacroF1, 4, 0.6, 0.1, 0.9, true)]
    [TestCase(ScoreMetric.MacroF1, 9, 0.4, 0.9, 0.1, false)]
    [TestCase(ScoreMetric.MacroF1, 4, 0.5, 0.1, 0.3, true)]
    [TestCase(ScoreMetric.WeightedF1, 4, 0.1, 0.6, 0.9, true)]
    [TestCase(ScoreMetric.WeightedF1, 9, 0.9, 0.4, 0.1, false)]
    [TestCase(ScoreMetric.Loss, 4, 0.1, 0.1, 0.3, true)]
    [TestCase(ScoreMetric.Loss, 9, 0.9, 0.9, 0.5, false)]
    [TestCase(ScoreMetric.Loss, 9, 0.9, 0.9, 0.4, false)]
    public void A_state_is_better_in_the_metric_or_by_its_loss(ScoreMetric metric, int correct, double macro,
        double weighted, double loss, bool isBetter) => Assert.That(
            new Score(10, correct, loss, 1, 1) { MacroF1 = macro, WeightedF1 = weighted }.IsBetterThan(Less, metric),
            Is.EqualTo(isBetter));

    [Test]
    public void Mistakes_come_with_the_surest_first()
    {
        EncodedExample[] examples = [new([2, 3], 0), new([2, 3], 1), new([2, 3], 1), new([2, 3], 2)];
        var mistakes = new Mistakes(examples);
        mistakes.Add(0, [1, 3, 1]);             // wrong, e³ of e³ + 2e
        mistakes.Add(1, [0, 1, 0]);
        mistakes.Add(2, [9, 0, 0]);             // wrong, and sure of it
        mistakes.Add(3, [1, 3, 1]);             // as sure as the first
        Assert.That(mistakes.SurestFirst.Select(mistake => (mistake.Index, mistake.Predicted[0])),
            Is.EqualTo(new[] { (2, 0), (0, 1), (3, 1) }));
        Assert.That(mistakes.SurestFirst[1].Probability,
            Is.EqualTo(Math.Exp(3) / (Math.Exp(3) + 2 * Math.E)).Within(1e-12));
    }

    [Test]
    public void A_wrong_set_of_classes_is_as_sure_as_its_surest_wrong_decision()
    {
        EncodedExample[] examples = [new([2, 3], -1) { Classes = [0, 2] }, new([2, 3], -1) { Classes = [1] }];
        var mistakes = new Mistakes(examples);
        mistakes.Add(0, [1, 0.5f, -2]);         // 1 too much, 2 too little
        mistakes.Add(1, [-1, 1, -1]);           // right
        Assert.That(mistakes.SurestFirst.Single().Predicted, Is.EqualTo(new[] { 0, 1 }));
        Assert.That(mistakes.SurestFirst.Single().Probability, Is.EqualTo(1 / (1 + Math.Exp(-2))).Within(1e-12));
    }

    private static Evaluation Counted()
    {
        var counts = new EvaluationCounts(4, isMultiLabel: false);
        for (var label = 0; label < 4; label++)
        {
            for (var predicted = 0; predicted < 4; predicted++)
            {
                for (var i = 0; i < Confusion[label][predicted]; i++)
                {
                    var logits = new float[4];
                    logits[predicted] = 1;
                    counts.Add(new EncodedExample([2, 3], label), logits);
                }
            }
        }
        return counts.Result(tokens: 20, seconds: 1);
    }
}
