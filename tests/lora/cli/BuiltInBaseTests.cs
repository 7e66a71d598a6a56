using System.Text.Json;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// The commands without --model: they work with the built-in base model, and nothing depends on
/// how good it is.
/// </summary>
public class BuiltInBaseTests
{
    private TinyTask task = null!;
    private ProgramResult training = null!;

    private string Adapter => task["own"];

    [OneTimeSetUp]
    public void TrainAnAdapter()
    {
        task = new TinyTask();
        training = Run("train", "--data", task.Data, "--out", Adapter, "--max-steps", "3", "--batch-size", "4");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Training_starts_from_it_and_the_adapter_names_it()
    {
        Assert.That(training.Errors,
            Does.Contain("starting from the built-in base model").And.Not.Contain("note:"));
        Assert.That(training.Output, Does.Contain($"  lora predict --adapter {Adapter} --text"),
            "no --model where none was given");
        Assert.That(Json(File.ReadAllText(Path.Combine(Adapter, "adapter_config.json")))
            .GetProperty("base_model_name_or_path").GetString(), Is.EqualTo(PretrainedBase.Name));
        Assert.That(Json(File.ReadAllText(Path.Combine(Adapter, "training.json"))).GetProperty("base_model")
            .GetString(), Is.EqualTo(PretrainedBase.Name));
        Assert.That(Run("adapter", "check", Adapter).Output,
            Does.Contain("the model is the one that it was trained on: ").And.Contain("0 errors, 0 warnings"));
    }

    [Test]
    public void The_tutorials_preset_adapts_query_and_value_alone()
    {
        string[] train = ["train", "--data", task.Data, "--max-steps", "1", "--preset", "tutorial", "--out"];
        Run([.. train, task["preset"]]);
        Assert.That(Json(File.ReadAllText(Path.Combine(task["preset"], "training.json"))).GetProperty("options")
            .GetProperty("targets").EnumerateArray().Select(target => target.GetString()),
            Is.EqualTo(new[] { "query", "value" }));
        Assert.That(LoraProgram.Refuse([.. train, task["both"], "--targets", "key"]).Errors,
            Does.Contain("--preset tutorial").And.Contain("--targets"));
        Assert.That(LoraProgram.Refuse([.. train, task["both"], "--method", "full"]).Errors,
            Does.Contain("--method full"));
    }

    [Test]
    public void Its_word_embeddings_and_linear_layers_are_adapted_unless_others_are_named()
    {
        Assert.That(training.Errors, Does.Contain("targets: embeddings, query, key, value, projection, mlp (the "
            + "default of the built-in base model; --targets names others)"));
        Assert.That(Json(File.ReadAllText(Path.Combine(Adapter, "training.json"))).GetProperty("options")
            .GetProperty("targets").EnumerateArray().Select(target => target.GetString()),
            Is.EqualTo(new[] { "embeddings", "query", "key", "value", "projection", "mlp" }));
        Assert.That(Json(File.ReadAllText(Path.Combine(Adapter, "adapter_config.json"))).GetProperty("target_modules")
            .EnumerateArray().Select(module => module.GetString()), Is.EquivalentTo(new[]
            {
                "word_embeddings", "q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2",
            }));
        var chosen = Run("train", "--targets", "query", "--data", task.Data, "--out", task["chosen"], "--max-steps",
            "1");
        Assert.That(chosen.Errors, Does.Not.Contain("targets:"));
        Assert.That(Run("train", "--model", task.Model, "--data", task.Data, "--out", task["others"], "--max-steps",
            "1").Errors, Does.Contain("targets: query, value (the default; --targets names others)"));
    }

    [Test]
    public void A_run_of_other_targets_does_not_go_on_with_the_default_ones()
    {
        string[] args = ["train", "--data", task.Data, "--out", task["stopped"], "--max-steps", "40", "--batch-size",
            "2", "--checkpoint-every", "1"];
        using (var process = LoraProgram.Start([.. args, "--targets", "query,value"]))
        {
            LoraProgram.WaitForLine(process, "saved after step 1");
            process.Kill();
            process.WaitForExit();
        }
        Refuse("--targets was query,value and is embeddings,query,key,value,projection,mlp now",
            [.. args, "--resume"]);
    }

    [Test]
    public void The_library_adapts_the_same_layers()
    {
        using var classifier = TextClassifier.BuiltIn(["neg", "pos"]);
        var tuning = FineTuning.Start(classifier, TextDataset.Load(task.Data), new TrainingOptions { MaxSteps = 1 });
        Assert.That(tuning.Training.Options.Targets, Is.EqualTo(LoRATargets.OfBuiltIn));
        Assert.That(tuning.Adapter!.Layers.Select(layer => layer.Path),
            Has.Some.EndsWith("word_embeddings").And.Some.EndsWith("lin2"));
    }

    [Test]
    public void Predicting_evaluating_merging_and_going_on_need_no_model()
    {
        var adapted = Run("predict", "--adapter", Adapter, "--input", task.Data, "--json");
        Assert.That(adapted.Lines, Has.Length.EqualTo(80));
        Assert.That(adapted.Errors, Is.Empty);
        Assert.That(Json(Run("evaluate", "--adapter", Adapter, "--data", task.Data, "--json").Output)
            .GetProperty("texts").GetInt32(), Is.EqualTo(80));
        Run("merge", "--adapter", Adapter, "--out", task["merged"]);
        var merged = Run("predict", "--model", task["merged"], "--input", task.Data, "--json");
        Assert.That(merged.Lines.SelectMany(Logits), Is.EqualTo(adapted.Lines.SelectMany(Logits)).Within(1e-4));
        var further = Run("train", "--data", task.Data, "--init-adapter", Adapter, "--out", task["further"],
            "--max-steps", "1");
        Assert.That(further.Output, Does.Contain($"lora predict --adapter {task["further"]} --text"));
        Assert.That(further.Errors, Does.Not.Contain("targets:"), "the adapter has decided them");
    }

    [Test]
    public void The_same_base_in_a_folder_takes_the_adapter_and_another_model_does_not()
    {
        Directory.CreateDirectory(task["unpacked"]);
        PretrainedBaseTests.Unpack(task["unpacked"]);
        Assert.That(Run("predict", "--model", task["unpacked"], "--adapter", Adapter, "--text", "the film",
            "--json").Output, Is.EqualTo(Run("predict", "--adapter", Adapter, "--text", "the film", "--json").Output));
        Refuse("It was trained on the built-in base model: leave --model out.", "predict", "--model",
            task.Model, "--adapter", Adapter, "--text", "the film");
        // Its layers with other weights: not the shapes but the fingerprint tells.
        Run("train", "--method", "full", "--data", task.Data, "--out", task["tuned"], "--max-steps", "2", "--lr",
            "1e-2", "--batch-size", "2");
        Refuse("trained on another base", "predict", "--model", task["tuned"], "--adapter", Adapter, "--text",
            "the film");
        Refuse("It was trained on the built-in base model: leave --model out. To use it on this one all "
            + "the same, give --any-base", "predict", "--model", task["tuned"], "--adapter", Adapter, "--text",
            "the film");
        // And an adapter of an older version of the base.
        var config = Path.Combine(task["older"], "adapter_config.json");
        Run("train", "--model", task["tuned"], "--data", task.Data, "--out", task["older"], "--max-steps", "1");
        File.WriteAllText(config,
            File.ReadAllText(config)
                .Replace(JsonSerializer.Serialize(task["tuned"]), "\"lorascratch-base:000000000000\""));
        Refuse($"'lorascratch-base:000000000000', and the built-in base model is {PretrainedBase.Name} now",
            "predict", "--adapter", task["older"], "--text", "the film");
        Assert.That(LoraProgram.Call("adapter", "check", task["older"]).Output,
            Does.Contain("error: adapter_model.safetensors: trained on another base"));
    }

    [Test]
    public void Everything_can_be_trained_from_it_into_a_model_folder()
    {
        var full = Run("train", "--method", "full", "--data", task.Data, "--out", task["whole"], "--max-steps", "1");
        Assert.That(full.Output, Does.Contain($"lora predict --model {task["whole"]} --text"));
        Assert.That(Run("predict", "--model", task["whole"], "--text", "the film").Output, Does.Match("^(neg|pos)  "));
    }

    [Test]
    public void Experiments_start_from_it()
    {
        Run("compare", "--data", task.Data, "--out", task["comparison"], "--methods", "lora,last-layers", "--lr",
            "1e-3", "--limit", "20", "--epochs", "1");
        var results = Directory.GetFiles(Path.Combine(task["comparison"], "runs"), "*.json");
        Assert.That(results, Has.Length.EqualTo(2));
        Assert.That(Run("sweep", "--data", task.Data, "--out", task["sweep"], "--dry-run", "--runs", "1", "--limit",
            "20").Output, Does.Contain("tokens/s of training").And.Contain("embeddings, query, key, value, projection, "
                + "mlp always, every choice of head: 72 points"));
        Assert.That(Run("sweep", "--data", task.Data, "--out", task["sweep"], "--dry-run", "--runs", "1", "--limit",
            "20", "--always", "query,value").Output,
            Does.Contain("query, value always, every choice of key, projection, mlp, head: 576 points"));
        Assert.That(File.ReadAllText(Path.Combine(task["comparison"], "results.json")),
            Does.Contain("LoRA (embeddings, query, key, value, projection, mlp)"));
    }

    [Test]
    public void Inspect_and_tokenize_show_it()
    {
        var config = ModelSource.BuiltIn.ReadConfig();
        Assert.That(Run("inspect").Output,
            Does.StartWith($"the built-in base model: {PretrainedBase.Name}\n").And
                .Contain($"word_embeddings): Embedding({config.VocabularySize}, {config.Hidden})"));
        Assert.That(Run("inspect", "--adapter", $"mood={Adapter}").Output, Does.Contain("mood: neg, pos"));
        Assert.That(Run("tokenize", "--text", "the").Output, Does.StartWith("[CLS] the [SEP]\n"));
    }

    private static float[] Logits(string line) =>
        [.. Json(line).GetProperty("logits").EnumerateArray().Select(value => value.GetSingle())];

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static ProgramResult Run(params string[] args)
    {
        var result = LoraProgram.Call(
            [.. args, .. args[0] is "tokenize" or "inspect" or "adapter" ? [] : (string[])["--threads", "1"]]);
        Assert.That(result.Code, Is.Zero, $"lora {string.Join(' ', args)}: {result.Errors}");
        return result;
    }

    private static void Refuse(string message, params string[] args)
    {
        var result = LoraProgram.Call(args);
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "")));
        Assert.That(result.Errors, Does.Contain(message));
    }
}
