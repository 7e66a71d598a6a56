using System.Text.Json.Nodes;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.Cli;

/// <summary>lora merge --certificate, and what half precision takes away.</summary>
public sealed class MergeCertificateCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare()
    {
        task = new TinyTask();
        _ = task.Adapter;
        LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--max-steps", "1", "--lr", "1e-5",
            "--train-head", "false", "--out", task["faint"]);
    }

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void A_merge_in_float32_keeps_everything_and_says_so()
    {
        var result = Merge("adapter", "merged", "--certificate");
        Assert.That(result.Output, Does.Match(@"layer +\|ΔW\| +\|ΔW\|/\|W\| +erased +error/\|ΔW\|"));
        Assert.That(result.Output, Does.Match(@"largest change of a logit on 32 random texts: \d.*e-0\d|: 0"));
        Assert.That(result.Output.Split('\n').Max(line => line.Contains("largest") || line.Contains(task.Root) ? 0
            : LoraScratch.Cli.Columns.Of(line)), Is.LessThanOrEqualTo(80));
        var certificate = JsonNode.Parse(File.ReadAllText(Path.Combine(task["merged"], "certificate.json")))!;
        Assert.That((string)certificate["type"]!, Is.EqualTo("F32"));
        Assert.That(certificate["layers"]!.AsArray(), Has.Count.EqualTo(4));
        Assert.That((double)certificate["logit_change"]!, Is.LessThan(1e-4));
        Merge("adapter", "merged", "--certificate", "--overwrite");
    }

    /// <summary>The largest change of a logit, beside what both models predict.</summary>
    [Test]
    public void What_it_says_of_logits_is_what_the_merged_model_answers()
    {
        var texts = task.Write("probe.csv", "text\n" + string.Join('\n', File.ReadAllLines(task.Data).Skip(1).Take(9)
            .Select(line => line.Split(',')[0])) + "\n");
        var result = Merge("adapter", "half", "--dtype", "bf16", "--probe", texts, "--force");
        using (var file = SafeTensorsFile.Open(Path.Combine(task["half"], "model.safetensors")))
        {
            Assert.That(file.Tensors.Values.Select(tensor => tensor.DType), Is.All.EqualTo(DType.BF16));
        }
        var certificate = JsonNode.Parse(File.ReadAllText(Path.Combine(task["half"], "certificate.json")))!;
        Assert.That((string)certificate["probes"]!, Is.EqualTo($"9 texts of {texts}"));
        float[] Logits(params string[] model) =>
            LoraProgram.Succeed(["predict", .. model, "--input", texts, "--json"]).Logits;
        var change = Logits("--model", task.Model, "--adapter", task.Adapter)
            .Zip(Logits("--model", task["half"]), (a, b) => Math.Abs(a - b)).Max();
        Assert.That((double)certificate["logit_change"]!, Is.EqualTo(change).Within(2e-6));
        Assert.That(change, Is.GreaterThan(1e-4), "bfloat16 has three digits");
        Assert.That(result.Output, Does.Contain("in BF16"));
    }

    [TestCase("bf16")]
    [TestCase("f16")]
    public void An_update_that_rounding_erases_is_refused_and_nothing_is_written(string type)
    {
        var result = LoraProgram.Call("merge", "--model", task.Model, "--adapter", task["faint"], "--out",
            task["never"], "--dtype", type);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Errors, Does.Contain("nothing was written").And.Contain(
            $"{type.ToUpperInvariant()} erases ").And.Contain("of the update of ").And.Contain("--force"));
        Assert.That(Directory.Exists(task["never"]), Is.False);

        var forced = Merge("faint", $"forced-{type}", "--dtype", type, "--force");
        Assert.That(forced.Errors, Does.Contain("warning: ").And.Contain("written all the same"));
        LoraProgram.Succeed("predict", "--model", task[$"forced-{type}"], "--text", "superb film");
    }

    [Test]
    public void Zeros_are_certified_too_and_rounding_them_is_no_small_error()
    {
        LoraProgram.Succeed("quantize", "--model", task.Model, "--bits", "4", "--group-size", "16", "--out",
            task["int4"]);
        LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora",
            "--max-steps", "8", "--lr", "3e-2", "--out", task["qa"]);
        string[] merge = ["merge", "--model", task["int4"], "--adapter", task["qa"], "--certificate", "--out"];
        LoraProgram.Succeed([.. merge, task["int4-merged"]]);
        var layers = JsonNode.Parse(File.ReadAllText(Path.Combine(task["int4-merged"], "certificate.json")))!["layers"]!
            .AsArray();
        Assert.That(layers.Select(layer => (double)layer!["relative_error"]!), Is.All.LessThan(1e-4));
        Assert.That(layers.Select(layer => (double)layer!["update_norm"]!), Is.All.GreaterThan(0.001));
        LoraProgram.Succeed([.. merge, task["int4-rounded"], "--round-zeros", "--force"]);
        var rounded = JsonNode.Parse(File.ReadAllText(Path.Combine(task["int4-rounded"], "certificate.json")))!;
        Assert.That(rounded["layers"]!.AsArray().Max(layer => (double)layer!["relative_error"]!), Is.GreaterThan(0.1));
    }

    [TestCase("--probe FILE", "--probe has no effect without --certificate")]
    [TestCase("--force", "--force has no effect without --certificate")]
    [TestCase("--certificate --probe NONE", "there is no such file")]
    [TestCase("--dtype f8", "--dtype is 'f8'")]
    public void What_makes_no_sense_is_refused(string options, string message) =>
        task.RequireRefused($"merge --model MODEL --adapter ADAPTER --out OUT {options}", message,
            ("ADAPTER", () => task.Adapter), ("FILE", () => task.Data), ("NONE", () => task["none.csv"]));

    private ProgramResult Merge(string adapter, string to, params string[] more) => LoraProgram.Succeed(["merge",
        "--model", task.Model, "--adapter", task[adapter], "--out", task[to], .. more]);
}
