using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

[Parallelizable]
public class JsonLinesTests
{
    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    private TextDataset Load(string content, DatasetOptions? options = null) =>
        TextDataset.Load(folder.Write("data.jsonl", content), options: options);

    [Test]
    public void Lines_are_objects_with_a_text_and_a_label()
    {
        var data = Load("\uFEFF" + """
            {"text": "good \u00e9\n", "label": "pos", "id": [1]}

            {"label": "neg", "text": "bad"}
            {"label": "pos", "text": "fine"}
            """, new DatasetOptions { Labels = LabelSet.Sentiment });
        Assert.That(data.Examples,
            Is.EqualTo(new TextExample[]
            {
                new("good é\n", 1, "line 1") { Line = 1 }, new("bad", 0, "line 3") { Line = 3 },
                new("fine", 1, "line 4") { Line = 4 },
            }));
    }

    [TestCase("0", "1", "0,1")]
    [TestCase("1.0", "\"0\"", "0,1")]
    [TestCase("true", "false", "false,true")]
    [TestCase("\"spam\"", "\"ham\"", "ham,spam")]
    public void Labels_may_be_strings_numbers_and_truth_values(string first, string second, string classes) =>
        Assert.That(string.Join(',', Load($$"""
            {"text": "a", "label": {{first}}}
            {"text": "b", "label": {{second}}}
            """).Labels.Names), Is.EqualTo(classes));

    [TestCase("{\"text\": \"a\"}", "no property 'label'; the object has: text")]
    [TestCase("{}", "no property 'text'; the object has: nothing")]
    [TestCase("{\"text\": \"a\", \"label\": null}", "'label' is null")]
    [TestCase("{\"text\": null, \"label\": 0}", "'text' is null")]
    [TestCase("{\"text\": 5, \"label\": 0}", "'text' should be a string, and is the number 5")]
    [TestCase("{\"text\": \"a\", \"label\": 0.5}", "'0.5' is a number that is not whole")]
    [TestCase("{\"text\": \"a\", \"label\": true}", "the label 'true' is unknown; the classes are: 0 = neg")]
    [TestCase("{\"text\": \"a\", \"label\": [0]}",
        "'label' is an array: several classes of one text. Give option 'multi-label'")]
    [TestCase("{\"text\": \"\", \"label\": 0}", "'text' is empty")]
    [TestCase("{\"text\": \"a\", \"text\": \"b\", \"label\": 0}", "not valid JSON")]
    [TestCase("{\"text\": \"a\", \"label\": 0", "not valid JSON")]
    [TestCase("[1, 2]", "and this is an array")]
    [TestCase("{\"text\": \"\\ud83d\", \"label\": 0}", "half of a surrogate pair")]
    [TestCase("{\"text\": \"a\", \"label\": -1}", "the label '-1' is unknown")]
    public void A_bad_line_is_refused_by_file_and_line(string line, string expected) =>
        Assert.That(() => Load("{\"text\": \"a\", \"label\": 0}\n" + line + "\n",
            new DatasetOptions { Labels = LabelSet.Sentiment }),
            Throws.TypeOf<InputException>().With.Message.Contains("data.jsonl, line 2: ").And.Message
                .Contains(expected));

    /// <summary>A file of another kind may be one line of any length.</summary>
    [Test]
    public void A_message_quotes_no_more_than_a_line_of_what_it_found()
    {
        var (digits, letters) = (new string('7', 9 << 20), new string('x', 9 << 20));
        foreach (var line in (string[])[$"{{\"text\": {digits}}}", $"{{\"{letters}\": 1}}", $"[{digits}]", digits,
            $"{{\"text\": \"a\", \"label\": \"{letters}\"}}", letters])
        {
            Assert.That(() => Load("{\"text\": \"a\", \"label\": 0}\n" + line + "\n",
                new DatasetOptions { Labels = LabelSet.Sentiment }),
                Throws.TypeOf<InputException>().With.Message.Length.LessThan(600));
        }
        foreach (var content in (string[])[$"{letters}\n1\n", $"{letters},label\n1,2\n",
            $"text,label\na,{letters}\n", $"text,label\na,b,{letters}\n"])
        {
            Assert.That(() => TextDataset.Load(folder.Write("data.csv", content)),
                Throws.TypeOf<InputException>().With.Message.Length.LessThan(600));
        }
    }

    [Test]
    public void Labels_are_not_read_where_texts_alone_are()
    {
        var path = folder.Write("data.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": [0.5]}\n");
        Assert.That(TextDataset.ReadTexts(path).Select(e => e.Label), Is.All.EqualTo(TextExample.NoLabel));

        var csv = folder.Write("data.csv", "text\nfirst\nsecond\n");
        Assert.That(TextDataset.ReadTexts(csv).Select(e => e.Text), Is.EqualTo(new[] { "first", "second" }));
    }

    [Test]
    public void A_stream_of_lines_is_read_one_by_one()
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes("{\"text\": \"a\"}\nnonsense\n"));
        using var texts = TextDataset.ReadLines(stream, "standard input").GetEnumerator();
        Assert.That(texts.MoveNext(), Is.True);
        Assert.That(texts.Current, Is.EqualTo(new TextExample("a", TextExample.NoLabel, "line 1") { Line = 1 }));
        Assert.That(() => texts.MoveNext(),
            Throws.TypeOf<InputException>().With.Message.StartsWith("standard input, line 2: "));
    }
}
