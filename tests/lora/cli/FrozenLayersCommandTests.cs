using System.Globalization;

namespace LoraScratch.Tests.Cli;

/// <summary>lora train --layers, and what becomes of the layers below.</summary>
public sealed class FrozenLayersCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare() => task = new TinyTask();

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void The_last_layer_is_adapted_and_the_one_below_is_computed_once()
    {
        var result = Train("last", "--layers", "last:1", "--frozen-dropout", "false", "--epochs", "2");
        Assert.That(result, Does.Contain("q_lin in block 1 → 1 layer"));
        Assert.That(result, Does.Match(@"layer 0 is frozen: its output is computed once and kept, [0-9.]+ KiB\n"));
        Assert.That(result, Does.Match("of it for the frozen layers before the first step"));
        Assert.That(File.ReadAllText(Path.Combine(task["last"], "adapter_config.json")),
            Does.Contain("\"layers_to_transform\": [\n    1\n  ]"));
        Assert.That(File.ReadAllText(Path.Combine(task["last"], "training.json")),
            Does.Contain("\"layers\": \"last:1\"").And.Contain("\"frozen-dropout\": false"));
        var inFile = Train("in-file", "--layers", "1", "--frozen-dropout", "false", "--epochs", "2", "--cache-memory",
            "2KiB");
        Assert.That(inFile, Does.Contain("of it in a temporary file"));
        Assert.That(File.ReadAllBytes(Path.Combine(task["in-file"], "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(task["last"], "adapter_model.safetensors"))));
        Assert.That(LoraProgram.Succeed("evaluate", "--model", task.Model, "--adapter", task["last"], "--data",
            task.Data).Output, Does.Contain("accuracy"));
    }

    [Test]
    public void Dropout_in_frozen_layers_is_said_with_what_it_costs()
    {
        Assert.That(Train("dropping", "--layers", "1", "--epochs", "2"), Does.Contain("layer 0 is frozen, and dropout "
            + "runs in it anew in every epoch; with --frozen-dropout false its output would be computed once"));
        Assert.That(Train("all", "--frozen-dropout", "false"),
            Does.Contain("--frozen-dropout false has no effect here: no layer lies below"));
        Assert.That(Train("head", "--method", "last-layers", "--frozen-dropout", "false", "--epochs", "2"),
            Does.Contain("layers 0 to 1 are frozen: their output is computed once and kept"));
        Assert.That(Train("nothing", "--layers", "1", "--frozen-dropout", "false", "--epochs", "2", "--cache-memory",
            "0"), Does.Not.Contain("is frozen"));
    }

    [Test]
    public void Half_precision_is_said_with_the_bytes_that_it_takes()
    {
        string[] options = ["--layers", "1", "--frozen-dropout", "false", "--epochs", "2"];
        var bytes = Kept(Train("whole", options), "kept, ");
        var half = Train("half", [.. options, "--frozen-precision", "float16"]);
        Assert.That(half, Does.Contain("layer 0 is frozen: its output is computed once and kept in float16, "));
        Assert.That(Kept(half, "kept in float16, "), Is.EqualTo(bytes / 2).Within(0.1));
        Assert.That(File.ReadAllText(Path.Combine(task["half"], "training.json")),
            Does.Contain("\"frozen-precision\": \"float16\""));
        var inFile = Train("half-in-file", [.. options, "--frozen-precision", "float16", "--cache-memory", "2KiB"]);
        Assert.That(inFile, Does.Contain("of it in a temporary file"));
        Assert.That(Adapter("half-in-file"), Is.EqualTo(Adapter("half")).And.Not.EqualTo(Adapter("whole")));
        Assert.That(Train("once", "--layers", "1", "--frozen-dropout", "false", "--frozen-precision", "float16"),
            Does.Contain("layer 0 is frozen: its output is rounded to float16"));

        static double Kept(string errors, string before) => double.Parse(
            errors[(errors.IndexOf(before) + before.Length)..].Split(' ')[0], CultureInfo.InvariantCulture);

        byte[] Adapter(string folder) => File.ReadAllBytes(Path.Combine(task[folder], "adapter_model.safetensors"));
    }

    [Test]
    public void Half_precision_without_effect_is_said()
    {
        Assert.That(Train("half-all", "--frozen-precision", "float16"),
            Does.Contain("--frozen-precision float16 has no effect here: no layer lies below"));
        Assert.That(Train("half-dropping", "--layers", "1", "--frozen-precision", "float16"),
            Does.Contain("--frozen-precision float16 has no effect here: dropout runs in the frozen layers"));
    }

    [Test]
    public void Options_that_make_no_sense_are_refused()
    {
        foreach (var (options, words) in new (string[] Options, string Words)[]
        {
            (["--layers", "2"], "--layers is 2; the model has 2 layers, 0 to 1"),
            (["--layers", "first"], "--layers is first; expected numbers of layers"),
            (["--layers", "1", "--method", "full"], "--layers belongs to --method lora and qa-lora"),
            (["--frozen-dropout", "false", "--method", "full"], "--frozen-dropout belongs to --method lora"),
            (["--layers", "1", "--init-adapter", task.Adapter], "--layers is decided by the adapter"),
            (["--cache-memory", "lots"], "--cache-memory"),
            (["--frozen-precision", "float16", "--method", "full"], "--frozen-precision belongs to --method lora"),
            (["--frozen-precision", "bfloat16"], "expected float32 or float16"),
        })
        {
            Assert.That(LoraProgram.Refuse(["train", "--model", task.Model, "--data", task.Data, "--out",
                task["refused"], .. options]).Errors, Does.Contain(words));
        }
    }

    [Test]
    public void Comparisons_and_sweeps_take_them_too()
    {
        var folder = task["compared"];
        LoraProgram.Succeed("compare", "--model", task.Model, "--data", task.Data, "--out", folder, "--epochs", "1",
            "--methods", "lora,last-layers", "--layers", "last:1", "--frozen-dropout", "false");
        Assert.That(Directory.Exists(folder));
    }

    private string Train(string folder, params string[] options) =>
        LoraProgram.Succeed(["train", "--model", task.Model, "--data", task.Data, "--out", task[folder],
            .. options.Contains("--epochs") ? options : ["--epochs", "1", .. options]]).Errors;
}
