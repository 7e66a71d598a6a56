using System.Text.Json;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Cli;

/// <summary>lora predict --out: the rows of a file with their answers.</summary>
public sealed class PredictToFileTests
{
    private const string Tickets = "id;text;note\r\n7;the film was superb;\"a;b\"\r\n8;\"a \"\"boring\"\"\nplot\";\r\n"
        + "9;;empty\r\n";

    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainTwoTasks()
    {
        task = new TinyTask();
        var reviews = TinyTask.Reviews(60, seed: 4).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        task.Write("tags.csv", "text,label\n" + string.Concat(reviews.Select((row, i) =>
            $"{row.Split(',')[0]},{(i % 3 == 0 ? "" : i % 3 == 1 ? "mood" : "mood|plot")}\n")));
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["tags.csv"], "--multi-label", "--new-head",
            "--max-steps", "2", "--out", task["tagged"]);
        task.Write("tickets.csv", Tickets);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    /// <summary>What 'predict --json' says about the three texts, in turn.</summary>
    private JsonElement[] Printed(params string[] more) =>
        [.. LoraProgram.Succeed(["predict", "--model", task.Model, "--input", task["tickets.csv"], "--json", .. more])
            .Lines.Select(line => JsonDocument.Parse(line).RootElement)];

    private ProgramResult Write(string name, params string[] more) => Write("tickets.csv", name, more);

    private ProgramResult Write(string input, string name, string[] more) => LoraProgram.Succeed(["predict", "--model",
        task.Model, "--input", task[input], "--out", task[name], "--overwrite", .. more]);

    private string[][] Read(string name, char separator = ';')
    {
        using var records = new DelimitedRecords(File.OpenRead(task[name]), name,
            new DelimitedFormat(separator, IsQuoted: true), 1 << 20);
        var rows = new List<string[]>();
        while (records.TryRead())
        {
            rows.Add(records.Fields());
        }
        return [.. rows];
    }

    [Test]
    public void All_columns_are_carried_through_with_label_and_probabilities_by_class()
    {
        var said = Write("answers.csv");
        var (rows, printed) = (Read("answers.csv"), Printed());
        Assert.That(rows[0], Is.EqualTo(new[] { "id", "text", "note", "predicted_label", "predicted_probability",
            "probability_neg", "probability_pos" }));
        Assert.That(rows.Skip(1).Select(row => string.Join('|', row[..3])), Is.EqualTo(new[]
            { "7|the film was superb|a;b", "8|a \"boring\"\nplot|", "9||empty" }));
        foreach (var (row, answer) in rows.Skip(1).Zip(printed))
        {
            Assert.That(row[3], Is.EqualTo(answer.GetProperty("label").GetString()));
            Assert.That(row[5..], Is.EqualTo(Probabilities(answer)));
            Assert.That(row[4], Is.EqualTo(row[5 + answer.GetProperty("label_id").GetInt32()]));
        }
        Assert.That(said.Output, Does.StartWith($"3 rows in {task["answers.csv"]} in "));
        Assert.That(Directory.GetFiles(task.Root, ".*"), Is.Empty, "neither a temporary file nor a lock");
    }

    [Test]
    public void Columns_can_be_chosen_and_JSON_lines_keep_their_values()
    {
        Write("few.tsv", "--columns", "note,id");
        Assert.That(Read("few.tsv", '\t').Select(row => string.Join('|', row[..2])),
            Is.EqualTo(new[] { "note|id", "a;b|7", "|8", "empty|9" }));
        task.Write("tickets.jsonl", """
            {"id": 1.50, "text": "superb", "tags": ["a", "b"]}
            {"text": "boring", "id": null, "more": {"x": "ü"}}

            """);
        Write("tickets.jsonl", "answers.jsonl", []);
        var lines = File.ReadAllLines(task["answers.jsonl"]);
        Assert.That(lines[0],
            Does.StartWith("""{"id":1.50,"text":"superb","tags":["a", "b"],"predicted_label":" """.Trim()));
        Assert.That(lines[1],
            Does.StartWith("""{"id":null,"text":"boring","more":{"x": "ü"},"predicted_label":" """.Trim()));
        Write("tickets.jsonl", "answers2.csv", []);
        Assert.That(Read("answers2.csv", ',')[2][..4], Is.EqualTo(new[] { "", "boring", "", "{\"x\": \"ü\"}" }));
    }

    [Test]
    public void Each_of_several_tasks_has_columns_of_its_own()
    {
        Write("both.csv", "--columns", "id", "--adapter", $"a={task.Adapter}", "--adapter", $"b={task["tagged"]}",
            "--threshold", "0");
        var rows = Read("both.csv");
        Assert.That(rows[0], Is.EqualTo(new[] { "id", "a.predicted_label", "a.predicted_probability",
            "a.probability_neg", "a.probability_pos", "b.predicted_labels", "b.probability_mood",
            "b.probability_plot" }));
        var (first, second) = (Printed("--adapter", task.Adapter), Printed("--adapter", task["tagged"]));
        for (var i = 0; i < 3; i++)
        {
            Assert.That(rows[i + 1][3..5], Is.EqualTo(Probabilities(first[i])));
            Assert.That(rows[i + 1][6..8], Is.EqualTo(Probabilities(second[i])));
            Assert.That(rows[i + 1][5], Is.EqualTo("mood|plot"), "every class has at least the probability 0");
        }
    }

    [Test]
    public void Below_the_threshold_there_is_no_label()
    {
        var all = Printed();
        var least = all.Max(answer => answer.GetProperty("probabilities").EnumerateArray().Max(p => p.GetDouble()));
        var threshold = least.ToString("R", System.Globalization.CultureInfo.InvariantCulture);
        var said = Write("unsure.csv", "--threshold", threshold);
        Assert.That(Read("unsure.csv").Skip(1).Count(row => row[3].Length == 0), Is.EqualTo(2));
        Assert.That(said.Output, Does.EndWith(", 2 unsure\n"));
        var printed = Printed("--threshold", threshold);
        foreach (var (answer, before) in printed.Zip(all))
        {
            var isUnsure = answer.GetProperty("unsure").GetBoolean();
            Assert.That(answer.GetProperty("label").GetString(),
                Is.EqualTo(isUnsure ? null : before.GetProperty("label").GetString()));
            Assert.That(answer.GetProperty("label_id").ValueKind == JsonValueKind.Null, Is.EqualTo(isUnsure));
        }
        Assert.That(printed.Count(answer => answer.GetProperty("unsure").GetBoolean()), Is.EqualTo(2));
        var shown = LoraProgram.Succeed("predict", "--model", task.Model, "--text", "film", "--threshold", "1").Output;
        Assert.That(shown, Does.Match(@"^\(unsure\)  (neg|pos)  \d\d\.\d\d %\n$"));
    }

    [Test]
    public void What_cannot_be_written_is_refused_before_anything_is()
    {
        task.Write("clash.csv", "text,predicted_label\na,b\n");
        task.Write("late.csv", "text,id\na,1\nb\n");
        task.Write("twice.csv", "text,id,id\na,1,2\n");
        Refuse("the column 'predicted_label' is to hold predictions", "--input", task["clash.csv"], "--out", "OUT.csv");
        Refuse("late.csv, line 3: 1 field", "--input", task["late.csv"], "--out", "OUT.csv");
        Refuse("has the column 'id' twice", "--input", task["twice.csv"], "--out", "OUT.csv");
        Refuse("there is no column 'x' (--columns); the file has: id, text, note.", "--input", task["tickets.csv"],
            "--columns", "id,x", "--out", "OUT.csv");
        Refuse("Expected is .csv, .tsv or .jsonl", "--input", task["tickets.csv"], "--out", "OUT.xlsx");
        Refuse("--overwrite to replace it", "--input", task["tickets.csv"], "--out", task.Write("old.csv", "old"));
        Refuse("--out and --input are both", "--input", task["tickets.csv"], "--out", task["tickets.csv"]);
        Refuse("--out is for the rows of a file", "--text", "film", "--out", "OUT.csv");
        Refuse("--json is about what is printed", "--input", task["tickets.csv"], "--json", "--out", "OUT.csv");
        Refuse("--columns names the columns of --out", "--input", task["tickets.csv"], "--columns", "id");
        Refuse("--overwrite has no effect without --out", "--text", "film", "--overwrite");
        Refuse("--threshold is 1.5", "--text", "film", "--threshold", "1.5");
        Assert.That(File.ReadAllText(task["old.csv"]), Is.EqualTo("old"));
        Assert.That(File.Exists(task["OUT.csv"]), Is.False);
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--input", task["clash.csv"], "--columns",
            "text", "--out", task["mended.csv"]).Code, Is.Zero);
    }

    private void Refuse(string message, params string[] args) => Assert.That(LoraProgram.Refuse(["predict", "--model",
        task.Model, .. args.Select(word => word.Replace("OUT", task["OUT"]))]).Errors, Does.Contain(message));

    private static string[] Probabilities(JsonElement answer) => [.. answer.GetProperty("probabilities")
        .EnumerateArray().Select(value => value.GetRawText())];
}
