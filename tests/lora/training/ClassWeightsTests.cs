using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;
using static LoraScratch.Tests.Lora.ReferenceNumbers;

namespace LoraScratch.Tests.Lora;

/// <summary>How much a class weighs in the loss.</summary>
internal class ClassWeightsTests
{
    private static readonly float[] Weights = [0.5f, 2, 3.5f];      // of tests/reference/classweights.py
    private static readonly string[] Names = ["ham", "spam", "a,b"];

    [TestCase(4)]
    [TestCase(3)]
    [TestCase(1)]
    public void Losses_and_LoRA_weights_of_AdamW_steps_equal_PyTorchs(int examplesOfBatch)
    {
        var expected = ReferenceNumbers.Load("classweights.json");
        EncodedExample[] examples =
            [.. TinyDistilBert.Texts.Zip(TinyDistilBert.Labels, (ids, label) => new EncodedExample(ids, label))];
        var classifier = new TextClassifier(TinyDistilBert.Create(),
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary));
        var adapter = TinyDistilBert.Adapt(classifier.Model);
        ITrainingTask task = new ClassificationTask(classifier, adapter, new TrainingOptions(), Weights);
        using var optimizer = new AdamW(classifier.Model.TrainableParameters(), 0.02f, weightDecay: 0.1f);
        var losses = new List<double>();
        for (var step = 0; step < 4; step++)
        {
            optimizer.ZeroGradient();
            // several batches a step: Σ w·l / Σ w goes over all of them, not over each
            using var loss = task.AddGradients(
                [.. examples.Chunk(examplesOfBatch).Select(part => PackedBatch.Of(part))], epoch: 1);
            losses.Add(loss.Item());
            optimizer.Step();
        }
        Assert.That(losses, Is.EqualTo(Numbers(expected.GetProperty("losses"))).Within(1e-5));
        foreach (var (path, layer) in adapter.Layers)
        {
            foreach (var (name, values) in new[] { ("A", layer.Lora.A.ToArray()), ("B", layer.Lora.B.ToArray()) })
            {
                Assert.That(values.Select(value => (double)value), Is.EqualTo(Numbers(
                    expected.GetProperty("weights").GetProperty($"{path}.{name}"))).Within(1e-4), path);
            }
        }
    }

    [Test]
    public void Balanced_weights_are_examples_over_classes_times_examples_of_the_class()
    {
        // six, three and one of ten; the fourth class has none and does not count
        var weights = ClassWeights.Of(new TrainingOptions { BalancedClasses = true }, [.. Names, "none"],
            Examples(6, 3, 1));
        Assert.That(weights, Is.EqualTo(new[] { 10 / 18f, 10 / 9f, 10 / 3f, 1 }).Within(1e-6));
    }

    [Test]
    public void Classes_that_are_not_named_weigh_1()
    {
        var options = ClassWeights.Read(new TrainingOptions(), "a,b=2.5,ham=1e-1");
        Assert.That(ClassWeights.Of(options, Names, Examples(1, 1, 1)), Is.EqualTo(new[] { 0.1f, 1, 2.5f }));
        Assert.That(ClassWeights.Text(options), Is.EqualTo("a,b=2.5,ham=0.1"));
        Assert.That(ClassWeights.Of(new TrainingOptions(), Names, Examples(1, 1, 1)), Is.Null);
    }

    [TestCase("")]
    [TestCase("heavy")]
    [TestCase("ham=")]
    [TestCase("ham=x,spam=2")]
    [TestCase("ham=1,ham=2")]
    [TestCase("ham=1,")]
    [TestCase("=1")]
    public void What_is_no_weight_is_refused(string text) =>
        Assert.That(() => ClassWeights.Read(new TrainingOptions(), text), Throws.TypeOf<InputException>().With.Message
            .Contains($"Option 'ClassWeights' is '{text}'; expected balanced, or weights by the names"));

    [Test]
    public void Unknown_classes_senseless_weights_and_sets_of_classes_are_refused()
    {
        void Refused(string text, string message, EncodedExample[]? examples = null) =>
            Assert.That(() => ClassWeights.Of(ClassWeights.Read(new TrainingOptions(), text), Names,
                examples ?? Examples(1, 1, 1)), Throws.TypeOf<InputException>().With.Message.Contains(message));
        Refused("Ham=2", "names 'Ham'; the classes are ham, spam, 'a,b'");
        Refused("ham=0", "has 0 for 'ham'; expected a number above 0");
        Refused("ham=1e-60", "has 1E-60 for 'ham'; expected a number above 0 that a float holds");
        Refused("ham=NaN", "has NaN for 'ham'");
        Refused("ham=1e300", "has 1E+300 for 'ham'");
        Refused("balanced", "any number of classes may hold for a text (multi-label)",
            [new EncodedExample([2, 3], TextExample.NoLabel) { Classes = [0, 1] }]);
        Assert.That(new TrainingOptions
        {
            BalancedClasses = true,
            ClassWeights = new Dictionary<string, double>(),
        }.Check, Throws.TypeOf<InputException>().With.Message.Contains("Give one of them"));
    }

    [Test]
    public void A_rare_class_that_weighs_more_is_found_more_often()
    {
        // 90 of one class and 10 of the other, whose words say nothing: the prior decides
        var examples = TinyDistilBert.Sentences(400, 1).Select((example, i) => example with
        {
            Label = i % 10 == 0 ? 1 : 0,
        }).ToArray();
        Assert.That(Found(balanced: false), Is.Zero);
        Assert.That(Found(balanced: true), Is.GreaterThan(10), "of 40");

        int Found(bool balanced)
        {
            var classifier = TinyDistilBert.Classifier();
            FineTuning.Start(classifier, examples, null, new TrainingOptions
            {
                Epochs = 2,
                LearningRate = 0.01f,
                BalancedClasses = balanced,
            }).Run();
            return classifier.Evaluate(examples).Classes[1].Correct;
        }
    }

    private static EncodedExample[] Examples(params int[] counts) =>
        [.. counts.SelectMany((count, label) => Enumerable.Repeat(new EncodedExample([2, 3], label), count))];
}
