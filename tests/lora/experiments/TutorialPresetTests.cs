using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Experiments;

/// <summary>
/// The tutorial's experiment: its numbers of parameters, its settings, and its very split.
/// </summary>
public class TutorialPresetTests
{
    [Test]
    public void The_presets_train_as_many_parameters_as_the_tutorial_says()
    {
        var counts = Counts(
            Tutorial.Default,
            Tutorial.Default with { Method = TrainingMethod.LastLayers, TrainHead = null },
            Tutorial.Default with { Method = TrainingMethod.Full, TrainHead = null },
            Tutorial.Best);
        Assert.That(counts, Is.EqualTo(new long[] { 147_456, 592_130, 66_955_010, 516_096 }));
        Assert.That(MethodTable.Ratio(counts[0], counts[1]), Is.EqualTo("4x fewer"));
        Assert.That(MethodTable.Ratio(counts[0], counts[2]), Is.EqualTo("454x fewer"));
    }

    [TestCase(5, 5, "as many")]
    [TestCase(4096, 4290, "about as many")]
    [TestCase(130, 100, "1.3x more")]
    [TestCase(10, 99, "9.9x fewer")]
    [TestCase(10, 9994, "999x fewer")]
    public void Ratios_are_told_as_the_tutorial_tells_them(long ours, long theirs, string expected) =>
    Assert.That(MethodTable.Ratio(ours, theirs), Is.EqualTo(expected));

    [Test]
    public void LoRA_of_the_tutorial_has_its_literal_settings()
    {
        var options = Tutorial.Default;
        Assert.That(options.Lora.Scaling, Is.EqualTo(16), "alpha itself, not alpha/rank");
        Assert.That((options.Lora.Initialization, options.Lora.Dropout, options.TrainHead, options.Optimizer,
            options.ResolvedLearningRate, options.ResolvedWeightDecay),
            Is.EqualTo((LoRAInitialization.Normal, 0f, (bool?)false, OptimizerKind.Adam, 5e-5f, 0f)));
        Assert.That((options.Clip, options.Warmup, options.Schedule, options.Epochs, options.BatchSize,
            options.Accumulate), Is.EqualTo((0f, 0.0, ScheduleKind.Constant, 3, 12, 1)));
        Assert.That((Tutorial.Best.Lora.Scaling, string.Join(',', Tutorial.Best.Targets!)),
            Is.EqualTo((1f, "query,value,mlp")));
        Assert.That((int)Math.Ceiling(35_000 / 12.0) * 3, Is.EqualTo(3 * 2917));
    }

    [Test]
    public void The_head_stays_as_it_was_drawn()
    {
        var classifier = new TextClassifier(TinyDistilBert.Classifier().Model,
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary), isHeadUntrained: true);
        var adapter = TrainingSetup.Prepare(classifier,
            Tutorial.Default with { Lora = Tutorial.Default.Lora with { Rank = 2 } })!;
        Assert.That(classifier.Model.TrainableParameters(),
            Is.EquivalentTo(adapter.Layers.SelectMany(layer => new[] { layer.Layer.Lora.A, layer.Layer.Lora.B })));
        Assert.That(() => TrainingSetup.Prepare(
            new TextClassifier(TinyDistilBert.Classifier().Model, classifier.Tokenizer, isHeadUntrained: true),
                Tutorial.Default with { Targets = LoRATargets.Names }),
            Throws.Nothing, "the tutorial's grid adapts the drawn head by LoRA");
    }

    [Test]
    public void Permutations_are_those_of_NumPy()
    {
        // numpy 1.24: RandomState(seed).permutation(n)
        Assert.That(NumpyPermutation.Random(10, 0), Is.EqualTo(new[] { 2, 8, 4, 9, 1, 6, 7, 3, 0, 5 }));
        Assert.That(NumpyPermutation.Random(17, 1),
            Is.EqualTo(new[] { 3, 13, 7, 2, 6, 10, 4, 1, 14, 0, 16, 15, 9, 8, 12, 11, 5 }));
        Assert.That(NumpyPermutation.Random(1, 7), Is.EqualTo(new[] { 0 }));
    }

    [Test]
    public void The_split_is_that_of_the_script_row_by_row()
    {
        var all = new TextDataset(Enumerable.Range(0, 50_000).Select(i => new TextExample($"{i}", i % 2, $"row {i}")),
            LabelSet.Sentiment, "reviews");
        var (train, validation, test) = Tutorial.Split.Part(all);
        Assert.That((train.Examples.Count, validation.Examples.Count, test.Examples.Count),
            Is.EqualTo((35_000, 5_000, 10_000)));
        int[] order = [.. train.Examples.Concat(validation.Examples).Concat(test.Examples)
            .Select(example => int.Parse(example.Text, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.That(order[..4].Concat(order[35_000..35_003]).Concat(order[^3..]),
            Is.EqualTo(new[] { 46198, 12925, 44852, 26174, 16701, 8332, 48843, 40566, 20239, 34147 }));
        // np.random.seed(0); first = np.random.permutation(50000);
        // sha256(first[np.random.RandomState(1).permutation(50000)] as little-endian int32)
        Assert.That(Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<int>(order))),
            Is.EqualTo("8f1827fa0e3cda378b1d77f49764d9b2111afc73a5b982b8a3170af79fe14906"));
    }

    [Test]
    public void A_stratified_split_gives_each_part_the_same_shares_of_the_classes()
    {
        var all = new TextDataset(Enumerable.Range(0, 1000)
            .Select(i => new TextExample($"{i}", i < 300 ? 0 : 1, $"row {i}")), LabelSet.Sentiment, "reviews");
        var (train, validation, test) = new SplitOptions().Part(all);
        Assert.That(new[] { train, validation,
            test }.Select(part => (part.CountPerLabel()[0], part.CountPerLabel()[1])),
            Is.EqualTo(new[] { (210, 490), (30, 70), (60, 140) }));
        Assert.That(train.Examples.Concat(validation.Examples).Concat(test.Examples).Select(example => example.Text)
            .Distinct().Count(), Is.EqualTo(1000), "no row twice");
    }

    [TestCase(0, 0.2, "Option 'validation' is 0")]
    [TestCase(0.1, 0.95, "Option 'test' is 0.95")]
    public void Shares_that_leave_a_part_empty_are_refused(double validation, double test, string expected) =>
        Assert.That(() => new SplitOptions(SplitRule.Stratified, validation, test).Check(),
            Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [Test]
    public void Both_halves_of_the_reviews_come_in_the_order_of_the_script()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in new[] { "train/neg/1_1", "train/pos/0_9", "test/neg/2_2", "test/neg/10_2",
            "test/pos/3_8" })
        {
            var path = folder.File($"{name}.txt");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, name);
        }
        Assert.That(TextDataset.LoadAll(folder.Root).Examples.Select(example => example.Text),
            Is.EqualTo(new[] { "test/pos/3_8", "test/neg/10_2", "test/neg/2_2", "train/pos/0_9", "train/neg/1_1" }));
    }

    /// <summary>On one model of the real size, without drawing its 66 million weights.</summary>
    private static long[] Counts(params TrainingOptions[] options)
    {
        var model = new EncoderForSequenceClassification(new EncoderConfig(), 0, null, draw: false);
        var classifier = new TextClassifier(model, WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary),
            isHeadUntrained: true);
        var counts = options.Select(choice =>
        {
            var adapter = TrainingSetup.Prepare(classifier, choice);
            var count = classifier.Model.TrainableParameters().Sum(parameter => (long)parameter.Shape.Count);
            adapter?.Detach();
            return count;
        }).ToArray();
        foreach (var parameter in model.Parameters())
        {
            parameter.Dispose();
        }
        return counts;
    }
}
