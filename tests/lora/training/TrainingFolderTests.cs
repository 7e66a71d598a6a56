using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

public class TrainingFolderTests
{
    private static readonly TrainingOptions Options =
        new() { Lora = new LoRASettings(4, 8), Epochs = 2, BatchSize = 8, LearningRate = 0.01f, Seed = 5 };
    private static readonly EncodedExample[] Texts = TinyDistilBert.Sentences(30, 1);

    [TestCase(TrainingMethod.LastLayers)]
    [TestCase(TrainingMethod.Full)]
    public void A_run_without_LoRA_leaves_a_model_that_loads_and_computes_the_same(TrainingMethod method)
    {
        using var folder = new TemporaryFolder();
        var classifier = TinyDistilBert.Classifier();
        Run(folder.File("out"), classifier, Options with { Method = method });
        var again = new TextClassifier(ModelFolder.Load(folder.File("out")));
        Assert.That(Logits(again), Is.EqualTo(Logits(classifier)));
        Assert.That(again.IsHeadUntrained, Is.False);
    }

    [TestCase(true)]
    [TestCase(false)]
    public void A_LoRA_run_leaves_an_adapter_that_makes_the_base_compute_the_same(bool trainHead)
    {
        using var folder = new TemporaryFolder();
        var classifier = TinyDistilBert.Classifier();
        Run(folder.File("out"), classifier, Options with { TrainHead = trainHead });
        var again = TinyDistilBert.Classifier();
        Assert.That(Logits(again), Is.Not.EqualTo(Logits(classifier)), "the adapter must have changed something");
        PeftAdapter.Load(folder.File("out"), again.Model);
        Assert.That(Logits(again), Is.EqualTo(Logits(classifier)));
    }

    [Test]
    public void A_frozen_head_that_was_drawn_is_stored_with_the_adapter()
    {
        using var folder = new TemporaryFolder();
        var loaded = TinyDistilBert.Classifier();
        var classifier = new TextClassifier(loaded.Model, loaded.Tokenizer, isHeadUntrained: true);
        var result = Run(folder.File("out"), classifier, Options with { TrainHead = false });
        Assert.That(result.TrainableParameters, Is.EqualTo(2 * 2 * 4 * (12 + 12)),
            "q and v of two blocks at rank 4, and no head");
        var otherHead = new TextClassifier(new EncoderForSequenceClassification(loaded.Model.Config, seed: 99),
            loaded.Tokenizer);
        foreach (var ((path, ours), (_, base_)) in otherHead.Model.NamedParameters()
            .Zip(TinyDistilBert.Classifier().Model.NamedParameters()))
        {
            if (path.StartsWith("distilbert.", StringComparison.Ordinal))
            {
                ours.Set(base_.ToArray());
            }
        }
        PeftAdapter.Load(folder.File("out"), otherHead.Model);
        Assert.That(Logits(otherHead), Is.EqualTo(Logits(classifier)));
    }

    [Test]
    public void Training_goes_on_from_an_adapter()
    {
        using var folder = new TemporaryFolder();
        var first = TinyDistilBert.Classifier();
        Run(folder.File("first"), first, Options);
        var second = TinyDistilBert.Classifier();
        var options = Options with { InitialAdapter = folder.File("first"), LearningRate = 1e-3f };
        var tuning = FineTuning.Start(second, Texts, null, options);
        Assert.That(Logits(second), Is.EqualTo(Logits(first)));
        Assert.That(tuning.Adapter!.Plan.Settings.Rank, Is.EqualTo(4));
        tuning.Save(folder.File("second"), tuning.Run(), "base");
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.File("second"), "training.json")));
        Assert.That(json.RootElement.GetProperty("options").GetProperty("init-adapter").GetString(),
            Is.EqualTo(folder.File("first")));
    }

    [Test]
    public void Options_classes_and_every_step_are_written()
    {
        using var folder = new TemporaryFolder();
        Run(folder.File("out"), TinyDistilBert.Classifier(), Options);
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.File("out"), "training.json")));
        var options = json.RootElement.GetProperty("options");
        Assert.That((options.GetProperty("method").GetString(), options.GetProperty("weight-decay").GetSingle(),
            options.GetProperty("max-length").GetInt32(), options.GetProperty("train-head").GetBoolean()),
            Is.EqualTo(("lora", 0.01f, 16, true)));
        Assert.That(json.RootElement.GetProperty("steps").GetInt32(), Is.EqualTo(8));
        Assert.That(RunFiles.ReadTask(folder.File("out"))!.Labels, Is.EqualTo(new[] { "neg", "pos" }));
        var lines = File.ReadAllLines(Path.Combine(folder.File("out"), "metrics.jsonl"));
        Assert.That(lines, Has.Length.EqualTo(8));
        Assert.That(JsonDocument.Parse(lines[^1]).RootElement.GetProperty("step").GetInt32(), Is.EqualTo(8));
    }

    [Test]
    public void A_later_run_replaces_an_earlier_one_if_it_may_but_nothing_else()
    {
        using var folder = new TemporaryFolder();
        Run(folder.File("out"), TinyDistilBert.Classifier(), Options);
        var second = Options with { Method = TrainingMethod.LastLayers };
        Assert.That(() => Run(folder.File("out"), TinyDistilBert.Classifier(), second),
            Throws.TypeOf<InputException>().With.Message.Contains("option 'overwrite'"));
        Run(folder.File("out"), TinyDistilBert.Classifier(), second, overwrite: true);
        Assert.That(File.Exists(Path.Combine(folder.File("out"), "adapter_config.json")), Is.False);
        File.WriteAllText(Path.Combine(folder.File("out"), "notes.txt"), "mine");
        Assert.That(() => TrainingFolder.Reserve(folder.File("out"), overwrite: true),
            Throws.TypeOf<InputException>().With.Message.Contains("notes.txt"));
    }

    private static TrainingResult Run(
        string folder, TextClassifier classifier, TrainingOptions options, bool overwrite = false)
    {
        var tuning = FineTuning.Start(classifier, Texts, null, options);
        var result = tuning.Run();
        tuning.Save(folder, result, "base", overwrite);
        return result;
    }

    private static float[] Logits(TextClassifier classifier) =>
        [.. classifier.Predict(["wa wc we", "wn", "wm wb wx wq"]).SelectMany(prediction => prediction.Logits)];
}
