using System.Globalization;
using System.Text.Json;
using System.Xml.Linq;
using LoraScratch.Engine;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Experiments;
using LoraScratch.Tests.Cli;

namespace LoraScratch.Tests.Experiments;

/// <summary>
/// lora sweep: the tutorial's grid, and on a tiny model that every run ends up in the table once,
/// whatever happens meanwhile.
/// </summary>
public class SweepTests : ExperimentTests
{
    [Test]
    public void The_tutorials_grid_has_576_different_points_and_its_two_named_runs()
    {
        var points = new SweepGrid().Points;
        Assert.That(points.Select(point => point.Name).Distinct().Count(),
            Is.EqualTo(576).And.EqualTo(points.Count).And.EqualTo(new SweepGrid().Count));
        Assert.That(points.Select(point => point.Name),
            Does.Contain("r8-alpha16-query+value").And.Contain("r8-alpha1-query+value+mlp").And
                .Contain("r32-alpha64-query+key+value+projection+mlp+head"));
        Assert.That(points.Select(point => point.Targets), Has.All.Contains("query").And.All.Contains("value"));
    }

    [Test]
    public void Fewer_points_with_the_same_seed_are_a_part_of_more()
    {
        var grid = new SweepGrid();
        string[] Names(int count, ulong seed) => [.. grid.Choose(count, seed).Select(point => point.Name)];
        Assert.That(Names(20, 1), Is.SubsetOf(Names(50, 1)).And.Unique);
        Assert.That(Names(20, 2), Is.Not.EqualTo(Names(20, 1)));
        Assert.That(grid.Choose(576, 5).Select(point => point.Name),
            Is.EqualTo(grid.Points.Select(point => point.Name)), "in the order of the grid");
        Assert.That(() => grid.Choose(577, 1),
            Throws.TypeOf<InputException>().With.Message.Contains("Option 'runs' is 577; expected 1 to 576"));
    }

    [Test]
    public void Every_run_has_a_row_and_the_best_alone_is_tested()
    {
        var rows = Rows("whole");
        // Rank r on query and value of two layers of width 16, and on mlp with 32: r·(2·2·32 + 2·2·48).
        Assert.That(rows.Select(row => (row[0], row[1], row[2], row[3])), Is.EqualTo(new[]
        {
            ("1", "2", "query+value", "128"), ("1", "2", "query+value+mlp", "320"), ("1", "8", "query+value", "128"),
            ("1", "8", "query+value+mlp", "320"),
            ("3", "2", "query+value", "384"), ("3", "2", "query+value+mlp", "960"), ("3", "8", "query+value", "384"),
            ("3", "8", "query+value+mlp", "960"),
        }));
        var best = rows.OrderByDescending(row => Number(row[5])).ThenBy(row => Number(row[6])).First();
        var tested = Directory.GetFiles(Path.Combine(Task["whole"], "runs"), "*.json")
            .Select(file => JsonDocument.Parse(File.ReadAllText(file)).RootElement)
            .Single(record => record.GetProperty("Test").ValueKind == JsonValueKind.Number);
        Assert.That(tested.GetProperty("Name").GetString(), Is.EqualTo($"r{best[0]}-alpha{best[1]}-{best[2]}"));
        Assert.That(Whole.Output,
            Does.Contain("The best of 8 runs").And.Contain(string.Create(
                CultureInfo.InvariantCulture, $"{100 * tested.GetProperty("Test").GetDouble():F2} %")));
        Assert.That(Directory.GetFiles(Path.Combine(Task["whole"], "runs"), "*.safetensors")
            .Select(Path.GetFileNameWithoutExtension), Is.EqualTo(new[] { tested.GetProperty("Name").GetString() }),
            "the weights of all others are gone");
        Assert.That(XDocument.Load(Path.Combine(Task["whole"], "accuracy.svg")).Descendants()
            .Count(element => element.Name.LocalName == "title"), Is.EqualTo(8), "a point with its name for each run");
    }

    [Test]
    public void Killed_at_several_places_it_ends_with_the_same_table()
    {
        var args = Args("killed");
        foreach (var (run, milliseconds) in new[] { (2, 5), (4, 30), (7, 0) })
        {
            Stop(args, $"run {run} of 8", milliseconds, process => process.Kill());
            // as if it had come in the middle of a line
            File.AppendAllText(Path.Combine(Task["killed"], "sweep.csv"), "3,8,que");
            args = [.. Args("killed"), "--resume"];
        }
        // As if the last kill had come between a row and the deletion of what is of no more use.
        string OfRun(string[] row, string end) =>
            Path.Combine(Task["killed"], "runs", $"r{row[0]}-alpha{row[1]}-{row[2]}.{end}");
        var lost = Rows("killed").First(row => !File.Exists(OfRun(row, "safetensors")));
        File.WriteAllText(OfRun(lost, "safetensors"), "left");
        File.WriteAllText(OfRun(lost, "checkpoint.safetensors"), "left");
        // And as if a kill had come in the midst of writing a file.
        File.WriteAllText(Path.Combine(Task["killed"], "runs", ".r1.safetensors.hl3rws5w.302.tmp"), "left");
        var last = LoraProgram.Call(args);
        Assert.That(last.Code, Is.Zero, last.Errors);
        Assert.That(Rows("killed").Select(row => string.Join(',', row[..^1])),
            Is.EqualTo(Rows("whole").Select(row => string.Join(',', row[..^1]))));
        Assert.That(Directory.GetFiles(Path.Combine(Task["killed"], "runs")).Select(Path.GetFileName).Order(),
            Is.EqualTo(Directory.GetFiles(Path.Combine(Task["whole"], "runs")).Select(Path.GetFileName).Order()));
    }

    [Test]
    public void A_random_part_can_be_enlarged_later()
    {
        Assert.That(LoraProgram.Call([.. Args("part"), "--runs", "3"]).Errors, Does.Contain("run 3 of 3"));
        var more = LoraProgram.Call([.. Args("part"), "--runs", "8", "--resume"]);
        Assert.That(more.Errors, Does.Contain("run 4 of 8").And.Contain("run 8 of 8").And.Not.Contain("run 3 of 8"));
        Assert.That(Rows("part").Select(row => string.Join(',', row[..^1])),
            Is.EquivalentTo(Rows("whole").Select(row => string.Join(',', row[..^1]))));
        Assert.That(LoraProgram.Call([.. Args("part"), "--runs", "8", "--resume", "--optimizer", "sgd"]).Errors,
            Does.Contain("--optimizer was adam and is sgd now"));
    }

    [Test]
    public void A_dry_run_prints_grid_and_estimate_and_writes_nothing()
    {
        var result = LoraProgram.Call("sweep", "--model", Task.Model, "--data", Task.Data, "--out", Task["dry"],
            "--runs", "5", "--dry-run", "--threads", "1");
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Output,
            Does.Contain("ranks 1, 2, 4, 8, 16, 32; alphas 1, 4, 8, 16, 32, 64; query, value always, every choice of "
                + "key, projection, mlp, head: 576 points, 5 of them to run").And.Contain("tokens/s").And
                .Contain("for all"));
        Assert.That(result.Lines.Count(line => line.StartsWith("  r", StringComparison.Ordinal)), Is.EqualTo(5));
        Assert.That(Directory.Exists(Task["dry"]), Is.False);
    }

    [Test]
    public void A_table_that_was_changed_is_refused_by_its_line()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("sweep.csv");
        var row = new SweepRow(new SweepPoint(8, 0.5, ["query", "mlp"]), 12345, 7, 0.875, 0.25, 3.5);
        SweepTable.Open(path).Append(row);
        var again = SweepTable.Open(path).Rows.Single();
        Assert.That((again.Point.Name, again.TrainableParameters, again.KeptStep, again.Validation,
            again.ValidationLoss, again.Seconds), Is.EqualTo(("r8-alpha0.5-query+mlp", 12345L, 7, 0.875, 0.25, 3.5)));
        File.AppendAllText(path, "8,x,query,1,1,1,1,1\n");
        Assert.That(() => SweepTable.Open(path), Throws.TypeOf<InputException>().With.Message.Contains("line 3"));
        File.WriteAllText(path, "a,b\n1,2\n");
        Assert.That(() => SweepTable.Open(path), Throws.TypeOf<InputException>().With.Message.Contains("line 1"));
    }

    [TestCase("--ranks", "1.5", "--ranks: expected whole numbers")]
    [TestCase("--ranks", "2,2", "--ranks: expected whole numbers from 1, each once")]
    [TestCase("--alphas", "0", "--alphas: expected numbers above 0")]
    [TestCase("--vary", "query", "--always and --vary both name query")]
    [TestCase("--runs", "0", "--runs is 0; expected 1 to 576")]
    [TestCase("--train-head", "true", "--targets has head and --train-head is true")]
    public void Mistakes_are_named(string option, string value, string expected)
    {
        var result = LoraProgram.Call("sweep", "--model", Task.Model, "--data", Task.Data, "--out", Task["mistake"],
            option, value);
        Assert.That((result.Code, result.Errors.Contains(expected, StringComparison.Ordinal)), Is.EqualTo((1, true)),
            result.Errors);
    }

    [TestCase(88.2, 93.1, new[] { 88.0, 89, 90, 91, 92, 93, 94 })]
    [TestCase(50, 50, new[] { 50, 50.0002 })]
    public void Marks_between_two_values_enclose_them(double smallest, double largest, double[] expected) =>
    Assert.That(Axis.Marks(smallest, largest, 5), Is.EqualTo(expected).Within(1e-9));

    [TestCase(9216, 1_364_000, new[] { 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6 })]
    [TestCase(100, 100, new[] { 100.0, 200 })]
    public void Marks_of_a_logarithmic_axis_enclose_the_values(double smallest, double largest, double[] expected) =>
        Assert.That(Axis.LogarithmicMarks(smallest, largest), Is.EqualTo(expected).Within(1e-6));

    protected override string[] Args(string folder) =>
        ["sweep", "--model", Task.Model, "--data", Task.Data, "--out", Task[folder], "--ranks", "1,3", "--alphas",
            "2,8", "--vary", "mlp", "--lr", "2e-3", "--epochs", "2", "--batch-size", "4", "--threads", "1",
                "--checkpoint-every", "5"];

    private string[][] Rows(string folder) =>
        [.. File.ReadAllLines(Path.Combine(Task[folder], "sweep.csv")).Skip(1).Select(line => line.Split(','))];

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
