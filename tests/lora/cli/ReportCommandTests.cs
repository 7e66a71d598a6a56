using System.Text.Json.Nodes;

namespace LoraScratch.Tests.Cli;

/// <summary>lora report; tests/browser tests the page itself.</summary>
public sealed class ReportCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare()
    {
        task = new TinyTask();
        _ = task.Adapter;
        LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--method", "last-layers",
            "--max-steps", "4", "--out", task["head"]);
    }

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void A_run_has_curves_cost_and_origin()
    {
        var page = Make(task.Adapter);
        Assert.That(page, Does.StartWith("<!DOCTYPE html>").And.Contain("Training of adapter"));
        Assert.That(page, Does.Contain("validation accuracy").And.Contain("<polyline"));
        Assert.That(page, Does.Contain("Predicted and measured").And.Contain("activations"));
        var origin = JsonNode.Parse(File.ReadAllText(Path.Combine(task.Adapter, "training.json")))!["provenance"]!;
        Assert.That(page, Does.Contain((string)origin["base"]!).And
            .Contain((string)origin["data"]!["to train on"]!["hash"]!));
        Assert.That(page, Does.Not.Contain("Confusion matrix"), "no texts were given");
    }

    [Test]
    public void Given_texts_every_run_is_asked_and_its_mistakes_are_shown()
    {
        var wrong = task.Write("wrong.csv", "text,label\nsuperb <b>film</b> & lovely,neg\nawful film,pos\n"
            + "excellent story,pos\nboring story,neg\n");
        var page = Make(task.Adapter, task["head"], "--data", wrong);
        Assert.That(page, Does.Contain("Confusion matrix of adapter").And.Contain("Confusion matrix of head"));
        Assert.That(page, Does.Contain("superb &lt;b&gt;film&lt;/b&gt; &amp; lovely").And.Contain("asked 4 texts"));
        Assert.That(page, Does.Contain("2 trainings").And.Contain("last-layers"));
        var evaluated = JsonNode.Parse(LoraProgram.Succeed("evaluate", "--model", task.Model, "--adapter",
            task.Adapter, "--data", wrong, "--json").Output)!;
        Assert.That(page, Does.Contain($"adapter: {100 * (double)evaluated["accuracy"]!:F2} % of 4 texts"));
    }

    [Test]
    public void A_comparison_has_its_methods_and_a_merge_its_certificate()
    {
        LoraProgram.Succeed("compare", "--model", task.Model, "--data", task.Data, "--methods", "lora,full", "--lr",
            "1e-3", "--max-steps", "2", "--out", task["comparison"]);
        LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task.Adapter, "--certificate", "--out",
            task["merged"]);
        var page = Make(task["comparison"], task["merged"]);
        var results = JsonNode.Parse(File.ReadAllText(Path.Combine(task["comparison"], "results.json")))!["methods"]!;
        foreach (var method in results.AsArray())
        {
            Assert.That(page, Does.Contain((string)method!["name"]!).And
                .Contain($"{100 * (double)method["test"]!["mean"]!:F2} %"));
        }
        Assert.That(page, Does.Contain("merged answers as the adapter does").And.Contain("Updates merged into merged"));
        Assert.That(Make(task["merged"]), Does.Contain("Merge into merged").And.Not.Contain("id=\"curves\""));
    }

    [Test]
    public void A_pretraining_is_reported_too()
    {
        LoraProgram.Succeed("pretrain", "--data", task.Data, "--text-column", "text", "--config",
            task["config.json"], "--vocab", task["vocab.txt"], "--max-steps", "2", "--max-length", "16", "--out",
            task["base"]);
        Assert.That(Make(task["base"]), Does.Contain("Training of base").And.Contain("pretraining"));
    }

    [Test]
    public void What_is_damaged_or_no_run_is_refused_in_a_sentence_and_nothing_is_written()
    {
        void Refuses(string file, Func<string, string> change, string message)
        {
            TemporaryFolder.Copy(task.Adapter, task["broken"]);
            var path = Path.Combine(task["broken"], file);
            File.WriteAllText(path, change(File.Exists(path) ? File.ReadAllText(path) : ""));
            var result = LoraProgram.Refuse("report", task["broken"], "--out", task["never.html"]);
            Assert.That(result.Errors, Does.StartWith("error: ").And.Contain(message));
            Assert.That(result.Errors.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
            Assert.That(File.Exists(task["never.html"]), Is.False);
        }
        Refuses("training.json", _ => "{", "not valid JSON");
        Refuses("training.json", text => text.Replace("\"steps\"", "\"stops\""), "is no account of a training run");
        Refuses("training.json", text => text.Replace("\"format\": 1", "\"format\": 9"), "has format 9");
        Refuses("training.json", text => text.Replace("\"device_memory\": {", "\"device_memory\": 7, \"x\": {"),
            "is damaged");
        Refuses("metrics.jsonl", text => text[..(text.Length / 2)], "metrics.jsonl, line");
        Refuses("certificate.json", _ => "{\"format\": 2}", "has format 2");
        Refuses("certificate.json", _ => "{\"format\": 1}", "is damaged");
        Directory.CreateDirectory(task["empty"]);
        Assert.That(LoraProgram.Refuse("report", task["empty"]).Errors, Does.Contain("holds no training.json"));
        Assert.That(LoraProgram.Refuse("report", task["nowhere"]).Errors, Does.Contain("there is no folder"));
        Assert.That(LoraProgram.Refuse("report", task.Adapter, "--mistakes", "3", "--out", task["never.html"]).Errors,
            Does.Contain("--mistakes has no effect without --data"));
        var mine = task.Write("mine.html", "mine");
        Assert.That(LoraProgram.Refuse("report", task.Adapter, "--out", mine).Errors, Does.Contain("--overwrite"));
    }

    private string Make(params string[] args)
    {
        LoraProgram.Succeed(["report", .. args, "--out", task["report.html"], "--overwrite"]);
        return File.ReadAllText(task["report.html"]);
    }
}
