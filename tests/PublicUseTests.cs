using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests;

/// <summary>
/// Programs that users of the library write. They take nothing but what is public, which
/// <see cref="PublicApiTests"/> compiles.
/// </summary>
public sealed class PublicUseTests
{
    private string folder = "";

    [SetUp]
    public void CreateFolder() => folder = Directory.CreateTempSubdirectory("lora-use-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    private string At(string name) => Path.Combine(folder, name);

    /// <summary>A model of one's own, with a child that LoRA can take the place of.</summary>
    private sealed class Classifier : Module
    {
        private readonly Submodule<Layer> first, second;
        private readonly Submodule<Embedding> words;
        private readonly Submodule<LayerNorm> norm;

        public Classifier(RandomStream random)
        {
            words = Add("words", new Embedding(20, 8, random));
            norm = Add("norm", new LayerNorm(8));
            first = Add<Layer>("first", new Linear(8, 16, random));
            second = Add<Layer>("second", new Linear(16, 2, random));
        }

        public Tensor Forward(Indices ids, SequenceOffsets offsets)
        {
            var x = norm.Value.Forward(words.Value.Forward(ids));
            x = Ops.Attention(x, x, x, offsets, heads: 2);
            return second.Value.Forward(first.Value.Forward(x).Gelu());
        }
    }

    /// <summary>Rounds, and passes the gradient on: an op with a gradient of its own.</summary>
    private static Tensor StraightThrough(Tensor x)
    {
        var y = Tensor.Result(x.Shape, x.Backend);
        y.Set([.. x.ToArray().Select(value => MathF.Round(value))]);
        return y.GradientFor(x, "dX += dY", (dY, dX) => dX.Add(dY));
    }

    private sealed class Listener(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }

    [Test]
    public void An_op_may_have_any_gradient()
    {
        using var backend = Device.Cpu(threads: 1);
        using var x = Tensor.From([0.4f, 1.6f], new Shape(2), backend, requiresGradient: true);
        StraightThrough(x).Sum().Backward();
        Assert.That(x.Gradient!.ToArray(), Is.EqualTo(new[] { 1f, 1f }));
    }

    [Test]
    public void A_model_of_ones_own_learns_through_LoRA_and_is_saved()
    {
        var random = new RandomStream(seed: 3);
        var model = new Classifier(random);
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(Rank: 2, Alpha: 4), ["first", "second"], random);
        using var ids = new Indices([1, 2, 3, 4, 5]);
        using var offsets = new SequenceOffsets([0, 2, 5]);
        using var labels = new Indices([0, 1, 0, 1, 1]);
        using var optimizer = new Adam(model.TrainableParameters(), learningRate: 1e-2f);
        float Loss(bool learn)
        {
            using var scope = new TensorScope();
            var loss = model.Forward(ids, offsets).CrossEntropy(labels);
            if (learn)
            {
                loss.Backward();
                optimizer.ClipGradients(1);
                optimizer.Step();
                optimizer.ZeroGradient();
            }
            return loss.Item();
        }
        var before = Loss(learn: true);
        for (var step = 0; step < 40; step++)
        {
            Loss(learn: true);
        }
        var after = Loss(learn: false);
        Assert.That(after, Is.LessThan(0.8 * before));

        PeftAdapter.Save(At("adapter"), adapter);
        SafeTensorsFile.Write(At("model.safetensors"), model.NamedParameters()
            .Where(entry => !entry.Path.Contains("lora", StringComparison.Ordinal))
            .Select(entry => (entry.Path.Replace(".linear.", ".", StringComparison.Ordinal), entry.Parameter)));

        var other = new Classifier(new RandomStream(seed: 4));
        using (var file = SafeTensorsFile.Open(At("model.safetensors")))
        {
            foreach (var (path, parameter) in other.NamedParameters())
            {
                file.Read(path, parameter);
            }
            Assert.That(file.ShapeOf("first.weight"), Is.EqualTo(new long[] { 16, 8 }));
        }
        model = other;
        PeftAdapter.Attach(At("adapter"), model).Merge();
        Assert.That(Loss(learn: false), Is.EqualTo(after).Within(1e-5));
    }

    [Test]
    public void Pairs_and_sets_of_labels_are_trained_from_a_program()
    {
        var options = new TrainingOptions { LearningRate = 5e-3f, Epochs = 10, BatchSize = 4, Validation = 0 };
        using var backend = Device.Cpu();
        var pairs = TextDataset.OfPairs([("good?", "a lovely film", "yes"), ("good?", "a dull film", "no"),
            ("good?", "wonderful", "yes"), ("good?", "boring", "no")]);
        var tuning = FineTuning.Start(TextClassifier.BuiltIn(pairs.Classes, backend: backend), pairs, options);
        tuning.Run();
        tuning.Save(At("paired"));
        var paired = TextClassifier.Load(At("paired"), backend: backend);
        Assert.That(paired.ReadsPairs);
        Assert.That(paired.Predict(("good?", "a lovely film")).Logits,
            Is.EqualTo(tuning.Classifier.Predict(new TextInput("good?", "a lovely film")).Logits).Within(1e-6));
        Assert.That(paired.Predict([("good?", "dull"), ("good?", "wonderful")]).Select(answer => answer.Label),
            Is.EqualTo(new[] { "no", "yes" }));
        Assert.That(() => paired.Predict("a lovely film"), Throws.TypeOf<InputException>());
        Assert.That(() => paired.Predict(["a lovely film"]), Throws.TypeOf<InputException>());

        var sets = TextDataset.OfLabelSets([("a lovely plot", ["plot", "praise"]), ("a dull cast", []),
            ("wonderful", ["praise"]), ("the plot", ["plot"])]);
        Assert.That(sets.CountPerLabel(), Is.EqualTo(new[] { 2, 2 }));
        tuning = FineTuning.Start(TextClassifier.BuiltIn(sets.Classes, backend: backend, isMultiLabel: true), sets,
            options);
        tuning.Run();
        tuning.Save(At("sets"));
        var several = TextClassifier.Load(At("sets"), backend: backend);
        var prediction = several.Predict(["a lovely plot"]).Single();
        Assert.That((several.IsMultiLabel, prediction.IsMultiLabel), Is.EqualTo((true, true)));
        Assert.That(prediction.Labels(threshold: 0), Is.EqualTo(new[] { "plot", "praise" }));
        Assert.That(several.Evaluate(sets).Classes, Has.Count.EqualTo(2));
        Assert.That(() => several.Evaluate(new TextDataset([("x", "plot"), ("y", "praise")])),
            Throws.TypeOf<InputException>().With.Message.Contains("multi-label"));
    }

    [Test]
    public void A_classifier_is_trained_saved_loaded_quantised_and_merged()
    {
        string[] good = ["a lovely film", "wonderful, warm and funny", "I liked it"];
        string[] bad = ["a dull film", "boring, cold and long", "I hated it"];
        var data = new TextDataset([.. good.Select(text => (text, "good")), .. bad.Select(text => (text, "bad"))]);
        using var backend = Device.Cpu();
        var tuning = FineTuning.Start(TextClassifier.BuiltIn(data.Classes, backend: backend), data,
            new TrainingOptions
            {
                Lora = new LoRASettings(Rank: 4),
                LearningRate = 5e-3f,
                Epochs = 10,
                BatchSize = 6,
                Validation = 0,
            });
        var losses = new List<float>();
        var result = tuning.Run(new Listener(progress => losses.Add(progress.Step.Loss)));
        tuning.Save(At("adapter"));
        Assert.That(losses, Has.Count.EqualTo(result.Steps));
        Assert.That(losses[^1], Is.LessThan(losses[0]));

        var classifier = TextClassifier.Load(At("adapter"), backend: backend);
        var expected = tuning.Classifier.Predict(good).ToArray();
        Assert.That(classifier.Labels, Is.EqualTo(new[] { "bad", "good" }));
        Assert.That(classifier.Predict(good).Select(prediction => prediction.Logits[0]),
            Is.EqualTo(expected.Select(prediction => prediction.Logits[0])).Within(1e-6));

        var alone = classifier.Evaluate(new TextDataset([(good[0], "good")]));
        Assert.That(alone.Confusion![1].Sum(), Is.EqualTo(1), "the id of a class is the model's");
        Assert.That(() => classifier.Evaluate(new TextDataset([(good[0], "fair")])),
            Throws.TypeOf<InputException>().With.Message.Contains("0 = fair"));

        tuning.Adapter!.MergeAndDetach();
        ModelQuantizer.Quantize(tuning.Classifier.Model, ["ffn.lin1"], bits: 8, groupSize: 16,
            calibrate: () => tuning.Classifier.Predict(good).Count());
        tuning.Classifier.Save(At("merged"));
        var merged = TextClassifier.Load(At("merged"), backend: backend);
        Assert.That(merged.Evaluate(data).Accuracy, Is.EqualTo(tuning.Classifier.Evaluate(data).Accuracy));
        Assert.That(merged.Predict(good).Select(prediction => prediction.Logits[0]),
            Is.EqualTo(expected.Select(prediction => prediction.Logits[0])).Within(0.1));
    }
}
