using System.Text.Json.Nodes;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Heads and classes: a new head on a model that has one, an adapter with a head of its own, names
/// for classes that nobody named, and heads of other tasks.
/// </summary>
public sealed class ForeignHeadTests
{
    private static readonly string[] Four = ["art", "business", "plot", "story"];
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainBoth()
    {
        task = new TinyTask();
        task.Write("topics.csv", TinyTask.Reviews(40, seed: 4, negative: "business", positive: "art")
            + "the plot was plot,plot\nthe story was story,story\n");
        task.Write("words.csv", TinyTask.Reviews(40, seed: 5, negative: "bad", positive: "good"));
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["topics.csv"], "--new-head", "--max-steps",
            "4", "--out", task["topics"]);
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["words.csv"], "--new-head", "--max-steps",
            "2", "--out", task["words"]);
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--max-steps", "1", "--out",
            task["mood"]);
        // as PEFT writes it
        TemporaryFolder.Copy(task["topics"], task["foreign"], "training.json", "metrics.jsonl", "config.json");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Labels_of_other_classes_name_the_option() =>
        task.RequireRefused("train --model MODEL --data TOPICS --out OUT",
            "is unknown; the classes are: 0 = neg, 1 = pos. These are the classes of the head that the model has: "
                + "--new-head draws another one", ("TOPICS", () => task["topics.csv"]));

    [Test]
    public void A_new_head_has_the_classes_of_the_data_in_every_command()
    {
        Assert.That(Labels("evaluate", "--model", task.Model, "--adapter", task["topics"], "--data",
            task["topics.csv"], "--json"), Is.EqualTo(Four));
        Assert.That(Labels("evaluate", "--model", task.Model, "--adapter", task["words"], "--data", task["words.csv"],
            "--json"), Is.EqualTo(new[] { "bad", "good" }), "as many classes as the model's own head, but others");
        LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task["topics"], "--out", task["merged"]);
        Assert.That(EncoderConfig.Load(task["merged"]).Labels, Is.EqualTo(Four));
        var alone = Predict(task["merged"]);
        var logits = Predict(task.Model, "--adapter", task["topics"]);
        Assert.That(alone.Logits, Is.EqualTo(logits.Logits).Within(1e-4));
        Assert.That(logits.Errors, Is.Empty);
        LoraProgram.Succeed("adapter", "check", task["topics"], "--model", task.Model);
        LoraProgram.Succeed("train", "--model", task.Model, "--init-adapter", task["topics"], "--data",
            task["topics.csv"], "--max-steps", "1", "--out", task["further"]);
        Assert.That(Labels("evaluate", "--model", task.Model, "--adapter", task["further"], "--data",
            task["topics.csv"], "--json"), Is.EqualTo(Four));
    }

    [Test]
    public void Tasks_with_heads_of_their_own_share_one_model()
    {
        var together = LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task["topics"], "--adapter",
            task["mood"], "--text", "the film was superb", "--json").Lines;
        Assert.That(together, Is.EqualTo(new[] { "topics", "mood" }.Select(name =>
            $"{{\"adapter\":\"{name}\",{Predict(task.Model, "--adapter", task[name]).Lines[0][1..]}")));
        Assert.That(Predict(task.Model, "--adapter", task["topics"], "--active", "base").Output,
            Is.EqualTo(Predict(task.Model).Output));
    }

    [Test]
    public void Every_weight_is_trained_under_a_new_head_too()
    {
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["topics.csv"], "--new-head", "--method",
            "full", "--max-steps", "1", "--out", task["whole"]);
        Assert.That(EncoderConfig.Load(task["whole"]).Labels, Is.EqualTo(Four));
        Assert.That(Predict(task["whole"]).Logits, Has.Length.EqualTo(4));
    }

    [Test]
    public void An_experiment_gives_every_run_a_new_head() =>
        LoraProgram.Succeed("compare", "--model", task.Model, "--data", task["words.csv"], "--new-head", "--methods",
            "last-layers", "--lr", "1e-3", "--epochs", "1", "--out", task["compared"]);

    [TestCase("train --config CONFIG --vocab VOCAB --method full --data DATA --out OUT --new-head",
        "--new-head has no effect with --config")]
    [TestCase("train --model MODEL --init-adapter MOOD --data DATA --out OUT --new-head",
        "--new-head and --init-adapter contradict each other")]
    [TestCase("train --model MODEL --data DATA --out OUT --labels a,b,c", "its head has 2 classes (neg, pos)")]
    [TestCase("predict --model MODEL --adapter FOREIGN --labels a,b --text film",
        "the head of the adapter has 4 classes, but --labels has 2: a, b")]
    [TestCase("predict --model MODEL --labels a,b,c --text film", "its head has 2 classes (neg, pos), and 3 names")]
    [TestCase("predict --model MODEL --labels a,a --text film", "expected at least two different names")]
    [TestCase("predict --model MODEL --adapter MOOD --adapter FOREIGN --labels a,b --text film",
        "--labels names the classes of one task, and there are 2 adapters")]
    public void What_makes_no_sense_is_refused(string line, string message) => task.RequireRefused(line, message,
        ("CONFIG", () => task["config.json"]), ("VOCAB", () => task["vocab.txt"]), ("MOOD", () => task["mood"]),
        ("FOREIGN", () => task["foreign"]));

    [Test]
    public void Names_are_given_to_an_adapter_that_has_none()
    {
        string[] foreign = ["--model", task.Model, "--adapter", task["foreign"]];
        Assert.That(LoraProgram.Succeed(["predict", .. foreign, "--text", "film"]).Output, Does.StartWith("LABEL_"));
        string[] named = [.. foreign, "--labels", "art,business, plot,story"];
        Assert.That(Four, Does.Contain(LoraProgram.Succeed(["predict", .. named, "--text", "film"]).Output
            .Split(' ')[0]));
        Assert.That(Labels(["evaluate", .. named, "--data", task["topics.csv"], "--json"]), Is.EqualTo(Four));
        LoraProgram.Succeed(["merge", .. named, "--out", task["named"]]);
        Assert.That(EncoderConfig.Load(task["named"]).Labels, Is.EqualTo(Four));
        LoraProgram.Succeed("train", "--model", task.Model, "--init-adapter", task["foreign"], "--labels",
            "art,business,plot,story", "--data", task["topics.csv"], "--max-steps", "1", "--out", task["learned"]);
        Assert.That(EncoderConfig.Load(task["learned"]).Labels, Is.EqualTo(Four));
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--labels", "bad,good", "--text",
            "film").Output, Does.Match("^(bad|good)"));
    }

    [Test]
    public void Names_stand_where_transformers_looks_for_them()
    {
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(task["topics"], "config.json")))!;
        Assert.That(config["id2label"]!.ToJsonString(),
            Is.EqualTo("""{"0":"art","1":"business","2":"plot","3":"story"}"""));
        Assert.That((string?)config["model_type"], Is.EqualTo("distilbert"));
        TemporaryFolder.Copy(task["topics"], task["with-config"], except: ["training.json"]);
        Assert.That(Four, Does.Contain(LoraProgram.Succeed("predict", "--model", task.Model, "--adapter",
            task["with-config"], "--text", "film").Output.Split(' ')[0]));
        LoraProgram.Succeed("truncate", "--adapter", task["topics"], "--rank", "2", "--out", task["small"]);
        Assert.That(EncoderConfig.Load(task["small"]).Labels, Is.EqualTo(Four));
        task.RequireRefused("predict --model ADAPTER --text film",
            "is an adapter (adapter_config.json) and no model. Give it as the adapter",
            ("ADAPTER", () => task["topics"]));
    }

    [Test]
    public void Classes_that_a_headless_base_names_hold_for_data_that_have_one_of_them()
    {
        var folder = Model("named", name => name.Contains("classifier") ? null : name, _ => { });
        Assert.That(LoraProgram.Succeed("train", "--model", folder, "--data", task["words.csv"], "--max-steps", "1",
            "--out", task["of-words"]).Errors, Does.Contain(
            "names the classes neg, pos, of which the data have none: the new head is for bad, good."));
        Assert.That(EncoderConfig.Load(task["of-words"]).Labels, Is.EqualTo(new[] { "bad", "good" }));
        var mixed = task.Write("mixed.csv", "text,label\nthe film,neg\nthe plot,mixed\n");
        task.RequireRefused("train --model FOLDER --data MIXED --out OUT",
            "the label 'mixed' is unknown; the classes are: 0 = neg, 1 = pos. These are the classes that config.json",
            ("FOLDER", () => folder), ("MIXED", () => mixed));
    }

    [Test]
    public void A_head_for_tokens_is_none_for_texts()
    {
        var folder = Model("tokens", name => name.StartsWith("pre_classifier.", StringComparison.Ordinal) ? null : name,
            config => config["id2label"] = new JsonObject { ["0"] = "O", ["1"] = "PERSON" });
        Refuse(folder, "it has no trained classification head");
        Assert.That(LoraProgram.Succeed("train", "--model", folder, "--data", task.Data, "--max-steps", "1", "--out",
            task["of-tokens"]).Errors, Does.Contain(
                "has no head of a classifier but one of tokens; randomly initialised"));
        Assert.That(EncoderConfig.Load(task["of-tokens"]).Labels, Is.EqualTo(new[] { "neg", "pos" }));
    }

    [TestCase("qa_outputs.weight")]
    [TestCase("score.dense.weight")]
    public void Another_heads_tensors_are_passed_over_and_said(string tensor)
    {
        var folder = Model("answers", name => name, _ => { }, (tensor, [2, 16]));
        var found = Predict(folder);
        Assert.That(found.Output, Is.EqualTo(Predict(task.Model).Output));
        Assert.That(found.Errors, Does.Contain($"ignored, a classifier has no use for them: {tensor}."));
    }

    [TestCase("distilbert.transformer.layer.7.ffn.lin1.weight")]
    [TestCase("distilbert.transformer.layer.0.attention.q_lin.lora_A.weight")]
    [TestCase("base_model.model.classifier.weight")]
    public void A_tensor_that_would_change_the_result_is_refused(string tensor) =>
        Refuse(Model("more", name => name, _ => { }, (tensor, [2, 16])), $"1 unexpected: {tensor}");

    [Test]
    public void A_head_of_multiple_choice_is_none_of_a_classifier() => Refuse(Model("choice", name => name,
        config => config["architectures"] = new JsonArray("DistilBertForMultipleChoice")),
        "it has no trained classification head");

    [Test]
    public void Regression_is_refused_by_name_and_its_encoder_taken()
    {
        var folder = Model("regression", name => name, config => config["problem_type"] = "regression");
        Refuse(folder, "problem_type is regression");
        task.RequireRefused("train --model FOLDER --data DATA --out OUT", "problem_type is regression",
            ("FOLDER", () => folder));
        LoraProgram.Succeed("train", "--model", folder, "--data", task.Data, "--new-head", "--max-steps", "1", "--out",
            task["of-regression"]);
        Assert.That(Predict(folder, "--adapter", task["of-regression"]).Logits, Has.Length.EqualTo(2));
        Refuse(Model("one", name => name, config => config["id2label"] = new JsonObject { ["0"] = "LABEL_0" }),
            "or there is one output");
    }

    [Test]
    public void An_adapter_for_regression_is_refused_by_name()
    {
        TemporaryFolder.Copy(task["foreign"], task["number"], except: []);
        Rewrite(Path.Combine(task["number"], "adapter_model.safetensors"), name =>
            name.EndsWith(".classifier.weight", StringComparison.Ordinal) ? null : name,
            ("base_model.model.classifier.weight", [1, 16]));
        task.RequireRefused("predict --model MODEL --adapter ADAPTER --text film",
            "the head of the adapter has one output: it is for regression", ("ADAPTER", () => task["number"]));
    }

    [Test]
    public void A_headless_base_with_its_adapter_is_told_nothing_about_a_head()
    {
        HeadlessModel.Write(task, task["encoder"]);
        LoraProgram.Succeed("train", "--model", task["encoder"], "--data", task.Data, "--max-steps", "1", "--out",
            task["headed"]);
        foreach (var names in (string[][])[["headed"], ["headed", "headed"]])
        {
            var adapters = names.SelectMany((name, i) => new[] { "--adapter", $"a{i}={task[name]}" });
            var notes = Predict(task["encoder"], [.. adapters]).Errors;
            Assert.That(notes.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(1).And.All
                .Contains("other names than in transformers' classifiers"), "said once");
        }
        Assert.That(LoraProgram.Succeed("train", "--model", task["encoder"], "--init-adapter", task["headed"], "--data",
            task.Data, "--max-steps", "1", "--out", task["headed-again"]).Errors, Does.Not.Contain("initialised"));
    }

    private ProgramResult Predict(string model, params string[] more) =>
        LoraProgram.Succeed(["predict", "--model", model, .. more, "--text", "the film was superb", "--json"]);

    private void Refuse(string model, string message) =>
        Assert.That(LoraProgram.Refuse("predict", "--model", model, "--text", "film").Errors, Does.Contain(message));

    private static string[] Labels(params string[] evaluate) =>
        [.. JsonNode.Parse(LoraProgram.Succeed(evaluate).Output)!["labels"]!.AsArray().Select(name => (string)name!)];

    /// <summary>The tiny model with other tensors and another config.</summary>
    private string Model(string name, Func<string, string?> rename, Action<JsonObject> change,
        params (string Name, long[] Shape)[] more)
    {
        var folder = task[$"model-{name}"];
        TemporaryFolder.Copy(task.Model, folder, except: []);
        Rewrite(Path.Combine(folder, "model.safetensors"), rename, more);
        var path = Path.Combine(folder, "config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
        return folder;
    }

    private static void Rewrite(string path, Func<string, string?> rename, params (string Name, long[] Shape)[] more)
    {
        using var file = SafeTensorsFile.Open(path);
        SafeTensorsWriter.Write(path, [
            .. file.Tensors.Keys.Where(name => rename(name) is not null)
                .Select(name => TensorToWrite.Copy(file, name, rename(name))),
            .. more.Select(entry => TensorToWrite.Floats(entry.Name, entry.Shape,
                new float[entry.Shape[0] * entry.Shape[1]])),
        ], new Dictionary<string, string>(file.Metadata));
    }
}
