using System.Xml.Linq;

namespace LoraScratch.Tests.Cli;

/// <summary>The pictures that trainings leave, and those of lora plot.</summary>
public class PlotCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare() => task = new TinyTask();

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_training_leaves_its_picture_and_plot_draws_the_same_again()
    {
        var left = File.ReadAllText(Path.Combine(task.Adapter, "curves.svg"));
        Assert.That(Texts(left), Does.Contain("Training of adapter").And.Contain("training loss, each step").And
            .Contain("training loss, mean of neighbours").And.Contain("validation loss")
                .And.Contain("validation accuracy"));
        LoraProgram.Succeed("plot", task.Adapter, "--out", task["again.svg"]);
        Assert.That(File.ReadAllText(task["again.svg"]), Is.EqualTo(left));
        Assert.That(LoraProgram.Refuse("plot", task.Adapter, "--out", task["again.svg"]).Errors,
            Does.Contain("--overwrite"));
    }

    [Test]
    public void Runs_are_laid_over_each_other_under_the_names_of_their_folders()
    {
        LoraProgram.Succeed("plot", task.Adapter, task.Model, "--out", task["both.svg"]);
        var picture = File.ReadAllText(task["both.svg"]);
        Assert.That(Texts(picture), Does.Contain("2 trainings").And.Contain("adapter").And.Contain("model").And
            .Contain("training loss").And.Contain("validation loss").And.Contain("accuracy, %"));
        Assert.That(XDocument.Parse(picture).Descendants().Count(element => element.Name.LocalName == "polyline"),
            Is.EqualTo(6), "three panels, two runs");
    }

    [Test]
    public void The_runs_of_comparisons_and_sweeps_are_drawn_the_best_of_them_where_they_are_many()
    {
        string[] quick = ["--model", task.Model, "--data", task.Data, "--epochs", "1", "--threads", "1"];
        LoraProgram.Succeed(["compare", .. quick, "--out", task["comparison"], "--lr", "1e-3", "--methods",
            "lora,last-layers"]);
        LoraProgram.Succeed("plot", task["comparison"], "--out", task["comparison.svg"]);
        Assert.That(Texts(File.ReadAllText(task["comparison.svg"])),
            Does.Contain("lora-lr1e-3-seed1").And.Contain("last-layers-lr1e-3-seed1").And.Contain("accuracy, %"));
        LoraProgram.Succeed(["sweep", .. quick, "--out", task["sweep"], "--runs", "9", "--max-steps", "2"]);
        var plotted = LoraProgram.Succeed("plot", task["sweep"], "--out", task["sweep.svg"]);
        Assert.That(plotted.Errors, Does.Contain("has 9 runs; the 8 with the best validation are drawn"));
        Assert.That(plotted.Output, Does.Contain("8 runs, 16 steps"));
        var one = Directory.GetFiles(Path.Combine(task["sweep"], "runs"), "*.json")[0];
        Assert.That(LoraProgram.Succeed("plot", one, "--out", task["one.svg"]).Output, Does.Contain("1 run, 2 steps"));
    }

    [TestCase(null, "there is no such file, and so no losses to draw")]
    [TestCase("", "the file is empty")]
    [TestCase("{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"lo", "line 2: this is not valid JSON")]
    [TestCase("{\"step\": 1, \"loss\": 0.5}\n{\"step\": 3, \"loss\": 0.5}\n",
        "line 2: this is step 3, where step 2 is expected")]
    [TestCase("{\"step\": 1, \"loss\": \"low\"}\n",
        "line 1: {\"step\": …, \"loss\": …} with two numbers is expected")]
    [TestCase("{\"step\": 1, \"loss\": 0.5}\n", "but metrics.jsonl ends with step 1")]
    public void A_damaged_run_is_told_in_one_sentence_that_names_file_and_line(string? metrics, string message)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(task.Adapter, "training.json"), Path.Combine(folder.Root, "training.json"));
        if (metrics is not null)
        {
            folder.Write("metrics.jsonl", metrics);
        }
        var result = LoraProgram.Refuse("plot", folder.Root, "--out", Path.Combine(folder.Root, "x.svg"));
        Assert.That(result.Errors, Does.Contain(message).And.Contain("metrics.jsonl"));
        Assert.That(result.Errors.TrimEnd('\n'), Does.Not.Contain('\n'), "one sentence");
        Assert.That(File.Exists(Path.Combine(folder.Root, "x.svg")), Is.False);
    }

    [Test]
    public void Runs_of_different_tasks_are_not_compared()
    {
        using var other = new TemporaryFolder();
        foreach (var name in (string[])["training.json", "metrics.jsonl"])
        {
            File.Copy(Path.Combine(task.Adapter, name), Path.Combine(other.Root, name));
        }
        File.WriteAllText(Path.Combine(other.Root, "training.json"),
            File.ReadAllText(Path.Combine(other.Root, "training.json")).Replace("\"neg\"", "\"spam\""));
        Assert.That(LoraProgram.Refuse("plot", task.Adapter, other.Root, "--out", task["x.svg"]).Errors,
            Does.Contain("was trained for the classes neg, pos, and")
                .And.Contain("for the classes spam, pos: losses of "
                + "different tasks cannot be compared"));
        File.Delete(Path.Combine(other.Root, "training.json"));
        Assert.That(LoraProgram.Succeed("plot", task.Adapter, other.Root, "--out", task["untold.svg"]).Errors,
            Does.Contain("has no training.json").And.Contain("not known"));
    }

    private static string[] Texts(string svg) =>
        [.. XDocument.Parse(svg).Descendants().Where(element => element.Name.LocalName == "text")
            .Select(element => element.Value)];

    [Test]
    public void What_is_no_run_is_refused_without_advice_to_delete_it()
    {
        using var folder = new TemporaryFolder();
        var table = folder.Write("r.csv", "text,label\nfine,pos\n");
        Assert.That(LoraProgram.Refuse("plot", table, "--out", folder.File("x.svg")).Errors,
            Does.Contain("is no whole record of a run").And.Not.Contain("Delete"));
        Assert.That(LoraProgram.Refuse("plot", folder.File("none"), "--out", folder.File("x.svg")).Errors,
            Does.Contain("there is no folder"));
        Assert.That(LoraProgram.Refuse("plot", table, "--out", folder.File("x.png")).Errors,
            Does.Contain("ends with .svg"));
    }
}
