using System.Text.Json;
using System.Text.RegularExpressions;
using LoraScratch.Tests.Text;

namespace LoraScratch.Tests.Cli;

/// <summary>lora data, and what is said about data before a training.</summary>
public partial class DataCommandTests
{
    private const string Golden = """
        tickets.csv
        rows           1,000, 980 of them with text and label
        columns        text 'Beschreibung', label 'Kategorie', guessed: choose others
                       with --text-column and --label-column
        classes        8: Billing 198, Technical issues 196, Shipping 194, Returns 186,
                       Login 181, Technical issue 10, billing 10, Fraud 5
        tokens         median 23, 95 % up to 38, longest 1,402
        empty          10 texts (line 13, line 113, …), 10 labels (line 25, line 125,
                       …): training stops at them without --empty skip
        repeated       10 examples repeat an earlier text (line 43 that of line 42)
        contradictory  8 texts have several labels (line 42 Returns, line 43 Shipping)
        labels         classes that may be one: Billing 198, billing 10 (letter case);
                       Technical issue 10, Technical issues 196 (plural)
        rare           classes with fewer than 10 examples: Fraud 5
        cut            10 examples (1.0 %) are cut at 512 tokens (--max-length)
        unknown        84 examples have unknown words (0.4 % of all tokens): 'ß' in 84
        fragmented     408 examples (41.6 %) are fragmented: half of the words are cut
                       or unknown, as in another language than the model's. Of all words
                       29.1 % are; of English film reviews, which the base model knows,
                       9.8 %
        """;

    /// <summary>With at most 64 tokens.</summary>
    private static readonly string[] Findings =
    [
        "note: tickets.csv: the fields are separated by ';', as its header line shows (--separator).",
        "note: tickets.csv: columns guessed: text 'Beschreibung', label 'Kategorie'; choose others with --text-column "
            + "and --label-column",
        "note: tickets.csv: 10 examples repeat an earlier text (line 43 that of line 42)",
        "note: tickets.csv: 8 texts have several labels (line 42 Returns, line 43 Shipping)",
        "note: tickets.csv: classes that may be one: Billing 198, billing 10 (letter case); Technical issue 10, "
            + "Technical issues 196 (plural)",
        "note: tickets.csv: classes with fewer than 10 examples: Fraud 5",
        "note: tickets.csv: 10 examples (1.0 %) are cut at 64 tokens (--max-length)",
        "note: tickets.csv: 84 examples have unknown words (0.4 % of all tokens): 'ß' in 84",
        "note: tickets.csv: 408 examples (41.6 %) are fragmented: half of the words are cut or unknown, as in another "
            + "language than the model's. Of all words 29.1 % are; of English film reviews, which the base model "
            + "knows, 9.8 %",
    ];

    private TemporaryFolder folder = null!;
    private string tickets = null!;

    [OneTimeSetUp]
    public void MakeFolder()
    {
        folder = new TemporaryFolder();
        tickets = folder.Write("tickets.csv", Tickets.Csv(1_000));
    }

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    private string Out(string name) => Path.Combine(folder.Root, name);

    private string Named(string text) => text.Replace(tickets, "tickets.csv");

    [Test]
    public void The_report_names_every_fault_of_the_tickets_on_a_page()
    {
        var result = LoraProgram.Succeed("data", tickets);
        Assert.That(Named(result.Output), Is.EqualTo(Golden + "\n"));
        Assert.That(Named(result.Errors), Is.EqualTo(
            "note: tickets.csv: the fields are separated by ';', as its header line shows (--separator).\n"));
        Assert.That(result.Lines[1..], Has.All.Length.LessThanOrEqualTo(80));
    }

    [Test]
    public void The_readme_shows_it()
    {
        var readme = File.ReadAllText(Path.Combine(SourceCode.Root, "lora", "cli", "README.md"));
        Assert.That(TextBlock().Match(readme).Groups[1].Value, Is.EqualTo(Golden + "\n"));
    }

    [Test]
    public void A_file_without_a_fault_is_four_lines_and_a_word()
    {
        var result = LoraProgram.Succeed("data", folder.Write("clean.csv", Tickets.Csv(300, clean: true)));
        Assert.That(result.Lines[^1], Is.EqualTo("               Nothing else is noteworthy."));
        Assert.That(result.Lines, Has.Length.EqualTo(8));
    }

    [Test]
    public void A_program_gets_all_of_it()
    {
        using var json = JsonDocument.Parse(LoraProgram.Succeed("data", tickets, "--json").Output);
        var root = json.RootElement;
        string Text(string path) => path.Split('.').Aggregate(root, (at, name) => at.GetProperty(name)).ToString();
        Assert.That(new[] { "rows", "examples", "text_column", "label_column", "guessed", "classes.Billing",
            "without_text.rows", "without_label.rows", "without_label.first", "repeated_texts.examples",
            "contradictory_texts.texts", "rare_classes.fewer_than", "tokens.max_length", "tokens.cut_examples",
            "unknown_tokens.characters", "fragmentation.examples", "leaked_test_examples" }.Select(Text),
            Is.EqualTo(new[] { "1000", "980", "Beschreibung", "Kategorie", """["Beschreibung","Kategorie"]""", "198",
                "10", "10",
                $"[{string.Join(',', Enumerable.Range(0, 10).Select(i => $"\"line {100 * i + 25}\""))}]", "10", "8",
                "10", "512", "10", """{"ß":84}""", "408", "" }));
        Assert.That(root.GetProperty("similar_classes").EnumerateArray().Select(entry => entry.ToString()),
            Has.Some.EqualTo("""{"classes":["Billing","billing"],"likeness":"letter_case"}"""));
        Assert.That(root.GetProperty("findings").EnumerateArray().Select(entry => entry.GetString()), Is.EqualTo(new[] {
            "incomplete_rows", "repeated_texts", "contradictions", "similar_labels", "rare_classes", "cut_texts",
            "unknown_tokens", "fragmentation" }));
    }

    [TestCase("train", "--max-steps 1")]
    [TestCase("compare", "--max-steps 1 --lr 1e-3 --methods last-layers")]
    [TestCase("sweep", "--ranks 2 --alphas 2 --max-steps 1")]
    public void A_training_says_it_before_it_begins_and_stops_at_empty_rows_unless_they_are_skipped(
        string command, string more)
    {
        string[] args = [command, "--data", tickets, "--max-length", "64", "--limit", "60", "--out", Out(command)];
        var refused = LoraProgram.Refuse(args);
        Assert.That(Directory.Exists(Out(command)), Is.False);
        var said = Named(refused.Errors);
        Assert.That(said, Does.EndWith("error: tickets.csv, line 13: 'Beschreibung' is empty; line 25: 'Kategorie' is "
            + "empty; line 113: 'Beschreibung' is blank; line 125: 'Kategorie' is empty; line 213: 'Beschreibung' is "
            + "empty; and 15 more. Complete or remove these 20 rows, 10 without a text and 10 without a label; "
            + "--empty skip leaves them out.\n"));
        Assert.That(said.Split('\n').Where(line => line.StartsWith("note: ", StringComparison.Ordinal)),
            Is.EqualTo(Findings));
        Assert.That(refused.Errors, Does.Not.Contain("trainable"), "before anything else");

        var skipped = LoraProgram.Succeed([.. args, "--empty", "skip", .. more.Split(' ')]);
        Assert.That(Named(skipped.Errors), Does.Contain("note: tickets.csv: 10 rows without a text left out: line 13, "
            + "line 113, line 213, line 313, line 413, and 5 more\nnote: tickets.csv: 10 rows without a label left "
            + "out: line 25, "));
        Assert.That(Findings, Is.SubsetOf(Named(skipped.Errors).Split('\n')));
    }

    [Test]
    public void A_prediction_takes_the_same_text_column()
    {
        var result = LoraProgram.Succeed("tokenize", "--input", tickets, "--max-length", "9");
        Assert.That(result.Lines[0], Does.Contain("[CLS]"));
        Assert.That(Named(result.Errors), Does.Contain("note: tickets.csv: columns guessed: text 'Beschreibung'; "
            + "choose others with --text-column\n"));
    }

    [Test]
    public void Columns_that_are_named_are_not_guessed()
    {
        var result = LoraProgram.Succeed("data", tickets, "--text-column", "Datum", "--label-column", "Kategorie");
        Assert.That(result.Output, Does.Contain("columns        text 'Datum', label 'Kategorie'\n"));
        Assert.That(LoraProgram.Succeed("data", tickets, "--label-column", "Kategorie").Output, Does.Contain(
            "columns        text 'Beschreibung', label 'Kategorie', the text guessed: choose\n"));
    }

    [Test]
    public void Texts_that_are_tested_on_and_trained_on_are_counted()
    {
        var rows = Tickets.Csv(300, clean: true).Split('\n');
        var train = folder.Write("a.csv", string.Join('\n', rows[..201]));
        var test = folder.Write("b.csv", string.Join('\n', [rows[0], .. rows[181..301]]).Replace("order ", "order  "));
        Assert.That(LoraProgram.Succeed("data", train, "--test-data", test).Output.ReplaceLineEndings(" "), Does.Match(
            @"leakage +20 of 120 examples of \S+b\.csv\s+repeat\s+a\s+text\s+of\s+these,"));
        Assert.That(LoraProgram.Succeed("data", train, "--test-data", folder.Write("c.csv",
            string.Join('\n', [rows[0], .. rows[201..]]))).Output, Does.Not.Contain("leakage"));

        string[] twice = [.. rows[..201], .. rows[1..201]];
        var data = folder.Write("twice.csv", string.Join('\n', twice));
        Assert.That(LoraProgram.Succeed("train", "--data", data, "--max-steps", "1", "--out", Out("twice")).Errors,
            Does.Match(@"note: \d\d of 40 validation examples repeat the text of a training example"));
        var compared = LoraProgram.Succeed("compare", "--data", data, "--methods", "last-layers", "--lr", "1e-3",
            "--max-steps", "1", "--out", Out("compare-twice")).Errors;
        Assert.That(compared, Does.Match(@"note: \d\d of 40 validation examples repeat").And.Match(
            @"note: \d\d of 80 test examples repeat the text of a training example"));
        Assert.That(LoraProgram.Succeed("train", "--data", train, "--max-steps", "1", "--out", Out("once")).Errors,
            Does.Not.Contain("repeat"));
    }

    [TestCase("data FILE --max-length 2", "--max-length is 2; expected at least 3")]
    [TestCase("data FILE --max-length 513", "--max-length is 513; the model has 512 positions")]
    [TestCase("data FILE --label-column Queue", "there is no column 'Queue'")]
    [TestCase("data nowhere.csv", "nowhere.csv: there is no such file or folder.")]
    [TestCase("data FILE --model nowhere", "nowhere: there is no such folder")]
    [TestCase("data", "Required argument 'file' missing")]
    public void What_cannot_be_looked_at_is_refused(string args, string message) => Assert.That(LoraProgram.Refuse(
        [.. args.Split(' ').Select(word => word == "FILE" ? tickets : word)]).Errors, Does.Contain(message));

    [Test]
    public void Sets_of_labels_and_pairs_are_reported_too()
    {
        var path = folder.Write("sets.csv", "text,second,labels\n" + string.Concat(Enumerable.Range(0, 30).Select(i =>
            $"the film,scene {(i < 2 ? 0 : i)},{(i % 2 == 0 ? "mood|plot" : "plot")}\n")));
        var output = LoraProgram.Succeed("data", path, "--multi-label", "--text-pair-column", "second",
            "--label-column", "labels").Output;
        Assert.That(output, Does.Contain("classes        2: plot 30, mood 15\n").And.Contain(
            "repeated       1 example repeats an earlier text (line 3 that of line 2)\n").And.Contain(
            "contradictory  1 text has several labels (line 2 'mood|plot', line 3 'plot')\n"));
    }

    [Test]
    public void A_real_file_with_nulls_is_refused_by_their_lines_whatever_else_is_wrong()
    {
        const string Nulls = "data.jsonl, line 2: 'label' is null; line 3: 'text' is null. ";
        var path = RealData.Path("cases/null-label/data.jsonl");
        Assert.That(LoraProgram.Refuse("data", path).Errors, Does.Contain("'label' are '1'").And.Contain(Nulls));
        Assert.That(LoraProgram.Refuse("train", "--data", path, "--out", Out("null")).Errors, Does.Contain(Nulls));
        Assert.That(LoraProgram.Refuse("train", "--data", path, "--out", Out("null"), "--empty", "skip").Errors,
            Does.Contain("'label' are '1'").And.Not.Contain(Nulls));
    }

    [Test]
    public void A_real_file_of_questions_is_trained_on_as_it_is()
    {
        var result = LoraProgram.Succeed("train", "--data", RealData.Path("cases/predict-text-column/train.csv"),
            "--validation", "0", "--epochs", "1", "--out", Out("questions"));
        Assert.That(result.Errors, Does.Contain("columns guessed: text 'question', label 'topic'; choose others with "
            + "--text-column and --label-column\n").And.Contain("4 examples (opinion 2, place 2)"));
    }

    [GeneratedRegex("```text\n(tickets.csv\n.*?)```", RegexOptions.Singleline)]
    private static partial Regex TextBlock();
}
