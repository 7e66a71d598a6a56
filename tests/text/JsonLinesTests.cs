using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

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
    public void Labels_are_names_or_indices()
    {
        var data = Load("""
            {"text": "good \u00e9\n", "label": "pos", "id": [1]}

            {"label": 0, "text": "bad"}
            {"label": "1", "text": "fine"}
            """, new DatasetOptions { Labels = LabelSet.Sentiment });
        Assert.That(data.Examples,
            Is.EqualTo(new TextExample[] { new("good é\n", 1, "line 1"), new("bad", 0, "line 3"),
                new("fine", 1, "line 4") }));
    }

    [TestCase("{\"text\": \"a\"}", "no property 'label'; the object has: text")]
    [TestCase("{}", "no property 'text'; the object has: nothing")]
    [TestCase("{\"text\": \"a\", \"label\": null}", "no property 'label'")]
    [TestCase("{\"text\": 5, \"label\": 0}", "'text' should be a string, and is the number 5")]
    [TestCase("{\"text\": \"a\", \"label\": 0.5}",
        "'label' should be the name or the index of a class, and is the number 0.5")]
    [TestCase("{\"text\": \"a\", \"label\": true}", "is true")]
    [TestCase("{\"text\": \"a\", \"label\": [0]}", "is an array")]
    [TestCase("{\"text\": \"\", \"label\": 0}", "the text is empty")]
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

    [Test]
    public void Labels_may_be_missing_where_texts_are_only_read()
    {
        var path = folder.Write("data.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": \"pos\"}\n");
        Assert.That(TextDataset.ReadTexts(path, new DatasetOptions { Labels = LabelSet.Sentiment })
            .Select(e => e.Label), Is.EqualTo(new[] { TextExample.NoLabel, 1 }));
        Assert.That(TextDataset.ReadTexts(path).Select(e => e.Label), Is.All.EqualTo(TextExample.NoLabel),
            "without classes labels have no meaning");

        var csv = folder.Write("data.csv", "text\nfirst\nsecond\n");
        Assert.That(TextDataset.ReadTexts(csv).Select(e => e.Text), Is.EqualTo(new[] { "first", "second" }));
    }

    [Test]
    public void A_stream_of_lines_is_read_one_by_one()
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes("{\"text\": \"a\"}\nnonsense\n"));
        using var texts = TextDataset.ReadTexts(stream, "standard input").GetEnumerator();
        Assert.That(texts.MoveNext(), Is.True);
        Assert.That(texts.Current, Is.EqualTo(new TextExample("a", TextExample.NoLabel, "line 1")));
        Assert.That(() => texts.MoveNext(),
            Throws.TypeOf<InputException>().With.Message.StartsWith("standard input, line 2: "));
    }
}
