using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>Which columns are taken where nobody names them.</summary>
public class ColumnGuessTests
{
    private static readonly string[] Queues = ["billing", "login", "shipping"];

    private TemporaryFolder folder = null!;
    private List<ColumnGuess> guesses = null!;

    [SetUp]
    public void MakeFolder() => (folder, guesses) = (new TemporaryFolder(), []);

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    private static string Message(int i) => $"message {i} says that something is wrong with what came today";

    private static string Queue(int i) => Queues[i % Queues.Length];

    /// <summary>What stands in columns that are neither text nor label, by row.</summary>
    private static readonly (string Name, Func<int, string> Value)[] Others =
    [
        ("id", i => $"{10_000 + i}"),
        ("key", i => $"T-{i:D5}"),
        ("uuid", i => $"{i:x8}-0000-4000-8000-{i * 7:x12}"),
        ("day", i => $"2024-{1 + i % 12:D2}-{1 + i % 28:D2}"),
        ("month", i => $"2024-0{1 + i % 3}"),
        ("time", i => $"2024-01-0{1 + i % 3}T10:00:00Z"),
        ("mail date", i => $"Mon, {1 + i % 2 * 7} Jan 2024 10:00:00 GMT"),
        ("price", i => $"{i % 4}.50"),
        ("amount", i => $"{i % 3},99 €"),
        ("phone", i => $"+49 30 {100 + i % 5} 22"),
        ("minutes", i => $"{i % 90}"),
        ("customer", i => $"C{i % 25}"),
        ("name", i => $"{(char)('a' + i % 26)}{(char)('a' + i / 26)}na Schmidt"),
        ("mail", i => $"a{i}@example.org"),
        ("link", i => $"https://example.org/tickets/{i}/show"),
        ("always", _ => "open"),
        ("seldom", i => i % 9 == 0 ? Queue(i / 9) : ""),
        ("subject", i => $"wrong thing number {i}"),
        ("nothing", _ => ""),
    ];

    /// <summary>A table of 300 rows; every column is a function of the row.</summary>
    private DatasetOptions Guess(string name, (string Name, Func<int, string> Value)[] columns,
        DatasetOptions? options = null, bool withLabels = true)
    {
        var rows = Enumerable.Range(0, 300);
        var path = folder.Write(name, name.EndsWith(".jsonl", StringComparison.Ordinal)
            ? string.Join('\n', rows.Select(i => System.Text.Json.JsonSerializer.Serialize(
                columns.ToDictionary(column => column.Name, column => column.Value(i)))))
            : string.Join(',', columns.Select(column => column.Name)) + "\n" + string.Concat(rows.Select(i =>
                string.Join(',', columns.Select(column => $"\"{column.Value(i)}\"")) + "\n")));
        options = (options ?? new DatasetOptions()) with { ColumnsGuessed = guesses.Add };
        if (withLabels)
        {
            TextDataset.Load(path, options: options);
        }
        else
        {
            Assert.That(TextDataset.ReadTexts(path, options).Count(), Is.EqualTo(300));
        }
        return options;
    }

    private (string?, string?) Taken => (guesses.Single().TextColumn, guesses.Single().LabelColumn);

    [Test]
    public void The_long_texts_and_the_few_values_are_taken_beside_any_other_column(
        [ValueSource(nameof(Others))] (string Name, Func<int, string> Value) other,
        [Values("data.csv", "data.jsonl")] string file)
    {
        Guess(file, [other, ("body", Message), ("queue", Queue)]);
        Assert.That(Taken, Is.EqualTo(("body", "queue")));
    }

    [TestCase("data.csv")]
    [TestCase("data.jsonl")]
    public void Among_all_of_them_too(string file)
    {
        Guess(file, [.. Others, ("queue", Queue), ("body", Message)]);
        Assert.That(Taken, Is.EqualTo(("body", "queue")));
        guesses.Clear();
        Guess(file, [.. Others, ("queue", Queue), ("body", Message)], withLabels: false);
        Assert.That(Taken, Is.EqualTo(("body", (string?)null)), "labels are not looked for where they are not read");
    }

    [Test]
    public void What_is_given_or_called_as_expected_is_not_guessed()
    {
        Guess("data.csv", [("text", Message), ("label", Queue), ("body", Message), ("status", i => $"{i % 2}")]);
        Guess("data.csv", [("body", Message), ("queue", Queue), ("reply", Message), ("status", i => $"{i % 2}")],
            new DatasetOptions { TextColumn = "body", LabelColumn = "status" });
        Assert.That(guesses, Is.Empty);
        Guess("data.csv", [("text", Message), ("queue", Queue)]);
        Assert.That(Taken, Is.EqualTo(((string?)null, "queue")));
        guesses.Clear();
        Guess("data.csv", [("body", Message), ("queue", Queue), ("status", i => $"{i % 2}")],
            new DatasetOptions { LabelColumn = "status" });
        Assert.That(Taken, Is.EqualTo(("body", (string?)null)));
        guesses.Clear();
        Guess("data.csv", [("question", Message), ("answer", Message), ("right", i => $"{i % 2}")],
            new DatasetOptions { TextPairColumn = "answer" });
        Assert.That(Taken, Is.EqualTo(("question", "right")), "the second text of a pair is no other column");
        guesses.Clear();
        Guess("data.csv", [("body", Message), ("mood", i => $"{i % 2}"), ("plot", i => $"{i % 2}")],
            new DatasetOptions { LabelColumns = ["mood", "plot"] });
        Assert.That(Taken, Is.EqualTo(("body", (string?)null)));
    }

    [Test]
    public void Other_letter_case_of_the_standard_names_decides()
    {
        Guess("data.csv", [("Text", Message), ("reply", Message), ("LABEL", Queue), ("status", i => $"{i % 2}")]);
        Assert.That(Taken, Is.EqualTo(("Text", "LABEL")));
    }

    [TestCase("data.csv", "the header line has")]
    [TestCase("data.jsonl", "the objects have")]
    public void Where_several_may_be_meant_they_are_named_with_the_options(string file, string listed)
    {
        Assert.That(() => Guess(file, [("body", Message), ("reply", i => $"{Message(i)} and {Message(i)}"),
                ("queue", Queue), ("language", i => i % 2 == 0 ? "de" : "en")]),
            Throws.TypeOf<InputException>().With.Message.EqualTo($"{Path.Combine(folder.Root, file)}: there is no "
                + $"column 'text' and none 'label'; {listed}: body, reply, queue, language. Several may be the text: "
                + "'reply' (21 words on average); 'body' (10 words on average). Several may be the label: 'queue' "
                + "(3 values: billing, login, shipping); 'language' (2 values: de, en). Name the column: option "
                + "'text-column', option 'label-column'."));
        Assert.That(guesses, Is.Empty);
    }

    [Test]
    public void Where_none_may_be_meant_the_columns_are_named()
    {
        Assert.That(() => Guess("data.csv", [Others[0], Others[3]]), Throws.TypeOf<InputException>().With.Message
            .Contains("no column 'text' and none 'label'; the header line has: id, day. None of them has texts of at "
                + "least three words in most rows, to be the text. None of them has few values that come again"));
        Assert.That(() => Guess("data.csv", [("body", Message), Others[0]]), Throws.TypeOf<InputException>().With
            .Message.Contains("there is no column 'label'; ").And.Message.Not.Contains("text-column"));
        Assert.That(() => Guess("data.csv", [("queue", Queue), Others[0]], withLabels: false),
            Throws.TypeOf<InputException>().With.Message.Contains("there is no column 'text'; "));
    }

    [Test]
    public void Subjects_beside_messages_are_none_and_long_texts_of_any_kind_are()
    {
        Guess("data.csv", [("subject", Others[17].Value), ("body", i => $"{Message(i)}, {Message(i)}"),
            ("queue", Queue)]);
        Assert.That(Taken.Item1, Is.EqualTo("body"));
        Assert.That(() => Guess("data.csv", [("body", i => $"{Message(i)} {Message(i)}"),
            ("reply", i => string.Join(' ', Enumerable.Repeat(Message(i), 9))), ("queue", Queue)]),
            Throws.TypeOf<InputException>().With.Message.Contains("Several may be the text"),
            "of two long ones the longer may be the answer");
    }

    [Test]
    public void Scripts_without_spaces_have_words_too()
    {
        Guess("data.csv", [("id", i => $"{i}"), ("本文", i => $"荷物がまだ届いていません{i}"),
            ("種類", i => i % 2 == 0 ? "配送" : "請求")]);
        Assert.That(Taken, Is.EqualTo(("本文", "種類")));
    }

    [Test]
    public void A_file_without_a_header_line_loses_no_row()
    {
        var path = folder.Write("data.csv",
            string.Concat(Enumerable.Range(0, 9).Select(i => $"{Message(i)},{Queue(i)}\n")));
        var options = new DatasetOptions { ColumnsGuessed = guesses.Add };
        Assert.That(() => TextDataset.Load(path, options: options), Throws.TypeOf<InputException>().With.Message
            .Contains("the first line seems to be a row and no header line, for its 'billing' is a value of other rows "
                + "too").And.Message.Contains("option 'no-header'"));
        Assert.That(TextDataset.Load(path, options: options with { HasHeader = false }).Count, Is.EqualTo(9));
        Assert.That(guesses, Is.Empty);
    }

    [Test]
    public void Where_nobody_is_told_nothing_is_guessed()
    {
        var path = folder.Write("data.csv", "body,queue\nthe thing is broken,a\nthe thing is late,b\n");
        Assert.That(() => TextDataset.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("there is no column 'text'; the header line has"));
    }

    [TestCase(";")]
    [TestCase("|")]
    public void The_separator_of_a_header_line_with_other_names_is_found(string separator)
    {
        var notes = new List<string>();
        const string Content = "Nr;Nachricht;Thema\n1;Es ist kaputt, leider;a\n2;Es ist nicht da;b\n"
            + "3;Wo ist es nur;a\n4;Was soll das denn;b\n";
        var data = TextDataset.Load(folder.Write("data.csv", Content.Replace(";", separator)),
            options: new DatasetOptions { ColumnsGuessed = guesses.Add, Notes = notes.Add });
        Assert.That(Taken, Is.EqualTo(("Nachricht", "Thema")));
        Assert.That(data.Examples[0].Text, Is.EqualTo("Es ist kaputt, leider"));
        Assert.That(notes.Single(), Does.Contain($"separated by '{separator}'"));
    }

    [Test]
    public void A_fault_of_the_file_is_told_as_without_a_guess()
    {
        var options = new DatasetOptions { ColumnsGuessed = guesses.Add };
        Assert.That(() => TextDataset.Load(folder.Write("a.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"label\": 0}\n"),
            options: options), Throws.TypeOf<InputException>().With.Message.Contains("line 2: there is no property"));
        Assert.That(() => TextDataset.Load(folder.Write("b.jsonl", "{\"label\": 0}\n{\"text\": \"a\", \"label\": 1}\n"),
            options: options), Throws.TypeOf<InputException>().With.Message.Contains("line 1: there is no property"));
        Assert.That(() => TextDataset.Load(folder.Write("c.csv", ""), options: options),
            Throws.TypeOf<InputException>().With.Message.Contains("the file is empty"));
        Assert.That(() => TextDataset.Load(folder.Write("d.csv", "body,queue\n"), options: options),
            Throws.TypeOf<InputException>().With.Message.Contains("no column 'text'"));
    }

    [TestCase("predict-text-column/train.csv", "question", "topic", 4)]
    [TestCase("tsv-unquoted/data.tsv", "sentence", null, 26)]
    [TestCase("tsv-unquoted/words.tsv", "sentence", null, 13)]
    public void Real_files_with_other_names_are_read(string name, string text, string? label, int rows)
    {
        var data = TextDataset.Load(RealData.Path($"cases/{name}"),
            options: new DatasetOptions { ColumnsGuessed = guesses.Add });
        Assert.That(Taken, Is.EqualTo((text, label)));
        Assert.That(data.Count, Is.EqualTo(rows));
    }
}
