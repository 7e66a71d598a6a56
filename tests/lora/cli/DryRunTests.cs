using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace LoraScratch.Tests.Cli;

/// <summary>lora train --dry-run, and what it predicts beside what a training measures.</summary>
public sealed partial class DryRunTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare()
    {
        task = new TinyTask();
        _ = task.Model;
    }

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void It_shows_plan_memory_and_every_method_and_writes_nothing()
    {
        var before = Directory.GetFileSystemEntries(task.Root);
        var result = LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--dry-run", "--out",
            task["never"]);
        Assert.That(result.Output, Does.Match(@"\*\.q_lin.* → 2 layers|q_lin → 2 layers").And
            .Contain("memory of the device at its peak, in a step with"));
        foreach (var part in (string[])["weights", "gradients", "optimizer", "activations", "workspace", "together"])
        {
            Assert.That(result.Output, Does.Match($@"\n  {part} +[\d.]+ (B|KiB|MiB)\n"));
        }
        foreach (var method in (string[])[@"\* lora", "  last-layers", "  full"])
        {
            Assert.That(result.Output, Does.Match($@"\n{method} +[\d,]+ +[\d.]+ KiB +[\d,]+ +[\d.]+ s +[\d.]+ s\n"));
        }
        Assert.That(result.Output.Split('\n').Where(line => !line.StartsWith("* --method"))
            .Max(LoraScratch.Cli.Columns.Of), Is.LessThanOrEqualTo(80));
        Assert.That(result.Errors, Does.Contain("note: qa-lora is left out"), "groups of 32 in a width of 16");
        Assert.That(Directory.GetFileSystemEntries(task.Root), Is.EquivalentTo(before));
    }

    /// <summary>That a method is measured beside others must not change what it takes.</summary>
    [TestCase("full")]
    [TestCase("last-layers")]
    [TestCase("qa-lora")]
    public void A_method_takes_the_memory_that_it_takes_by_itself(string method)
    {
        string[] args = ["train", "--data", task.Data, "--model", task.Model, "--dry-run", "--group-size", "16"];
        var beside = LoraProgram.Succeed([.. args[..^2], "--method", method == "full" ? "last-layers" : "full"]);
        var alone = LoraProgram.Succeed([.. method == "qa-lora" ? args : args[..^2], "--method", method]);
        var marked = Regex.Match(alone.Output, $@"\n\* {method} +[\d,]+ +([\d.]+) KiB").Groups[1].Value;
        var other = Regex.Match(beside.Output, $@"\n  {method} +[\d,]+ +([\d.]+) KiB").Groups[1].Value;
        if (method == "qa-lora" && other.Length == 0)
        {
            Assert.That(beside.Errors, Does.Contain("note: qa-lora is left out"), "groups of 32 in a width of 16");
            return;
        }
        Assert.That(Number(other), Is.EqualTo(Number(marked)).Within(2).Percent);
    }

    [Test]
    public void After_a_training_predicted_and_measured_stand_beside_each_other()
    {
        var result = LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--epochs", "4",
            "--out", task["run"]);
        Assert.That(result.Output, Does.Match(@"Predicted [\d.]+ s of steps and [\d.]+ KiB of tensors; measured "
            + @"[\d.]+ s and [\d.]+ KiB\."));
        var root = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["run"], "training.json"))).RootElement;
        var predicted = root.GetProperty("predicted").GetProperty("device_memory").EnumerateObject()
            .Sum(part => part.Value.GetInt64());
        var measured = root.GetProperty("measured").GetProperty("device_memory").GetInt64();
        Assert.That(predicted, Is.EqualTo(measured).Within(10).Percent);
        Assert.That(root.GetProperty("predicted").GetProperty("step_seconds").GetDouble(), Is.GreaterThan(0));
    }

    [Test]
    public void The_dry_run_predicts_what_the_training_then_measures()
    {
        string[] args = ["train", "--data", task.Data, "--model", task.Model, "--rank", "4"];
        var together = TogetherLine().Match(LoraProgram.Succeed([.. args, "--dry-run"]).Output).Groups[1].Value;
        LoraProgram.Succeed([.. args, "--out", task["measured"]]);
        var root = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["measured"], "training.json"))).RootElement;
        Assert.That(Number(together), Is.EqualTo(root.GetProperty("measured").GetProperty("device_memory").GetInt64()
            / 1024.0).Within(10).Percent);
    }

    [TestCase("--dry-run --resume", "--resume goes on with one")]
    [TestCase("", "Option '--out' is required.")]
    [TestCase("--dry-run --targets banana", "--targets names 'banana'")]
    public void What_makes_no_sense_is_refused(string options, string message) =>
        task.RequireRefused($"train --data DATA --model MODEL {options}".TrimEnd(), message);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"together +([\d.]+) KiB")]
    private static partial Regex TogetherLine();
}
