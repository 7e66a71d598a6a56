using LoraScratch.Engine.IO;
using LoraScratch.Tests.Text;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Files as people have them, from the folder of third-party data: a small classifier, and variants
/// of its files and adapters for it. The logits are numpy's.
/// </summary>
public sealed class CaseTests
{
    private static readonly float[] OfAdapterWithHead = [1.1230971f, -1.2079772f, 1.7077014f];
    private static readonly float[] OfUnion = [0.8675510f, 0.1409756f, -0.6016601f];

    // as tiny itself has them, whose head this adapter leaves alone
    [TestCase("label2id-strings", null)]
    [TestCase("labels-disagree", "label2id is not id2label the other way round")]
    [TestCase("sinusoidal", null)]
    public void A_model_folder_is_refused_only_for_what_changes_its_result(string name, string? note)
    {
        using var folder = new Folder();
        folder.CopyCase("tiny", "model");
        var expected = Predict("--model", folder["model"]);
        folder.CopyCase(name, "model");
        var found = Predict("--model", folder["model"]);
        Assert.That(found.Output, Is.EqualTo(expected.Output).And.StartsWith("{\"label\":\"bad\""));
        Assert.That(found.Errors, note is null ? Is.Empty : Does.StartWith("note: ").And.Contain(note));
    }

    [Test]
    public void An_adapter_with_a_head_is_not_told_that_the_base_has_none()
    {
        using var folder = new Folder();
        folder.WriteHeadless("base");
        folder.CopyCase("headless-note", "adapter");
        string[] both = ["--model", folder["base"], "--adapter", folder["adapter"]];
        var predicted = Predict(both);
        Assert.That(predicted.Logits, Is.EqualTo(OfAdapterWithHead).Within(1e-5));
        var data = folder.Write("data.csv", "text,label\ngood film,good\n");
        foreach (var result in (ProgramResult[])
            [
                predicted,
                LoraProgram.Succeed(["evaluate", .. both, "--data", data]),
                LoraProgram.Succeed(["merge", .. both, "--out", folder["merged"]]),
                LoraProgram.Succeed("inspect", folder["base"], "--adapter", folder["adapter"]),
                LoraProgram.Succeed("adapter", "check", folder["adapter"], "--model", folder["base"]),
            ])
        {
            Assert.That(result.Errors, Does.Not.Contain("initialised").And.Not.Contain("random"));
        }
        Assert.That(Predict("--model", folder["merged"]).Logits, Is.EqualTo(OfAdapterWithHead).Within(1e-5));
    }

    [Test]
    public void Targets_of_another_architecture_are_noted()
    {
        using var folder = new Folder();
        folder.CopyCase("tiny", "model");
        folder.CopyCase("targets-union", "adapter");
        var predicted = Predict("--model", folder["model"], "--adapter", folder["adapter"]);
        Assert.That(predicted.Logits, Is.EqualTo(OfUnion).Within(1e-5));
        Assert.That(predicted.Errors, Does.StartWith($"note: {folder["adapter"]}").And
            .Contain("target_modules has 'query', 'value', which mean no layer"));
        Assert.That(LoraProgram.Succeed("adapter", "check", folder["adapter"], "--model", folder["model"]).Output,
            Does.Contain("'query', 'value', which mean no layer"));
        LoraProgram.Succeed("adapter", "check", folder["adapter"]);
    }

    [Test]
    public void A_new_head_is_asked_for()
    {
        using var folder = new Folder();
        folder.CopyCase("tiny", "model");
        string[] train = ["train", "--model", folder["model"], "--data", Case("new-head", "data.csv"), "--validation",
            "0", "--epochs", "1", "--out", folder["adapter"]];
        Assert.That(LoraProgram.Refuse(train).Errors,
            Does.Contain("the label 'place' is unknown").And.Contain("--new-head draws another one"));
        LoraProgram.Succeed([.. train, "--new-head"]);
        Assert.That(Predict("--model", folder["model"], "--adapter", folder["adapter"]).Logits, Has.Length.EqualTo(4));
    }

    private static ProgramResult Predict(params string[] model) =>
        LoraProgram.Succeed(["predict", .. model, "--text", "good film", "--json"]);

    private static string Case(string name, string file) => RealData.Path($"cases/{name}/{file}");

    /// <summary>Copies of the cases' files, to be put together.</summary>
    private sealed class Folder : IDisposable
    {
        private readonly TemporaryFolder root = new();

        public string this[string name] => Path.Combine(root.Root, name);

        public string Write(string name, string text)
        {
            File.WriteAllText(this[name], text);
            return this[name];
        }

        public void CopyCase(string name, string target)
        {
            var source = Path.Combine(Path.GetDirectoryName(Case("tiny", "config.json"))!, "..", name);
            TemporaryFolder.Copy(source, this[target], except: "expect.txt");
        }

        public void WriteHeadless(string target)
        {
            CopyCase("tiny", target);
            using var file = SafeTensorsFile.Open(Case("tiny", "model.safetensors"));
            SafeTensorsWriter.Write(Path.Combine(this[target], "model.safetensors"), file.Tensors.Keys
                .Where(name => !name.Contains("classifier")).Select(name => TensorToWrite.Copy(file, name)));
        }

        public void Dispose() => root.Dispose();
    }
}
