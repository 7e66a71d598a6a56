using System.Globalization;
using System.Text.Json;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Tests.Cli;

/// <summary>lora extract and lora truncate, as a user runs them.</summary>
public sealed class ExtractAndTruncateTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModelAndAdapters()
    {
        task = new TinyTask();
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["tuned"], "--method",
            "full", "--max-steps", "10", "--lr", "3e-3", "--threads", "1");
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["lora"], "--rank", "4",
            "--alpha", "7", "--max-steps", "8", "--lr", "1e-2", "--train-head", "false", "--threads", "1");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_merged_adapter_comes_out_again_and_predicts_as_the_merged_model_does()
    {
        LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task["lora"], "--out", task["merged"]);
        var result = LoraProgram.Succeed("extract", "--base", task.Model, "--tuned", task["merged"], "--energy",
            "0.999999", "--out", task["extracted"]);
        Assert.That(result.Output,
            Does.Contain("4 updates: ").And
                .Contain("The adapter has 100.00 % of the squared change of all parameters.").And
                .Contain($"lora predict --model {task.Model} --adapter {task["extracted"]}"));
        Assert.That(result.Errors, Does.Not.Contain("warning"));
        Assert.That(Logits("--model", task.Model, "--adapter", task["extracted"]),
            Is.EqualTo(Logits("--model", task["merged"])).Within(1e-4f));
        Assert.That(LoraProgram.Succeed("adapter", "check", task["extracted"], "--model", task.Model).Output,
            Does.Contain("4 hashes agree").And.Contain("0 errors"));
    }

    [Test]
    public void What_a_full_fine_tune_changed_elsewhere_is_told_loudly_and_the_head_goes_along()
    {
        var result = LoraProgram.Succeed("extract", "--base", task.Model, "--tuned", task["tuned"], "--rank", "2",
            "--out", task["full"]);
        Assert.That(result.Output,
            Does.Contain("4 updates and pre_classifier, classifier whole").And.Match(@"q_lin\n +0 +\[16, 16\] +2 "));
        Assert.That(result.Errors,
            Does.Match(@"warning: \d+ parameters were tuned and are NOT in the adapter").And
                .Contain("distilbert.embeddings.word_embeddings.weight [24, 16]: |Δ| = ")
            .And.Contain("--targets query,value,key,projection,mlp,embeddings would take in").And
            .Contain("--bias all would take in every bias, exactly"));
        LoraProgram.Succeed("evaluate", "--model", task.Model, "--adapter", task["full"], "--data", task.Data);
        var about = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["full"], "training.json"))).RootElement;
        Assert.That(about.GetProperty("labels").EnumerateArray().Select(label => label.GetString()),
            Is.EqualTo(new[] { "neg", "pos" }));
        Assert.That(about.GetProperty("not_held").TryGetProperty("distilbert.embeddings.LayerNorm.weight", out _),
            Is.True);

        var more = LoraProgram.Succeed("extract", "--base", task.Model, "--tuned", task["tuned"], "--rank", "16",
            "--targets", "query,key,value,projection,mlp", "--bias", "all", "--out", task["more"]);
        Assert.That(more.Errors, Does.Contain("warning").And.Not.Contain(".bias").And.Not.Contain("q_lin.weight ["));
        Assert.That(Share(more), Is.GreaterThan(Share(result)));
    }

    [Test]
    public void An_encoder_without_a_head_takes_the_tuned_one_whole()
    {
        HeadlessModel.Write(task, task["encoder"]);
        var result = LoraProgram.Succeed("extract", "--base", task["encoder"], "--tuned", task["tuned"], "--rank", "2",
            "--out", task["of-encoder"]);
        Assert.That(result.Output, Does.Contain("pre_classifier, classifier whole"));
        Assert.That(LoraProgram.Succeed("predict", "--model", task["encoder"], "--adapter", task["of-encoder"],
            "--text", "the film").Output, Does.Match("neg|pos"));
        Refused("has no classification head from which", "extract", "--base", task["encoder"], "--tuned", task["tuned"],
            "--rank", "2", "--targets", "query,head", "--out", task["never"]);
        Refused("Are --base and --tuned exchanged?", "extract", "--base", task["tuned"], "--tuned", task["encoder"],
            "--rank", "2", "--out", task["never"]);
    }

    [Test]
    public void The_table_has_every_rank_with_accuracy_and_a_smaller_adapter_predicts()
    {
        var table = LoraProgram.Succeed("truncate", "--adapter", task["lora"], "--model", task.Model, "--data",
            task.Data, "--rank", "2", "--out", task["smaller"]);
        var rows = table.Lines.Skip(1).Take(5).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .ToList();
        Assert.That(rows.Select(row => row[0]), Is.EqualTo(new[] { "4", "3", "2", "1", "0" }));
        Assert.That(rows.Select(row => double.Parse(row[1], CultureInfo.InvariantCulture)), Is.Ordered.Ascending,
            "less rank drops more");
        Assert.That((rows[0][2], rows[4][2]), Is.EqualTo(("0.00", "100.00")));
        Assert.That(ShownAccuracy(rows[0]),
            Is.EqualTo(Accuracy("evaluate", "--model", task.Model, "--adapter", task["lora"], "--data", task.Data)));
        Assert.That(ShownAccuracy(rows[2]),
            Is.EqualTo(Accuracy("evaluate", "--model", task.Model, "--adapter", task["smaller"], "--data", task.Data)));
        Assert.That(ShownAccuracy(rows[4]),
            Is.EqualTo(Accuracy("evaluate", "--model", task.Model, "--data", task.Data)),
                "the head was not trained: rank 0 is the base");
        Assert.That(table.Output, Does.Match(@"q_lin\n +0 +4 → 2 "));
        Assert.That(LoraProgram.Succeed("inspect", task["smaller"]).Output,
            Does.Contain("[16, 2]").And.Contain("rank 2"));
        Assert.That(LoraProgram.Succeed("adapter", "check", task["smaller"], "--model", task.Model).Output,
            Does.Contain("4 hashes agree").And.Contain("0 errors, 0 warnings"));
    }

    [Test]
    public void Without_a_model_the_table_tells_what_each_rank_drops()
    {
        var result = LoraProgram.Succeed("truncate", "--adapter", task["lora"], "--ranks", "1,3");
        Assert.That(result.Lines, Has.Length.EqualTo(3));
        Assert.That(result.Output, Does.Not.Contain("accuracy"));
        LoraProgram.Succeed("truncate", "--adapter", task["lora"], "--energy", "0.5", "--out", task["half"]);
        Assert.That(PeftConfig.Read(Path.Combine(task["half"], PeftAdapter.ConfigName)).Rank, Is.LessThan(4));
    }

    [TestCase("extract --base MODEL --tuned TUNED --out OUT", "Neither --rank nor --energy is given")]
    [TestCase("extract --base MODEL --tuned TUNED --out OUT --rank 2 --energy 0.5", "both given")]
    [TestCase("extract --base MODEL --tuned TUNED --out OUT --rank 0", "--rank is 0")]
    [TestCase("extract --base MODEL --tuned TUNED --out OUT --energy 2", "--energy is 2")]
    [TestCase("extract --base MODEL --tuned MODEL --out OUT --rank 2", "None of the 4 layers")]
    [TestCase("extract --base MODEL --tuned TUNED --out MODEL --rank 2", "--out and --base are both")]
    [TestCase("extract --base MODEL --tuned TUNED --out LORA --rank 2", "lora: the folder holds a result already")]
    [TestCase("extract --base MODEL --tuned TUNED --out OUT --rank 2 --targets query,banana",
        "--targets is 'query,banana'; expected some of query")]
    [TestCase("extract --base MODEL --tuned LORA --out OUT --rank 2", "config.json")]
    [TestCase("truncate --adapter LORA --rank 2", "--out, which is missing")]
    [TestCase("truncate --adapter LORA --out OUT", "--out needs --rank or --energy")]
    [TestCase("truncate --adapter LORA --out OUT --rank 9", "has rank 4")]
    [TestCase("truncate --adapter LORA --out OUT --rank 2 --energy 0.5", "both given")]
    [TestCase("truncate --adapter LORA --ranks 1,9", "--ranks has 9")]
    [TestCase("truncate --adapter LORA --ranks 1,x", "--ranks is '1,x'; expected whole numbers")]
    [TestCase("truncate --adapter LORA --model MODEL", "--model needs --data")]
    [TestCase("truncate --adapter MODEL", "adapter_config.json")]
    [TestCase("truncate --adapter ROOT/none", "there is no such folder")]
    public void What_makes_no_sense_is_refused(string args, string message) =>
    Refused(message, args.Replace("MODEL", task.Model).Replace("TUNED", task["tuned"]).Replace("LORA", task["lora"])
        .Replace("OUT", task["out"]).Replace("DATA", task.Data).Replace("ROOT", task.Root).Split(' '));

    private void Refused(string message, params string[] args)
    {
        var result = LoraProgram.Call(args);
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "")));
        Assert.That(result.Errors, Does.Contain(message));
        Assert.That(Directory.Exists(task["out"]) || Directory.Exists(task["never"]), Is.False, "nothing half-written");
    }

    private static double ShownAccuracy(string[] row) => double.Parse(row[^3], CultureInfo.InvariantCulture);

    private static double Accuracy(params ReadOnlySpan<string> args)
    {
        string[] words = [.. args, "--json"];
        return Math.Round(100 * JsonDocument.Parse(LoraProgram.Succeed(words).Output).RootElement
            .GetProperty("accuracy").GetDouble(), 2);
    }

    private static double Share(ProgramResult result) =>
        double.Parse(result.Output.Split("The adapter has ")[1].Split(' ')[0], CultureInfo.InvariantCulture);

    private float[] Logits(params string[] model) =>
        LoraProgram.Succeed(["predict", .. model, "--input", task.Data, "--json"]).Logits;
}
