using System.Globalization;
using System.Text.Json;
using System.Xml.Linq;
using LoraScratch.Tests.Cli;

namespace LoraScratch.Tests.Experiments;

/// <summary>
/// lora compare on a tiny model and tiny texts: what it chooses and when, what it leaves, and that
/// a kill costs nothing.
/// </summary>
public class CompareTests : ExperimentTests
{
    [Test]
    public void The_learning_rate_has_the_best_mean_validation_and_the_test_texts_come_after_every_choice()
    {
        foreach (var method in Results("whole").EnumerateArray())
        {
            var name = method.GetProperty("method").GetString()!;
            var means = new[] { "1e-3",
                "1e-2" }.Select(rate => (Rate: rate,
                    Runs: new[] { 3, 4 }.Select(seed => Run("whole", $"{name}-lr{rate}-seed{seed}")).ToArray()))
                .OrderByDescending(entry => entry.Runs.Average(run => run.GetProperty("Validation").GetDouble()))
                .ThenBy(entry => entry.Runs.Average(run => run.GetProperty("ValidationLoss").GetDouble())).ToArray();
            Assert.That(method.GetProperty("runs").EnumerateArray().Select(run => run.GetString()),
                Is.EqualTo(new[] { 3, 4 }.Select(seed => $"{name}-lr{means[0].Rate}-seed{seed}")), name);
            Assert.That(means[0].Runs.Select(run => run.GetProperty("Test").ValueKind),
                Has.All.EqualTo(JsonValueKind.Number));
            Assert.That(means[1].Runs.Select(run => run.GetProperty("Test").ValueKind),
                Has.All.EqualTo(JsonValueKind.Null), "a learning rate that lost is never tested");
        }
        var lines = Whole.Errors.Split('\n');
        Assert.That(Array.FindIndex(lines, line => line.Contains("test texts evaluated")),
            Is.GreaterThan(Array.FindIndex(lines, line => line.StartsWith("run 12 of 12", StringComparison.Ordinal))));
    }

    [Test]
    public void Test_texts_of_their_own_are_kept_out_of_the_training()
    {
        var rows = File.ReadAllLines(Task.Data).Skip(1).ToArray();
        var others = TinyTask.Reviews(20, seed: 9);
        Task.Write("test.csv", others + rows[0].Replace(" ", "  ", StringComparison.Ordinal) + "\n");
        var left = rows.Count(row => row == rows[0]
            || others.Split('\n').Any(other => other.Split(',')[0] == row.Split(',')[0]));
        string[] args = ["compare", "--model", Task.Model, "--data", Task.Data, "--test-data", Task["test.csv"],
            "--out", Task["own-test"], "--methods", "last-layers", "--lr", "1e-3", "--epochs", "1", "--threads", "1",
                "--train-texts", "8"];
        var result = LoraProgram.Call(args);
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Errors,
            Does.Contain($"left out of --data because they stand among the test examples: {left}").And
                .Contain($"{80 - left - 8} texts").And.Contain("8 to validate, 21 to test"));
        Assert.That(result.Errors,
            Does.Contain("8 of 8 training texts evaluated").And.Contain("21 of 21 test texts evaluated"));
        Assert.That(LoraProgram.Call([.. args, "--test", "0.3"]).Errors,
            Does.Contain("--test-data names the test examples"));
    }

    [Test]
    public void Fewer_seeds_may_choose_the_learning_rate()
    {
        var result = LoraProgram.Call([.. Args("first-chooses"), "--lr-seeds", "1"]);
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Errors, Does.Contain("run 9 of 9").And.Not.Contain("run 10"),
            "3 methods × (2 rates with the first seed + 1 further seed)");
        foreach (var method in Results("first-chooses").EnumerateArray())
        {
            var name = method.GetProperty("method").GetString()!;
            var chosen = new[] { "1e-3",
                "1e-2" }.OrderByDescending(rate => Run("whole", $"{name}-lr{rate}-seed3").GetProperty("Validation")
                    .GetDouble())
                .ThenBy(rate => Run("whole", $"{name}-lr{rate}-seed3").GetProperty("ValidationLoss").GetDouble())
                .First();
            Assert.That(method.GetProperty("runs").EnumerateArray().Select(run => run.GetString()),
                Is.EqualTo(new[] { 3, 4 }.Select(seed => $"{name}-lr{chosen}-seed{seed}")), name);
        }
        Assert.That(LoraProgram.Call([.. Args("mistake"), "--lr-seeds", "3"]).Errors,
            Does.Contain("--lr-seeds is 3; expected 1 to 2"));
    }

    [Test]
    public void The_table_has_means_deviations_and_ratios_and_the_files_have_the_same_numbers()
    {
        var rows = File.ReadAllLines(Path.Combine(Task["whole"], "results.csv")).Select(line => line.Split(','))
            .ToArray();
        Assert.That(rows.Select(row => row[0]), Is.EqualTo(new[] { "method", "lora", "last-layers", "full" }));
        foreach (var (method, row) in Results("whole").EnumerateArray().Zip(rows.Skip(1)))
        {
            var tests = method.GetProperty("runs").EnumerateArray()
                .Select(run => Run("whole", run.GetString()!).GetProperty("Test").GetDouble()).ToArray();
            var (mean, deviation) = ((tests[0] + tests[1]) / 2, Math.Abs(tests[0] - tests[1]) / Math.Sqrt(2));
            Assert.That(Number(row[9]), Is.EqualTo(mean).Within(1e-12));
            Assert.That(Number(row[10]), Is.EqualTo(deviation).Within(1e-12));
            Assert.That((row[11], row[12]), Is.EqualTo(("", "")), "nothing was quantised");
            Assert.That(method.GetProperty("test").GetProperty("mean").GetDouble(), Is.EqualTo(mean).Within(1e-12));
            Assert.That(Whole.Output,
                Does.Contain(string.Create(CultureInfo.InvariantCulture, $"{100 * mean:F2} ± {100 * deviation:F2} %")));
        }
        // LoRA of rank 4 on query and value of two layers of width 16, and the head: 4·4·(16 + 16) + 306; all: the
        // model's.
        Assert.That(rows.Skip(1).Select(row => (row[1], row[2])),
            Is.EqualTo(new[] { ("818", ""), ("306", "2.7x more"),
                ($"{ModelSize()}", $"{ModelSize() / 818.0:0.#}x fewer") }));
        Assert.That(Whole.Output,
            Does.Contain("LoRA (query, value)").And.Contain("last two layers").And.Contain("all layers").And
                .Contain("2.7x more"));
        var picture = XDocument.Load(Path.Combine(Task["whole"], "curves.svg")).Root!.Descendants().ToList();
        Assert.That(picture.Count(element => element.Name.LocalName == "polyline"), Is.EqualTo(9),
            "training and validation loss and accuracy of three runs");
        Assert.That(picture.Where(element => element.Name.LocalName == "text").Select(element => element.Value),
            Has.Some.StartWith("LoRA (query, value)").And.Some.StartWith("last two layers").And.Some
                .StartWith("all layers"));
    }

    [Test]
    public void Killed_at_several_places_it_ends_with_the_same_results_and_repeats_no_run()
    {
        var args = Args("killed");
        var kept = new List<Dictionary<string, string>>();
        foreach (var (run, milliseconds) in new[] { (2, 0), (5, 40), (9, 5), (12, 100) })
        {
            Assert.That(Stop(args, $"run {run} of 12", milliseconds, process => process.Kill()).Code, Is.Not.Zero);
            var ended = Directory.GetFiles(Path.Combine(Task["killed"], "runs"), "*.json")
                .ToDictionary(path => path, File.ReadAllText);
            Assert.That(ended, Has.Count.GreaterThanOrEqualTo(run - 1));
            args = [.. Args("killed"), "--resume"];
            kept.Add(ended);
        }
        var last = LoraProgram.Call(args);
        Assert.That(last.Code, Is.Zero, last.Errors);
        Assert.That(WithoutTimes("killed"), Is.EqualTo(WithoutTimes("whole")));
        foreach (var (path, text) in kept.SelectMany(ended => ended))
        {
            // The accuracies on training and test texts are added at the end; the seconds tell whether a run was
            // repeated.
            Assert.That(JsonDocument.Parse(File.ReadAllText(path)).RootElement.GetProperty("Seconds").GetRawText(),
                Is.EqualTo(JsonDocument.Parse(text).RootElement.GetProperty("Seconds").GetRawText()), path);
        }
        Assert.That(LoraProgram.Call([.. Args("killed"), "--resume"]).Errors,
            Does.Not.Contain("step ").And.Not.Contain("evaluated"), "nothing is left to do");
    }

    [Test]
    public void Another_experiment_does_not_go_on_with_it_and_none_is_overwritten()
    {
        Assert.That(LoraProgram.Call(Args("whole")).Errors, Does.Contain("--resume, or choose another folder"));
        Assert.That(LoraProgram.Call([.. Args("nothing"), "--resume"]).Errors,
            Does.Contain("there is no experiment to resume"));
        Assert.That(LoraProgram.Call([.. Args("whole"), "--resume", "--weight-decay", "0.5"]).Errors,
            Does.Contain("--weight-decay was 0.01 and is 0.5 now"));
        Assert.That(LoraProgram.Call([.. Args("whole", seeds: "3"), "--resume"]).Errors,
            Does.Contain("--seeds was 2 and is 3 now"));
        Assert.That(LoraProgram.Call([.. Args("whole"), "--resume", "--test", "0.25"]).Errors,
            Does.Contain("--test was 0.2 and is 0.25 now"));
    }

    [TestCase("{}", "experiment.json")]
    [TestCase("not JSON", "experiment.json")]
    [TestCase("", "runs/lora-lr1e-3-seed3.json")]
    public void A_damaged_file_is_named(string text, string name)
    {
        var folder = Task[$"damaged-{text.Length}"];
        Directory.CreateDirectory(Path.Combine(folder, "runs"));
        File.Copy(Path.Combine(Task["whole"], "experiment.json"), Path.Combine(folder, "experiment.json"));
        File.WriteAllText(Path.Combine(folder, name), text);
        var result = LoraProgram.Call([.. Args(folder), "--resume"]);
        Assert.That((result.Code,
            result.Errors.Contains($"{Path.Combine(folder, name)}: cannot be read", StringComparison.Ordinal)),
                Is.EqualTo((1, true)), result.Errors);
    }

    [Test]
    public void Options_that_hold_instead_of_a_presets_are_named()
    {
        var result = LoraProgram.Call("compare", "--model", Task.Model, "--data", Task.Data, "--out", Task["preset"],
            "--preset", "tutorial", "--methods", "lora",
            "--epochs", "1", "--rank", "2", "--max-length", "24", "--threads", "1");
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Errors.Split('\n').Where(line => line.StartsWith("--preset", StringComparison.Ordinal)),
            Is.EqualTo(new[]
        {
            "--preset tutorial has --rank 8; --rank 2 holds.",
            "--preset tutorial has --epochs 3; --epochs 1 holds.",
            "--preset tutorial has --max-length not given; --max-length 24 holds.",
            "--preset tutorial has --methods lora,last-layers,full; --methods lora holds.",
        }));
        var identity = JsonDocument.Parse(File.ReadAllText(Path.Combine(Task["preset"], "experiment.json"))).RootElement
            .GetProperty("Options");
        Assert.That(new[] { "scaling", "init", "optimizer", "lr", "train-head",
            "split" }.Select(name => identity.GetProperty(name).GetString()),
            Is.EqualTo(new[] { "alpha", "normal", "adam", "5e-5", "false", "tutorial" }));
        Assert.That(result.Output, Does.Contain("256"), "2·4·(16 + 16): the head stays as it is");
    }

    [Test]
    public void Options_of_a_method_that_a_preset_has_not_are_named_too()
    {
        var result = LoraProgram.Call("compare", "--model", Task.Model, "--data", Task.Data, "--out", Task["preset-qa"],
            "--preset", "tutorial", "--methods", "lora,qa-lora", "--group-size", "16",
            "--max-steps", "1", "--threads", "1");
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Errors.Split('\n'),
            Is.SupersetOf(new[] { "--preset tutorial has --bits not given; --bits 4 holds.",
                "--preset tutorial has --group-size not given; --group-size 16 holds." }));
        Assert.That(LoraProgram.Call("compare", "--model", Task.Model, "--data", Task.Data, "--out", Task["preset-qa"],
            "--preset", "tutorial", "--methods", "lora,qa-lora", "--group-size", "16",
            "--max-steps", "1", "--threads", "1", "--pooling", "paper", "--resume").Errors,
                Does.Contain("--pooling was repository and is paper now"));
    }

    [TestCase("--methods", "lora,lora", "--methods is 'lora,lora'")]
    [TestCase("--methods", "qlora", "--methods is 'qlora'")]
    [TestCase("--lr", "1e-3,x", "--lr is '1e-3,x'")]
    [TestCase("--lr", "1e-3,1e-3", "--lr: expected")]
    [TestCase("--seeds", "0", "--seeds is 0")]
    [TestCase("--validation", "0", "--validation is 0")]
    [TestCase("--checkpoint-every", "-1", "--checkpoint-every is -1")]
    public void Mistakes_are_named(string option, string value, string expected)
    {
        var result = LoraProgram.Call("compare", "--model", Task.Model, "--data", Task.Data, "--out", Task["mistake"],
            option, value);
        Assert.That((result.Code, result.Errors.Contains(expected, StringComparison.Ordinal)), Is.EqualTo((1, true)),
            result.Errors);
        Assert.That(Directory.Exists(Task["mistake"]), Is.False);
    }

    protected override string[] Args(string folder) => Args(folder, seeds: "2");

    private string[] Args(string folder, string seeds) =>
        ["compare", "--model", Task.Model, "--data", Task.Data, "--out", Task[folder], "--lr", "1e-3,1e-2", "--seeds",
            seeds, "--seed", "3", "--rank", "4", "--epochs", "3", "--batch-size", "4", "--threads", "1",
                "--checkpoint-every", "4"];

    [Test]
    [Platform("Linux", Reason = "a test can send the signal of Ctrl-C to another process on Linux only")]
    public void Ctrl_C_says_how_to_go_on()
    {
        var stopped = Stop(Args("interrupted"), "run 5 of 12", 10, process =>
        {
            using var kill = System.Diagnostics.Process.Start("/bin/kill", ["-INT", $"{process.Id}"]);
            kill.WaitForExit();
        });
        Assert.That(stopped.Code, Is.EqualTo(130), stopped.Errors);
        Assert.That(stopped.Lines[0], Does.StartWith($"Stopped; what is done is in {Task["interrupted"]}"));
        Assert.That(stopped.Lines[1].Trim(),
            Does.StartWith("lora compare --lr 1e-3,1e-2 --seeds 2 ").And.EndWith(" --resume"));
        Assert.That(LoraProgram.Call([.. stopped.Lines[1].Trim().Split(' ').Skip(1)]).Code, Is.Zero);
        Assert.That(WithoutTimes("interrupted"), Is.EqualTo(WithoutTimes("whole")));
    }

    private string WithoutTimes(string folder) => string.Join('\n', Results(folder).EnumerateArray().Select(method =>
        string.Join(' ', method.EnumerateObject()
            .Where(property => property.Name is not ("seconds" or "tokens_per_second"))
            .Select(property => property.Value.GetRawText()))));

    private JsonElement Results(string folder) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(Task[folder], "results.json"))).RootElement
        .GetProperty("methods");

    private JsonElement Run(string folder, string name) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(Task[folder], "runs", $"{name}.json"))).RootElement;

    private int ModelSize() =>
        new LoraScratch.Lora.Classification.TextClassifier(LoraScratch.Lora.Encoders.ModelFolder
            .Load(Task.Model)).Model.Parameters().Sum(parameter => parameter.Shape.Count);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
