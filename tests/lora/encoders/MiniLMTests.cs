using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// A published BERT, all-MiniLM-L6-v2, against what ONNX Runtime computes with it.
/// </summary>
public class MiniLMTests
{
    private static readonly string Folder =
        Path.Combine(Environment.GetEnvironmentVariable("LORASCRATCH_DATA") ?? "", "minilm");

    [SetUp]
    public void RequireData()
    {
        if (!File.Exists(Path.Combine(Folder, "model.safetensors")))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with minilm/model.safetensors.");
        }
    }

    [Test]
    public void Hidden_states_and_pooled_output_are_those_of_ONNX_Runtime()
    {
        var model = ModelFolder.Load(Folder).Model;
        var pooler = model.NamedModules<Linear>().Single(entry => entry.Path == "bert.pooler.dense").Module;
        using var frozen = new NoGradient();
        var lines = File.ReadAllLines(Path.Combine(Folder, "reference.jsonl"));
        Assert.That(lines, Has.Length.EqualTo(3));
        foreach (var line in lines)
        {
            var expected = JsonDocument.Parse(line).RootElement;
            using var scope = new TensorScope();
            int[] ids = [.. expected.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            using var tokens = PackedTokens.From([ids]);
            var hidden = model.Encoder.Forward(tokens);
            var pooled = pooler.Forward(hidden.Gather(tokens.FirstTokens)).Tanh();
            AssertClose(hidden.ToArray()[..384], expected.GetProperty("first"), "first");
            AssertClose(hidden.ToArray()[^384..], expected.GetProperty("last"), "last");
            AssertClose(pooled.ToArray(), expected.GetProperty("pooled"), "pooled");
        }
    }

    [Test]
    public void A_folder_without_a_head_keeps_its_pooler_and_gets_a_classifier()
    {
        var loaded = ModelFolder.Load(Folder, labels: ["down", "up"]);
        Assert.That(loaded.Report.Initialized, Is.EqualTo(new[] { "classifier.weight", "classifier.bias" }));
        Assert.That(loaded.Report.Ignored, Is.Empty);
        Assert.That((loaded.Model.IsPoolerUntrained, loaded.Model.Config.MaxPositions), Is.EqualTo((false, 512)));
    }

    [Test]
    public void LoRA_learns_two_words_apart_within_a_few_steps()
    {
        var classifier = TextClassifier.Load(Folder, ["bad", "good"], seed: 1);
        var dataset = new TextDataset(Enumerable.Range(0, 16).Select(i => i % 2 == 0
            ? ($"a dreadful film, number {i}", "bad") : ($"a wonderful film, number {i}", "good")));
        var tuning = FineTuning.Start(classifier, dataset,
            new TrainingOptions { Epochs = 6, BatchSize = 8, LearningRate = 5e-3f, Validation = 0, Warmup = 0 });
        tuning.Run();
        Assert.That(classifier.Predict(["a dreadful film", "a wonderful film"]).Select(answer => answer.Label),
            Is.EqualTo(new[] { "bad", "good" }));
    }

    private static void AssertClose(float[] got, JsonElement expected, string what) =>
        Assert.That(Array.ConvertAll(got, x => (double)x), Is.EqualTo(expected.EnumerateArray()
            .Select(number => number.GetDouble())).Within(2e-5), what);
}
