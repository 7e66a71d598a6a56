using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// The way of a user through the commands, each a process of its own: train, adapt, evaluate,
/// predict, merge, inspect, tokenize.
/// </summary>
public class JourneyTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainAndAdapt()
    {
        task = new TinyTask();
        var full = Run("train", "--config", "config.json", "--vocab", "vocab.txt", "--data", "train.csv", "--out",
            "base", "--method", "full", "--lr", "3e-3", "--epochs", "8");
        Assert.That(full.Output, Does.Contain("tokens/s; peak memory").And.Contain("lora predict --model base --text"));
        Assert.That(full.Errors,
            Does.Contain("train.csv: 80 examples (neg 40, pos 40)").And.Contain("loss").And.Contain("tokens/s").And
                .Contain("left"));
        Assert.That(full.Errors,
            Does.Match(@"about .* for 40 steps with .* tokens, at the .* tokens/s measured on a batch\nstep 1/40"));
        Assert.That(full.Errors, Does.Not.Contain('\u001b'), "no bar where the output is piped");
        var adapted = Run("train", "--model", "base", "--data", "train.csv", "--out", "tuned", "--lr", "1e-2", "--rank",
            "4", "--alpha", "7");
        Assert.That(adapted.Output, Does.Contain("lora predict --model base --adapter tuned"));
        Run("merge", "--model", "base", "--adapter", "tuned", "--out", "merged");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Training_leaves_the_folders_that_the_other_commands_take()
    {
        Assert.That(Names("base"),
            Is.EqualTo(new[] { "config.json", "curves.svg", "metrics.jsonl", "model.safetensors",
                "special_tokens_map.json",
                "tokenizer.json", "tokenizer_config.json", "training.json", "vocab.txt" }));
        Assert.That(Names("tuned"),
            Is.EqualTo(new[] { "adapter_config.json", "adapter_model.safetensors", "config.json", "curves.svg",
                "metrics.jsonl",
                "training.json" }));
        Assert.That(Names("merged"),
            Is.EqualTo(new[] { "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
                "tokenizer_config.json", "vocab.txt" }));
        Assert.That(Directory.GetFileSystemEntries(task.Root, ".*"), Is.Empty, "temporary files are gone");
    }

    [Test]
    public void The_table_of_words_can_be_adapted_too()
    {
        var trained = LoraProgram.Succeed("train", "--model", task["base"], "--data", task.Data, "--targets",
            "embeddings,query", "--lr", "2e-2", "--max-steps", "10", "--threads", "1", "--out", task["words"]);
        Assert.That(trained.Errors,
            Does.Contain("word_embeddings → 1 layer").And.Contain("E [24, 16]  A [24, 8]  B [8, 16]"));
        Assert.That(LoraProgram.Succeed("inspect", task["words"]).Output,
            Does.Contain("distilbert.embeddings.word_embeddings").And.Contain("3 adapted layers"));
        LoraProgram.Succeed("adapter", "check", task["words"], "--model", task["base"]);
        LoraProgram.Succeed("merge", "--model", task["base"], "--adapter", task["words"], "--out",
            task["merged-words"]);
        float[] Logits(params string[] model) =>
            LoraProgram.Succeed(["predict", .. model, "--input", task.Data, "--json"]).Logits;
        var (with, merged) = (Logits("--model", task["base"], "--adapter", task["words"]),
            Logits("--model", task["merged-words"]));
        Assert.That(merged, Is.EqualTo(with).Within(1e-5f * with.Max(Math.Abs)));
        Assert.That(Logits("--model", task["base"]), Is.Not.EqualTo(with).Within(1e-2f));
    }

    [Test]
    public void Evaluation_counts_the_texts_of_each_class()
    {
        var result = Json(Run("evaluate", "--model", "base", "--adapter", "tuned", "--data", "train.csv",
            "--json").Output);
        var confusion = result.GetProperty("confusion").EnumerateArray()
            .Select(row => row.EnumerateArray().Select(count => count.GetInt32()).ToArray()).ToArray();
        Assert.That(confusion.Select(row => row.Sum()), Is.EqualTo(new[] { 40, 40 }));
        var accuracy = result.GetProperty("accuracy").GetDouble();
        Assert.That(accuracy, Is.EqualTo((confusion[0][0] + confusion[1][1]) / 80.0).And.GreaterThan(0.9),
            "the task is easy");
        Assert.That(result.GetProperty("tokens_per_second").GetDouble(), Is.Positive);
        Assert.That(result.EnumerateObject().Select(property => property.Name),
            Is.EqualTo(new[] { "accuracy", "loss", "texts", "truncated", "tokens", "seconds", "tokens_per_second",
                "labels", "classes", "micro", "macro", "weighted", "macro_f1", "confusion", "calibration" }));
        Assert.That(Run("evaluate", "--model", "base", "--data", "train.csv").Output,
            Does.Contain("accuracy").And.Contain("true \\ predicted").And.Contain("weighted average"));
    }

    [Test]
    public void Predictions_are_one_object_for_each_text_and_nothing_else()
    {
        string[] texts = ["the film was superb", "a \"boring\" plot, über-weak", "@home with excellent actors"];
        var lines = string.Concat(texts.Select(text => JsonSerializer.Serialize(new { text }) + "\n"));
        task.Write("texts.jsonl", lines);
        var fromPipe = Run(["predict", "--model", "base", "--adapter", "tuned", "--input", "-", "--json"], lines);
        var fromFile = Run("predict", "--model", "base", "--adapter", "tuned", "--input", "texts.jsonl", "--json");
        var fromOption = Run("predict", "--model", "base", "--adapter", "tuned", "--text", texts[2], "--json");
        Assert.That(fromFile.Output, Is.EqualTo(fromPipe.Output));
        Assert.That(fromPipe.Lines, Has.Length.EqualTo(3));
        Assert.That(Logits(fromOption.Lines[0]), Is.EqualTo(Logits(fromPipe.Lines[2])).Within(1e-6f),
            "a text that begins with @ is a text");
        foreach (var line in fromPipe.Lines)
        {
            var prediction = Json(line);
            Assert.That(prediction.EnumerateObject().Select(property => property.Name),
                Is.EqualTo(new[] { "label", "label_id", "logits", "probabilities", "truncated" }));
            var probabilities = prediction.GetProperty("probabilities").EnumerateArray()
                .Select(value => value.GetDouble()).ToArray();
            Assert.That(probabilities.Sum(), Is.EqualTo(1).Within(1e-12));
            var id = prediction.GetProperty("label_id").GetInt32();
            Assert.That((prediction.GetProperty("label").GetString(),
                Array.IndexOf(probabilities, probabilities.Max())), Is.EqualTo((new[] { "neg", "pos" }[id], id)));
        }
        Assert.That(Run("predict", "--model", "base", "--text", texts[0]).Output,
            Does.Match(@"^(neg|pos)  \d+\.\d\d %\n$"));
    }

    [Test]
    public void The_merged_model_gives_the_logits_of_base_and_adapter()
    {
        var adapted = Run("predict", "--model", "base", "--adapter", "tuned", "--input", "train.csv", "--json");
        var merged = Run("predict", "--model", "merged", "--input", "train.csv", "--json");
        var plain = Run("predict", "--model", "base", "--input", "train.csv", "--json");
        Assert.That(merged.Lines, Has.Length.EqualTo(80));
        Assert.That(merged.Lines.SelectMany(Logits), Is.EqualTo(adapted.Lines.SelectMany(Logits)).Within(1e-5f));
        Assert.That(plain.Lines.SelectMany(Logits), Is.Not.EqualTo(adapted.Lines.SelectMany(Logits)).Within(1e-2f),
            "the adapter must have changed something");
    }

    [Test]
    public void Inspect_shows_models_adapters_and_tensors()
    {
        var model = Run("inspect", "base").Output;
        Assert.That(model, Does.Contain("(0-1): 2 x TransformerBlock(").And
            .Contain("(q_lin): Linear(in_features=16, out_features=16, bias=True)"));
        Assert.That(model, Does.Match(@"classifier\.weight +\[2, 16\] +32\n").And
            .Match(@"--method lora --rank 8 +1,330\n"));
        var adapter = Run("inspect", "tuned").Output;
        Assert.That(adapter, Does.Match(@"layer\.\{0-1\}\.attention\.v_lin\n +0 +\[16, 4\] +\[4, 16\] +1\.75 ").And
            .Contain("4 adapted layers, 4 other tensors, 818 parameters"));
        var tensors = Run("inspect", "tuned/adapter_model.safetensors").Output;
        Assert.That(tensors,
            Does.Match(@"layer\.\{0-1\}, each:\n  attention\.q_lin\.lora_A\.weight +F32 +\[4, 16\] +256 B").And
            .Contain("12 tensors, 818 elements"));
    }

    [Test]
    public void Tokenize_prints_ids_and_pieces()
    {
        var full = Json(Run("tokenize", "--vocab", "vocab.txt", "--text", "The films are superb.", "--json").Output);
        Assert.That(Strings(full, "pieces"),
            Is.EqualTo(new[] { "[CLS]", "the", "film", "##s", "[UNK]", "superb", ".", "[SEP]" }));
        Assert.That(full.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()),
            Is.EqualTo(new[] { 2, 13, 14, 22, 1, 6, 23, 3 }));
        Assert.That(full.GetProperty("truncated").GetBoolean(), Is.False);
        Assert.That(full.EnumerateObject().Count(), Is.EqualTo(4));
        var cut = Run(["tokenize", "--vocab", "base", "--input", "-", "--json", "--max-length", "4"],
            "{\"text\": \"the films\", \"label\": 1}\n\n{\"text\": \"a\"}\n");
        Assert.That(cut.Lines.Select(line => string.Join(' ', Strings(Json(line), "pieces"))),
            Is.EqualTo(new[] { "[CLS] the film [SEP]", "[CLS] [SEP]", "[CLS] [UNK] [SEP]" }));
        Assert.That(cut.Lines.Select(line => Json(line).GetProperty("truncated").GetBoolean()),
            Is.EqualTo(new[] { true, false, false }));
        Assert.That(cut.Errors, Is.EqualTo("1 of 3 texts cut at 4 tokens\n"));
    }

    private static float[] Logits(string line) =>
        [.. Json(line).GetProperty("logits").EnumerateArray().Select(value => value.GetSingle())];

    private static string?[] Strings(JsonElement json, string property) =>
        [.. json.GetProperty(property).EnumerateArray().Select(value => value.GetString())];

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private string[] Names(string folder) =>
        [.. Directory.GetFileSystemEntries(task[folder]).Select(path => Path.GetFileName(path)!)
            .Order(StringComparer.Ordinal)];

    private ProgramResult Run(params string[] args) => Run(args, "");

    private ProgramResult Run(string[] args, string input)
    {
        var result = LoraProgram.Run(args, input, task.Root);
        Assert.That(result.Code, Is.Zero, $"lora {string.Join(' ', args)}: {result.Errors}");
        return result;
    }
}
