using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>lora inspect --spectrum, and the ranks that lora truncate takes from it.</summary>
public sealed class SpectrumCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare()
    {
        task = new TinyTask();
        _ = task.Adapter;
    }

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void The_table_has_every_layer_and_its_ranks_are_taken_by_truncate()
    {
        var result = LoraProgram.Succeed("inspect", task.Adapter, "--spectrum", "--rank-pattern", task["ranks.json"],
            "--energy", "0.8", "--html", task["page.html"], "--svg", task["picture.svg"]);
        Assert.That(result.Output, Does.Match(@"layer +rank +\|ΔW\| +\|ΔW\|/\|W\| +eff\. rank +cosine +intruders"));
        Assert.That(result.Output, Does.Contain("k = 1").And.Contain("k = 4").And.Contain("80.00 % of the energy"));
        Assert.That(result.Output.Split('\n').Where(line => !line.StartsWith("cosine:") && !line.Contains(task.Root)
            && !line.StartsWith("rank →")).Max(LoraScratch.Cli.Columns.Of), Is.LessThanOrEqualTo(80));
        var ranks = JsonDocument.Parse(File.ReadAllText(task["ranks.json"])).RootElement.EnumerateObject().ToList();
        Assert.That(ranks.Select(entry => entry.Name).ToList(),
            Has.Count.EqualTo(4).And.All.StartsWith("distilbert.transformer.layer."));
        Assert.That(File.ReadAllText(task["picture.svg"]), Does.StartWith("<svg").And.Contain("q_lin"));
        Assert.That(File.ReadAllText(task["page.html"]),
            Does.StartWith("<!DOCTYPE html>").And.Contain("What adapter learned").And.Contain("effective rank"));

        var truncated = LoraProgram.Succeed("truncate", "--adapter", task.Adapter, "--rank-pattern",
            task["ranks.json"], "--out", task["smaller"]);
        var about = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["smaller"], "training.json"))).RootElement;
        Assert.That(about.GetProperty("ranks").EnumerateObject().Select(entry => entry.Value.GetInt32()),
            Is.EqualTo(ranks.Select(entry => entry.Value.GetInt32())));
        Assert.That(truncated.Output, Does.Contain($"The smaller adapter is in {task["smaller"]}"));
        LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task["smaller"], "--text", "superb film");
    }

    [Test]
    public void Where_the_base_is_not_here_its_directions_are_not_compared_and_that_is_said()
    {
        LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--max-steps", "2", "--out",
            task["lost"]);
        var config = Path.Combine(task["lost"], "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace(task.Model, task["nowhere"]));
        var result = LoraProgram.Succeed("inspect", task["lost"], "--spectrum");
        Assert.That(result.Errors, Does.Contain("note: directions are not compared with the base's").And
            .Contain("--model"));
        Assert.That(result.Output, Does.Not.Contain("intruders").And.Contain("eff. rank"));
        Assert.That(LoraProgram.Succeed("inspect", task["lost"], "--spectrum", "--model", task.Model).Output,
            Does.Contain("intruders"));
    }

    [Test]
    public void An_adapter_of_another_base_is_refused_and_nothing_is_written()
    {
        LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--method", "full", "--max-steps",
            "2", "--lr", "1e-2", "--out", task["other"]);
        var result = LoraProgram.Refuse("inspect", task.Adapter, "--spectrum", "--model", task["other"], "--html",
            task["never.html"]);
        Assert.That(result.Errors, Does.StartWith("error: ").And.Contain("other"));
        Assert.That(File.Exists(task["never.html"]), Is.False);
        LoraProgram.Succeed("inspect", task.Adapter, "--spectrum", "--model", task["other"], "--any-base");
    }

    [TestCase("inspect ADAPTER --html FILE", "--html has no effect without --spectrum")]
    [TestCase("inspect ADAPTER --directions 3", "--directions has no effect without --spectrum")]
    [TestCase("inspect --spectrum", "--spectrum needs an adapter folder")]
    [TestCase("inspect ADAPTER --spectrum --adapter ADAPTER", "lists adapters on a model")]
    [TestCase("inspect ADAPTER --spectrum --energy 0", "--energy is 0; expected a share")]
    [TestCase("inspect ADAPTER --spectrum --directions 0", "--directions is 0")]
    [TestCase("inspect ADAPTER --spectrum --svg FILE", "ends with .svg")]
    [TestCase("inspect MODEL --spectrum", "adapter_config.json")]
    [TestCase("truncate --adapter ADAPTER --rank-pattern FILE", "--out, which is missing")]
    [TestCase("truncate --adapter ADAPTER --rank-pattern FILE --rank 2 --out OUT", "both given")]
    [TestCase("truncate --adapter ADAPTER --rank-pattern FILE --out OUT", "there is no such file")]
    public void What_makes_no_sense_is_refused(string args, string message) => task.RequireRefused(args, message,
        ("ADAPTER", () => task.Adapter), ("FILE", () => task["never.html"]));
}
