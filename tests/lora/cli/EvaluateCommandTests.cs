using System.Globalization;
using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// lora evaluate: figures by class and the list of the errors; and the options of train that go by
/// such figures.
/// </summary>
public class EvaluateCommandTests
{
    private TinyTask task = null!;

    private string Model => task["good"];

    [OneTimeSetUp]
    public void TrainAModel()
    {
        task = new TinyTask();
        // three of sixteen have the wrong label: an excellent model is wrong on them
        var rows = TinyTask.Reviews(16, seed: 3).Split('\n');
        foreach (var i in (int[])[4, 7, 12])
        {
            rows[i] = rows[i].EndsWith("neg", StringComparison.Ordinal)
                ? rows[i].Replace(",neg", ",pos") : rows[i].Replace(",pos", ",neg");
        }
        task.Write("test.csv", string.Join('\n', rows));
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", Model, "--method", "full",
            "--lr", "3e-3", "--epochs", "8", "--threads", "1");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Every_class_and_every_average_has_its_figures()
    {
        var table = Evaluate().Output;
        Assert.That(table.Split('\n'), Has.All.Length.LessThanOrEqualTo(80));
        Assert.That(table,
            Does.Match(@"\nneg +\d+\.\d\d % .* 9\npos .* 7\nmacro average .* 16\nweighted average .* 16\n"));
        var json = JsonDocument.Parse(Evaluate("--json").Output).RootElement;
        var confusion = json.GetProperty("confusion").EnumerateArray()
            .Select(row => row.EnumerateArray().Select(count => count.GetInt32()).ToArray()).ToArray();
        double[] precision = [(double)confusion[0][0] / (confusion[0][0] + confusion[1][0]),
            (double)confusion[1][1] / (confusion[0][1] + confusion[1][1])];
        Assert.That(json.GetProperty("macro").GetProperty("precision").GetDouble(),
            Is.EqualTo(precision.Average()).Within(1e-12));
        Assert.That(json.GetProperty("weighted").GetProperty("recall").GetDouble(),
            Is.EqualTo(json.GetProperty("accuracy").GetDouble()).Within(1e-12));
        Assert.That(json.GetProperty("classes").GetProperty("neg").GetProperty("support").GetInt32(), Is.EqualTo(9));
    }

    [TestCase(".csv")]
    [TestCase(".tsv")]
    [TestCase(".jsonl")]
    public void The_errors_are_written_with_their_lines_the_surest_first(string kind)
    {
        var path = task[$"errors{kind}"];
        var result = Evaluate("--errors", path);
        var lines = File.ReadAllLines(task["test.csv"]);
        var rows = kind == ".jsonl"
            ? File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement.EnumerateObject()
                .Select(cell => cell.Value.ToString()).ToArray()).ToArray()
            : [.. File.ReadLines(path).Skip(1).Select(line => line.Split(kind == ".csv" ? ',' : '\t'))];
        var accuracy = JsonDocument.Parse(Evaluate("--json").Output).RootElement.GetProperty("accuracy").GetDouble();
        Assert.That(rows, Has.Length.EqualTo((int)Math.Round(16 * (1 - accuracy))).And.Length.GreaterThan(1));
        Assert.That(result.Errors, Does.Contain($"{path}: {rows.Length} of 16 examples are answered wrongly"));
        foreach (var row in rows)
        {
            Assert.That(lines[int.Parse(row[0]) - 1], Is.EqualTo($"{row[1]},{row[2]}"), "line, text, label");
            Assert.That(row[3], Is.EqualTo(row[2] == "neg" ? "pos" : "neg"), "predicted");
        }
        Assert.That(rows.Select(row => double.Parse(row[4], CultureInfo.InvariantCulture)),
            Is.Ordered.Descending.And.All.InRange(0.5, 1));
    }

    [Test]
    public void A_file_of_errors_is_refused_before_the_work_and_not_replaced_unasked()
    {
        Assert.That(Refuse("--errors", task["errors.txt"]),
            Does.Contain("errors.txt: the kind of this table is not known by its name"));
        Assert.That(Refuse("--errors", task["no/such/folder/errors.csv"]), Does.Contain("cannot be written"));
        Assert.That(Refuse("--overwrite"), Does.Contain("--overwrite has no effect without --errors"));
        var path = task.Write("there.csv", "mine");
        Assert.That(Refuse("--errors", path), Does.Contain("the file exists already").And.Contain("--overwrite"));
        Assert.That(File.ReadAllText(path), Is.EqualTo("mine"));
        Evaluate("--errors", path, "--overwrite");
        Assert.That(File.ReadAllText(path), Does.StartWith("line,text,label,predicted,probability\r\n"));
        Assert.That(LoraProgram.Refuse("evaluate", "--model", task.Model, "--adapter", $"a={task.Adapter}", "--adapter",
            $"b={task.Adapter}", "--data", task["test.csv"], "--errors", task["two.csv"]).Errors,
            Does.Contain("--errors is for the answers of one adapter, and there are 2"));
    }

    [Test]
    public void A_training_says_by_what_it_chooses_how_classes_weigh_and_that_it_stopped_early()
    {
        var result = LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["chosen"],
            "--metric", "macro-f1", "--class-weights", "neg=2,pos=0.5", "--early-stopping", "1", "--epochs", "50",
            "--lr", "1", "--clip", "0", "--optimizer", "sgd", "--schedule", "constant", "--threads", "1");
        Assert.That(result.Errors, Does.Contain("class weights: neg 2, pos 0.5").And.Match(
            @"validation loss \d\.\d{4}  accuracy \d+\.\d\d %  macro F1 \d+\.\d\d %  \(best so far\)"));
        Assert.That(result.Output, Does.Match(
            @"Stopped early, after step \d+ of \d+: 1 validation without a better macro F1\.\n").And.Match(
            @"\(validation macro F1 \d+\.\d\d %\)"));
        var written = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["chosen"], "training.json"))).RootElement;
        string Option(string name) => written.GetProperty("options").GetProperty(name).ToString();
        Assert.That((Option("metric"), Option("class-weights"), Option("early-stopping"), Option("split")),
            Is.EqualTo(("macro-f1", "neg=2,pos=0.5", "1", "stratified")));
        Assert.That(written.GetProperty("stopped_early").GetBoolean());
        Assert.That(written.GetProperty("class_weights").GetProperty("neg").GetDouble(), Is.EqualTo(2));
        var validations = written.GetProperty("validations").EnumerateArray().ToArray();
        Assert.That(validations[^1].GetProperty("best").GetBoolean(), Is.False, "the last brought nothing");
        Assert.That(validations[^1].GetProperty("validation_macro_f1").GetDouble(), Is.InRange(0, 1));
        Assert.That(File.Exists($"{task["chosen"]}.checkpoint.safetensors"), Is.False, "the run has ended");
    }

    [TestCase("--early-stopping 2 --validation 0", "--early-stopping 2 has nothing to validate on: --validation is 0")]
    [TestCase("--metric loss --validation 0", "--metric loss has nothing to validate on")]
    [TestCase("--metric f1", "--metric is 'f1'; expected accuracy, macro-f1, weighted-f1 or loss")]
    [TestCase("--class-weights neg=0", "--class-weights has 0 for 'neg'; expected a number above 0")]
    [TestCase("--class-weights Neg=2", "--class-weights names 'Neg'; the classes are neg, pos")]
    [TestCase("--class-weights heavy", "--class-weights is 'heavy'; expected balanced, or weights by the names")]
    [TestCase("--split even", "--split is 'even'; expected stratified or random")]
    public void Senseless_options_are_refused(string options, string message) =>
        task.RequireRefused($"train --model MODEL --data DATA --out OUT {options}", message);

    [Test]
    public void Examples_are_held_out_at_random_where_that_is_asked_for()
    {
        string Train(string split)
        {
            LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task[split], "--split",
                split, "--max-steps", "2", "--threads", "1");
            return File.ReadAllText(Path.Combine(task[split], "metrics.jsonl")).Split('\n')[0];
        }
        Assert.That(Train("random"), Is.Not.EqualTo(Train("stratified")));
        Assert.That(LoraProgram.Succeed("compare", "--model", task.Model, "--data", task.Data, "--out", task["parted"],
            "--split", "random", "--metric", "loss", "--class-weights", "balanced", "--methods", "last-layers", "--lr",
            "1e-3", "--epochs", "1", "--threads", "1").Output, Does.Contain("last two layers"));
        Assert.That(File.ReadAllText(Path.Combine(task["parted"], "experiment.json")),
            Does.Contain("\"split\": \"random\"").And.Contain("\"metric\": \"loss\"").And
                .Contain("\"class-weights\": \"balanced\""));
    }

    private ProgramResult Evaluate(params string[] args) =>
        LoraProgram.Succeed(["evaluate", "--model", Model, "--data", task["test.csv"], .. args]);

    private string Refuse(params string[] args) =>
        LoraProgram.Refuse(["evaluate", "--model", Model, "--data", task["test.csv"], .. args]).Errors;

    [Test]
    public void A_result_never_replaces_what_it_is_made_of()
    {
        using var task = new TinyTask();
        var before = File.ReadAllText(task.Data);
        File.CreateSymbolicLink(task["link.csv"], task.Data);
        string[][] lines =
        [
            ["evaluate", "--model", task.Model, "--data", task.Data, "--errors", task.Data, "--overwrite"],
            ["predict", "--model", task.Model, "--input", task["link.csv"], "--out", task.Data, "--overwrite"],
            ["vocabulary", "--data", task.Data, "--out", task.Data, "--overwrite"],
        ];
        foreach (var line in lines)
        {
            Assert.That(LoraProgram.Refuse(line).Errors, Does.Contain("would replace what it was made of"));
            Assert.That(File.ReadAllText(task.Data), Is.EqualTo(before));
        }
    }
}
