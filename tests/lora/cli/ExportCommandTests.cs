using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Cli;

/// <summary>lora export, and what ONNX Runtime and we make of its results.</summary>
public sealed class ExportCommandTests
{
    private static readonly string[] Texts = ["the film was superb", "awful . boring story and plot"];

    private TinyTask task = null!;

    [OneTimeSetUp]
    public void MakeFolder() => task = new TinyTask("bert");

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void An_adapter_as_ONNX_has_the_logits_of_predict()
    {
        var result = LoraProgram.Succeed("export", "--model", task.Model, "--adapter", task.Adapter, "--to", "onnx",
            "--out", task["merged.onnx"]);
        Assert.That(result.Lines[0], Is.EqualTo($"Exported to {task["merged.onnx"]}."));
        Assert.That(result.Lines[1..], Is.EqualTo(new[]
        {
            result.Lines[1],
            "input    input_ids [batch, sequence], int64",
            "input    attention_mask [batch, sequence], int64",
            "input    token_type_ids [batch, sequence], int64",
            "output   logits [batch, 2], float",
        }));
        Assert.That(result.Lines[1], Does.Match(@"^opset    17; \d+\.\d KiB$"));

        using var classifier = TextClassifier.Load(task.Adapter, baseModel: task.Model);
        using var session = new Lora.OnnxSession(task["merged.onnx"]);
        var logits = session.Run([.. Texts.Select(text => new EncodedExample(classifier.Encode(text),
            TextExample.NoLabel))], padding: 0);
        Assert.That(logits, Is.EqualTo(classifier.Predict(Texts).SelectMany(answer => answer.Logits)).Within(1e-5));
    }

    [Test]
    public void An_adapter_as_a_folder_predicts_what_it_did()
    {
        var result = LoraProgram.Succeed("export", "--model", task.Model, "--adapter", task.Adapter, "--to", "folder",
            "--out", task["merged"]);
        Assert.That(result.Output, Does.Contain(
            $"AutoModelForSequenceClassification.from_pretrained(\"{task["merged"]}\")"));
        using var before = TextClassifier.Load(task.Adapter, baseModel: task.Model);
        using var after = TextClassifier.Load(task["merged"]);
        Assert.That(after.Labels, Is.EqualTo(before.Labels));
        Assert.That(after.Predict(Texts).SelectMany(answer => answer.Logits),
            Is.EqualTo(before.Predict(Texts).SelectMany(answer => answer.Logits)).Within(1e-5));
    }

    [Test]
    public void A_model_without_a_head_gives_its_vectors_and_has_no_classes()
    {
        var result = LoraProgram.Succeed("export", "--to", "onnx", "--out", task["base.onnx"]);
        Assert.That(result.Lines[^1], Is.EqualTo("output   last_hidden_state [batch, sequence, 192], float"));
        Assert.That(result.Errors, Is.Empty);
        Assert.That(LoraProgram.Refuse("export", "--to", "onnx", "--out", task["other.onnx"], "--labels", "a,b").Errors,
            Does.Contain("--labels names the classes of a trained head"));
        Assert.That(File.Exists(task["other.onnx"]), Is.False);
        Assert.That(LoraProgram.Succeed("export", "--to", "folder", "--out", task["base"]).Output,
            Does.Contain("AutoModel.from_pretrained"));
    }

    [Test]
    public void What_a_quantised_model_is_elsewhere_is_said()
    {
        LoraProgram.Succeed("quantize", "--model", task.Model, "--dynamic", "--out", task["int8"]);
        Assert.That(LoraProgram.Succeed("export", "--model", task["int8"], "--to", "onnx", "--out",
            task["int8.onnx"]).Errors, Does.Not.Contain("note:"));
        var folder = LoraProgram.Succeed("export", "--model", task["int8"], "--to", "folder", "--out", task["float"]);
        Assert.That(folder.Errors, Does.Contain("float32 matrices that they stand for").And
            .Contain("answers differ a little"));
    }
}
