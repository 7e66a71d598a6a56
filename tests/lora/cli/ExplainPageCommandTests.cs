namespace LoraScratch.Tests.Cli;

/// <summary>lora explain --html; tests/browser tests the page itself.</summary>
public sealed class ExplainPageCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare() => task = new TinyTask();

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void The_example_and_a_layer_of_an_adapter_get_a_page()
    {
        var file = task["explain.html"];
        Assert.That(LoraProgram.Succeed("explain", "--html", file).Output, Does.Contain($"The page is in {file}"));
        var example = File.ReadAllText(file);
        Assert.That(example, Does.StartWith("<!DOCTYPE html>").And.Contain("How one LoRA layer learns"));
        Assert.That(example, Has.Length.LessThan(400_000));
        LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task.Adapter, "--text",
            "the film was superb", "--html", file, "--overwrite");
        Assert.That(File.ReadAllText(file), Does.Contain("layer.0.attention.q_lin").And.Contain("superb"));
    }

    [Test]
    public void A_file_that_cannot_be_written_is_refused_before_the_work()
    {
        var missing = LoraProgram.Refuse("explain", "--html", Path.Combine(task["nowhere"], "explain.html"));
        Assert.That(missing.Errors, Does.StartWith("error: ").And.Contain("there is no folder"));
        Assert.That(missing.Output, Is.Empty);
        Assert.That(Directory.Exists(task["nowhere"]), Is.False);

        var file = task["mine.html"];
        File.WriteAllText(file, "mine");
        Assert.That(LoraProgram.Refuse("explain", "--html", file).Errors, Does.Contain("--overwrite"));
        Assert.That(File.ReadAllText(file), Is.EqualTo("mine"));
        Assert.That(LoraProgram.Refuse("explain", "--overwrite").Errors, Does.Contain("without --html"));
    }
}
