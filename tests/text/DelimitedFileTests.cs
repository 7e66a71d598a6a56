using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

public class DelimitedFileTests
{
    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    private TextDataset Load(string content, DatasetOptions? options = null, string name = "data.csv") =>
        TextDataset.Load(folder.Write(name, content), options: options);

    [TestCase("plain,0\n", "plain")]
    [TestCase("\"a, b\",0\n", "a, b")]
    [TestCase("\"she said \"\"no\"\"\",0\n", "she said \"no\"")]
    [TestCase("\"\"\"\"\"\",0\n", "\"\"")]
    [TestCase("\"two\nlines\",0\n", "two\nlines")]
    [TestCase("\"two\r\nlines\n\nfour\",0\r\n", "two\r\nlines\n\nfour")]
    [TestCase("5\" disk,0\n", "5\" disk")]
    [TestCase(" padded ,0\n", " padded ")]
    [TestCase("tab\there,0", "tab\there")]
    [TestCase("\"quoted\",\"0\"", "quoted")]
    [TestCase("Grüße 😀,0\r\n\r\n", "Grüße 😀")]
    public void A_field_is_read_as_RFC_4180_says(string row, string text) =>
        Assert.That(Load("text,label\n" + row).Examples.Single(), Is.EqualTo(new TextExample(text, 0, "line 2")));

    [TestCase("\uFEFFtext,label\r\na,0\r\nb,1\r\n")]
    [TestCase("id,label,text\n7,0,a\n\n8,1,b")]
    [TestCase("\"label\",\"text\"\n0,\"a\"\n1,b\n")]
    public void Columns_are_found_by_name_after_any_line_end_and_byte_order_mark(string content) =>
        Assert.That(Load(content).Examples.Select(e => (e.Text, e.Label)), Is.EqualTo(new[] { ("a", 0), ("b", 1) }));

    [Test]
    public void A_row_after_a_field_of_several_lines_has_its_own_line_number() =>
        Assert.That(Load("text,label\n\"1\n2\n3\",0\nb,1\n").Examples.Select(e => e.Origin),
            Is.EqualTo(new[] { "line 2", "line 5" }));

    [Test]
    public void Tabs_separate_a_tsv_and_commas_do_not() =>
        Assert.That(Load("text\tlabel\na, b\t1\n", name: "data.tsv").Examples.Single().Text, Is.EqualTo("a, b"));

    [Test]
    public void Columns_can_be_named()
    {
        var options = new DatasetOptions { TextColumn = "review", LabelColumn = "stars" };
        Assert.That(Load("stars,review\n1,good\n", options).Examples.Single(),
            Is.EqualTo(new TextExample("good", 1, "line 2")));
    }

    [Test]
    public void Fields_of_any_content_come_back_as_they_were_written([Range(1, 10)] int seed)
    {
        var random = new Random(seed);
        string Field() => "x" + string.Concat(Enumerable.Range(0, random.Next(8))
            .Select(_ => new[] { "\"", ",", "\n", "\r\n", "a", "é", " ", "\"\"" }[random.Next(8)]));
        var texts = Enumerable.Range(0, 200).Select(_ => Field()).ToArray();
        var rows = texts.Select((t, i) => $"{i % 3},\"{t.Replace("\"", "\"\"", StringComparison.Ordinal)}\"\r\n");
        Assert.That(Load("label,text\r\n" + string.Concat(rows)).Examples.Select(e => e.Text), Is.EqualTo(texts));
    }

    [TestCase("", "the file is empty")]
    [TestCase("text,label\n", "there is no example")]
    [TestCase("review,label\ngood,1\n", "no column 'text'; the header line has: review, label")]
    [TestCase("text,stars\ngood,1\n", "no column 'label'; the header line has: text, stars")]
    [TestCase("text,label,text\na,1,b\n", "the column 'text' twice")]
    [TestCase("text,label\na,0\nb,c,1\n", "line 3: 3 fields, but the header has 2")]
    [TestCase("text,label\na\n", "line 2: 1 field, but the header has 2")]
    [TestCase("text,label\na,0\n\"b,1\nc,0\n", "line 3: the field that begins with a quote here is not")]
    [TestCase("text,label\n\"a\"b,1\n", "line 2: 'b' follows the closing quote of field 1")]
    [TestCase("text,label\na,0\n ,1\n", "line 3: the text is empty")]
    [TestCase("text,label\na,0\nb,\n", "line 3: the label is empty")]
    [TestCase("text,label\na,123456\n", "line 2: the label 123456 would mean more than")]
    public void A_bad_file_is_refused_by_file_and_line(string content, string expected) =>
        Assert.That(() => Load(content),
            Throws.TypeOf<InputException>().With.Message.Contains("data.csv").And.Message.Contains(expected));

    /// <summary>
    /// As GLUE's, UCI's and ML.NET's files: a quote is a character, wherever it stands.
    /// </summary>
    [TestCase("good,1\n\"not good,0\nbad,0\ngood,1\nloved it\",1\nbad,0\n", 3, 6)]
    [TestCase("\"not good,0\nloved it\",1\nbad,0\n", 2, 3)]
    [TestCase("good,1\n\"not good,0\n\nsome \"\"kind\"\" of,0\nloved it\"\"\",1\n", 3, 6)]
    [TestCase("\"a, b\",1\n\"not good,0\nbad,0\nloved it\",1\n", 3, 5)]
    public void Rows_of_a_csv_that_stray_quotes_would_make_one_are_refused(string rows, int first, int last) =>
        Assert.That(() => Load("text,label\n" + rows), Throws.TypeOf<InputException>()
            .With.Message.Contains($"line {first}: the field that begins with a quote here ends in line {last}")
            .And.Message.Contains("they would be read as one"));

    [TestCase("label,text\n1,good\n0,\"not good\n1,loved it\"\n", 3, 4)]
    [TestCase("id,label,text\n7,1,good\n8,0,\"not good\n9,1,loved it\"\n", 3, 4)]
    [TestCase("id,text\n7,good\n8,\"not good\n9,loved it\"\n", 3, 4)]
    public void So_are_they_wherever_the_columns_stand(string content, int first, int last) =>
        Assert.That(() => Texts(content), Throws.TypeOf<InputException>()
            .With.Message.Contains($"line {first}: the field that begins with a quote here ends in line {last}"));

    [TestCase("text,label\n\"Dear all, hi\nthanks\",1\n\"no\nway\",0\n", "Dear all, hi\nthanks|no\nway")]
    [TestCase("text,label\n\"It cost 1,000\nand more\",1\n", "It cost 1,000\nand more")]
    [TestCase("label,text\n1,\"Dear all\nthanks, bye\"\n0,b\n", "Dear all\nthanks, bye|b")]
    [TestCase("id,text\n1,\"Dear all\nthanks, bye\"\n2,\"a, b\"\n", "Dear all\nthanks, bye|a, b")]
    [TestCase("id,text\n1,\"Dear all\nthanks\"\n", "Dear all\nthanks")]
    [TestCase("text\n\"Dear all\nthanks\"\n", "Dear all\nthanks")]
    public void A_text_of_a_csv_may_have_lines_with_as_many_commas_as_a_row(string content, string texts) =>
        Assert.That(Texts(content), Is.EqualTo(texts.Split('|')));

    private List<string> Texts(string content) =>
        [.. TextDataset.ReadTexts(folder.Write("data.csv", content)).Select(example => example.Text)];

    [Test]
    public void A_label_that_comes_later_tells_rows_apart_as_well()
    {
        const string Rows = "text,label\n\"not good,neg\nloved it\",pos\n";
        Assert.That(Load(Rows + "good,pos\n").Examples, Has.Count.EqualTo(2), "neg may be a word of the text");
        Assert.That(() => Load(Rows + "bad,neg\n"), Throws.TypeOf<InputException>().With.Message.Contains("line 2"));
        var options = new DatasetOptions { Labels = LabelSet.Sentiment };
        Assert.That(() => Load(Rows, options), Throws.TypeOf<InputException>(), "or the model has it");
    }

    [TestCase("\"not good\t0\nbad\t0\nloved it\"\t1\n", "line 3: the field that begins with a quote here is not")]
    [TestCase("\"two\nlines\"\t0\n", "line 3: the field that begins with a quote here is not closed on its line")]
    [TestCase("\"not good\t0\nbad\t0\n", "line 3: the field that begins with a quote here is not closed on its line")]
    [TestCase("\"great\" was the ending\t1\n", "line 3: ' ' follows the closing quote of field 1")]
    public void A_tsv_whose_quotes_are_characters_is_refused_by_line(string rows, string expected) =>
        Assert.That(() => Load("text\tlabel\ngood\t1\n" + rows, name: "data.tsv"), Throws.TypeOf<InputException>()
            .With.Message.Contains("data.tsv, " + expected).And.Message.Contains("quoting=3"));

    [Test]
    public void A_tsv_of_pandas_is_read()
    {
        const string Content = "text\tlabel\n\"she said \"\"no\"\"\"\t1\n5\" disk\t0\n\"a\tb\"\t0\n";
        Assert.That(Load(Content, name: "data.tsv").Examples.Select(example => example.Text),
            Is.EqualTo(new[] { "she said \"no\"", "5\" disk", "a\tb" }));
    }

    [TestCase("data.tsv", "line 8: the field that begins with a quote here is not closed on its line")]
    [TestCase("words.tsv", "line 8: ' ' follows the closing quote of field 1")]
    public void A_real_tsv_without_quoting_is_refused_by_line(string name, string expected)
    {
        var path = RealData.Path("cases/tsv-unquoted/" + name);
        Assert.That(() => TextDataset.Load(path, options: new DatasetOptions { TextColumn = "sentence" }),
            Throws.TypeOf<InputException>().With.Message.Contains($"{name}, {expected}"));
    }

    [TestCase("great", "line 3: the label 'great' is unknown; the classes are: 0 = neg, 1 = pos")]
    [TestCase("2", "line 3: the label index 2 is out of range; there are 2 classes: 0 = neg, 1 = pos")]
    [TestCase("-1", "line 3: the label '-1' is unknown")]
    public void A_label_that_is_no_class_is_refused_with_the_classes(string label, string expected) =>
        Assert.That(() => Load($"text,label\na,neg\nb,{label}\n", new DatasetOptions { Labels = LabelSet.Sentiment }),
            Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [Test]
    public void Bytes_that_are_no_UTF8_are_refused_by_line()
    {
        var path = folder.Write("data.csv", [.. "text,label\na,0\nb"u8, 0xFF, .. ",1\n"u8]);
        Assert.That(() => TextDataset.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("line 3: not valid UTF-8 (byte 0xFF at position 1)"));
    }

    [Test]
    public void A_line_of_100_megabytes_is_refused_without_being_read()
    {
        using var endless = new EndlessStream(100 << 20);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => TextDataset.ReadTexts(endless, "input").ToList(),
            Throws.TypeOf<InputException>().With.Message.Contains("line 1: the line is longer than 16,777,216 bytes"));
        Assert.That(endless.BytesRead, Is.LessThan(17 << 20));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64 << 20),
            "the buffer doubles up to the limit");
    }

    [Test]
    public void A_quoted_field_beyond_the_limit_is_refused_also_over_many_lines()
    {
        var content = "text,label\n\"" + string.Concat(Enumerable.Repeat("0123456789\n", 200));
        Assert.That(() => Load(content, new DatasetOptions { MaxLineBytes = 1000 }),
            Throws.TypeOf<InputException>().With.Message.Contains("line 2: a quoted field is longer than 1,000 bytes"));
    }

    [Test]
    public void Lines_at_the_edges_of_the_read_buffer_are_whole([Values(65_534, 65_535, 65_536, 65_537, 200_000)]
        int length)
    {
        var text = new string('x', length);
        Assert.That(Load($"label,text\n0,{text}\r\n1,{text}y\n").Examples.Select(e => e.Text),
            Is.EqualTo(new[] { text, text + "y" }));
    }

    private sealed class EndlessStream(long length) : MemoryStream
    {
        public long BytesRead { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            var count = (int)Math.Min(buffer.Length, length - BytesRead);
            buffer[..count].Fill((byte)'x');
            BytesRead += count;
            return count;
        }
    }
}
