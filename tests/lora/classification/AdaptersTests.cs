using LoraScratch.Engine;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;
using LoraScratch.Tests.Threads;

namespace LoraScratch.Tests.Classification;

/// <summary>Several adapters on one base, each asked by its name.</summary>
public sealed class AdaptersTests
{
    private static readonly string[] Texts =
        [.. Enumerable.Range(0, 40).Select(i => string.Join(' ', Enumerable.Range(0, 1 + i % 7)
            .Select(j => $"w{(char)('a' + (5 * i + 3 * j) % 24)}")))];

    private TemporaryFolder folder = null!;
    private CpuBackend backend = null!;

    [OneTimeSetUp]
    public void Train()
    {
        folder = new TemporaryFolder();
        backend = new CpuBackend(threads: 2);
        using (var model = TinyDistilBert.Classifier(backend: backend))
        {
            model.Save(Base);
        }
        TrainOn(TinyDistilBert.Sentences(24, 1), "mood", ["bad", "good"], newHead: true, ["query", "value"]);
        TrainOn([.. TinyDistilBert.Sentences(24, 2).Select((text, i) => text with { Label = i % 3 })], "topic",
            ["plot", "cast", "music"], newHead: true, ["query", "key", "mlp"]);
        TrainOn(TinyDistilBert.Sentences(24, 3), "plain", ["neg", "pos"], newHead: false, ["value"]);
    }

    [OneTimeTearDown]
    public void Clean()
    {
        backend.Dispose();
        folder.Dispose();
    }

    private string Base => folder.File("base");

    [Test]
    public void Each_answers_as_it_does_alone_and_the_base_stands_in_memory_once()
    {
        using var classifier = Load("mood");
        var words = classifier.Model.Encoder.WordTable;
        var before = backend.Memory.InUse;
        classifier.AddAdapter("subject", folder.File("topic"));
        classifier.AddAdapter("plain", folder.File("plain"));
        Assert.That(classifier.Adapters, Is.EqualTo(new[] { "mood", "subject", "plain" }));
        Assert.That(backend.Memory.InUse - before, Is.LessThan(classifier.Model.WeightBytes()), "no copy of the base");
        Assert.That(classifier.Model.Encoder.WordTable, Is.SameAs(words));
        Assert.That(classifier.LabelsOf("subject"), Is.EqualTo(new[] { "plot", "cast", "music" }));
        Assert.That(classifier.Labels, Is.EqualTo(new[] { "bad", "good" }));

        using var mood = Load("mood");
        using var topic = Load("topic");
        using var plain = Load("plain");
        using var alone = TextClassifier.Load(Base, backend: backend);
        foreach (var text in Texts)
        {
            AssertSame(classifier.Predict(text), mood.Predict(text));
            AssertSame(classifier.Predict(text, adapter: "subject"), topic.Predict(text));
            AssertSame(classifier.Predict(text, "base"), alone.Predict(text));
            AssertSame(classifier.Predict(text, "plain"), plain.Predict(text));
            AssertSame(classifier.Predict(text, "mood"), mood.Predict(text));
        }
        Assert.That(classifier.Predict(Texts, adapter: "subject").Select(answer => answer.Label),
            Is.EqualTo(topic.Predict(Texts).Select(answer => answer.Label)));
    }

    [Test]
    public async Task They_are_mixed_in_one_call()
    {
        using var classifier = Load("mood");
        classifier.AddAdapter("topic", folder.File("topic"));
        string?[] names = [null, "topic", "base", "mood"];
        TextInput[] inputs = [.. Texts.Select((text, i) => new TextInput(text, Adapter: names[i * i % 4]))];
        var expected = inputs.Select(input => classifier.Predict(input)).ToArray();
        AssertSame(classifier.Predict(inputs, batchSize: 16), expected);
        AssertSame(await Task.WhenAll(inputs.Select(input => classifier.PredictAsync(input))), expected);
        var streamed = new List<Prediction>();
        await foreach (var answer in classifier.PredictAsync(inputs))
        {
            streamed.Add(answer);
        }
        AssertSame(streamed, expected);
    }

    [Test]
    public void Callers_of_different_adapters_get_the_answers_that_they_get_alone([Values(2, 16)] int callers)
    {
        using var classifier = Load("mood");
        classifier.AddAdapter("topic", folder.File("topic"));
        string[] names = ["mood", "topic", "base"];
        var expected = names.ToDictionary(name => name,
            name => Texts.Select(text => classifier.Predict(text, name).Logits).ToArray());
        var wrong = 0;
        Callers.Run(callers, caller =>
        {
            for (var i = 0; i < 240 / callers; i++)
            {
                var (name, text) = (names[(caller + i) % 3], (7 * caller + i) % Texts.Length);
                var answer = i % 2 == 0 ? classifier.Predict(Texts[text], name)
                    : classifier.PredictAsync(new TextInput(Texts[text], Adapter: name)).GetAwaiter().GetResult();
                if (!answer.Logits.SequenceEqual(expected[name][text]))
                {
                    Interlocked.Increment(ref wrong);
                }
                if (caller == 0 && i % 30 == 10)
                {
                    classifier.AddAdapter($"late {i}", folder.File("plain"));
                }
            }
        });
        Assert.That(wrong, Is.Zero, "of 240 answers");
    }

    [Test]
    public void An_adapter_may_be_added_while_a_list_is_answered()
    {
        using var classifier = Load("mood");
        var expected = classifier.Predict(Texts).Select(answer => answer.Logits).ToArray();
        using var answers = classifier.Predict(Texts, batchSize: 1).GetEnumerator();
        for (var i = 0; answers.MoveNext(); i++)
        {
            Assert.That(answers.Current.Logits, Is.EqualTo(expected[i]));
            if (i == 3)
            {
                classifier.AddAdapter("topic", folder.File("topic"));
            }
            classifier.Predict(Texts[i], i < 3 ? "base" : "topic");
        }
    }

    [Test]
    public void Each_is_evaluated_by_its_name()
    {
        using var classifier = Load("mood");
        classifier.AddAdapter("topic", folder.File("topic"));
        var data = new TextDataset([("wa", "plot"), ("wb", "music"), ("wc wd", "cast")]);
        using var topic = Load("topic");
        Assert.That(classifier.Evaluate(data, adapter: "topic").Loss, Is.EqualTo(topic.Evaluate(data).Loss));
        Assert.That(() => classifier.Evaluate(data), Throws.TypeOf<InputException>().With.Message.Contains("plot"));
    }

    [Test]
    public void What_cannot_be_is_refused()
    {
        using var classifier = Load("mood");
        void Refuse(Action action, params string[] words)
        {
            var message = Assert.Throws<InputException>(action)!.Message;
            foreach (var word in words)
            {
                Assert.That(message, Does.Contain(word));
            }
        }
        Refuse(() => classifier.Predict("wa", "topic"), "no adapter 'topic'", "mood");
        Refuse(() => classifier.LabelsOf("topic"), "no adapter 'topic'");
        Refuse(() => classifier.AddAdapter("mood", folder.File("topic")), "another one has it");
        Refuse(() => classifier.AddAdapter("base", folder.File("topic")), "the model without any");
        Refuse(() => classifier.AddAdapter("topic", folder.File("nothing")), "nothing");
        Refuse(() => classifier.AddAdapter("topic", folder.File("topic"), labels: ["a"]), "3 classes");
        Refuse(() => classifier.Save(folder.File("saved")), "without adapters", "mood");
        Refuse(() => FineTuning.Start(classifier, new TextDataset([("a", "bad"), ("b", "good")])), "Fine-tuning",
            "mood");
        Assert.That(classifier.Adapters, Is.EqualTo(new[] { "mood" }), "nothing has changed");
        classifier.AddAdapter("topic", folder.File("topic"));

        using var other = new TextClassifier(new EncoderForSequenceClassification(TinyDistilBert.Config, seed: 77,
            backend), classifier.Tokenizer);
        Refuse(() => other.AddAdapter("mood", folder.File("mood")), "another base");
        other.AddAdapter("mood", folder.File("mood"), anyBase: true);
        Assert.That(other.Predict("wa", "mood").Label, Is.AnyOf("bad", "good"));
    }

    [Test]
    public void A_model_that_is_trained_gets_no_adapter()
    {
        using var classifier = TextClassifier.Load(Base, backend: backend);
        var tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(8, 1), null,
            new TrainingOptions { Epochs = 1, BatchSize = 4 });
        Exception? refused = null;
        tuning.Training.StepDone += _ => refused ??= Assert.Catch(() =>
            classifier.AddAdapter("topic", folder.File("topic")));
        tuning.Run();
        Assert.That(refused, Is.TypeOf<InvalidOperationException>().With.Message.Contains("training is under way"));
    }

    [Test]
    public void Their_memory_goes_with_the_classifier()
    {
        using var own = new CpuBackend(threads: 1);
        var classifier = TextClassifier.Load(folder.File("mood"), baseModel: Base, backend: own);
        classifier.AddAdapter("topic", folder.File("topic"));
        classifier.Predict("wa", "topic");
        classifier.Dispose();
        Assert.That(own.Memory.InUse, Is.Zero);
    }

    private TextClassifier Load(string name) => TextClassifier.Load(folder.File(name), backend: backend);

    private void TrainOn(EncodedExample[] texts, string name, string[] labels, bool newHead, string[] targets)
    {
        using var model = ModelSource.Folder(Base).Open();
        using var classifier = new TextClassifier(model.Load(seed: 9, labels, newHead, backend), model.Source);
        var tuning = FineTuning.Start(classifier, texts, null, new TrainingOptions
        {
            Epochs = 2,
            BatchSize = 4,
            LearningRate = 0.02f,
            Targets = targets,
            Lora = new LoRASettings(2, 3),
            TrainHead = newHead,
        });
        tuning.Run();
        tuning.Save(folder.File(name));
    }

    private static void AssertSame(Prediction found, Prediction expected) =>
        Assert.That((found.Label, string.Join(' ', found.Logits.Select(BitConverter.SingleToInt32Bits))),
            Is.EqualTo((expected.Label, string.Join(' ', expected.Logits.Select(BitConverter.SingleToInt32Bits)))));

    private static void AssertSame(IEnumerable<Prediction> found, IReadOnlyList<Prediction> expected)
    {
        var all = found.ToList();
        Assert.That(all, Has.Count.EqualTo(expected.Count));
        foreach (var (one, other) in all.Zip(expected))
        {
            AssertSame(one, other);
        }
    }
}
