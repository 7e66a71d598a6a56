using System.Text;
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
    [TestCase("\"two\rlines\",0\r", "two\rlines")]
    [TestCase("5\" disk,0\n", "5\" disk")]
    [TestCase(" padded ,0\n", " padded ")]
    [TestCase("tab\there,0", "tab\there")]
    [TestCase("\"quoted\",\"0\"", "quoted")]
    [TestCase("Grüße 😀,0\r\n\r\n", "Grüße 😀")]
    public void A_field_is_read_as_RFC_4180_says(string row, string text) =>
        Assert.That(Load("text,label\n" + row + "\nlast,1\n").Examples[0],
            Is.EqualTo(new TextExample(text, 0, "line 2") { Line = 2 }));

    [TestCase("text,label\ra,0\r\rb,1\r")]
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
    public void UTF_16_with_its_mark_is_read() =>
        Assert.That(TextDataset.Load(folder.Write("data.csv",
            [0xFF, 0xFE, .. Encoding.Unicode.GetBytes("text,label\ré,0\rb,1\r")])).Examples.Select(e => e.Text),
            Is.EqualTo(new[] { "é", "b" }));

    [Test]
    public void Tabs_separate_a_tsv_and_commas_do_not() =>
        Assert.That(Load("text\tlabel\na, b\t1\nc\t0\n", name: "data.tsv").Examples[0].Text, Is.EqualTo("a, b"));

    [Test]
    public void Columns_can_be_named()
    {
        var options = new DatasetOptions { TextColumn = "review", LabelColumn = "stars" };
        Assert.That(Load("stars,review\n1,good\n0,bad\n", options).Examples[0],
            Is.EqualTo(new TextExample("good", 1, "line 2") { Line = 2 }));
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
    [TestCase("text,label\na,0\n\"b, c,1\nc,0\n",
        "line 3: field 1 begins with a quote and is not closed before the end of the file")]
    [TestCase("text,label\n\"a\"b, c,1\n", "line 2: field 1 begins with a quote and goes on after the closing one")]
    [TestCase("text,label\n5\" x,\"0\"0\na, b,1\n", "line 2: field 2 begins with a quote and goes on")]
    [TestCase("text,label\na,0\n ,1\n", "line 3: 'text' is blank")]
    [TestCase("text,label\na,0\nb,\n", "line 3: 'label' is empty")]
    public void A_bad_file_is_refused_by_file_and_line(string content, string expected) =>
        Assert.That(() => Load(content),
            Throws.TypeOf<InputException>().With.Message.Contains("data.csv").And.Message.Contains(expected));

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
        Assert.That(() => TextDataset.ReadLines(endless, "input").ToList(),
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
            Throws.TypeOf<InputException>().With.Message
                .Contains("line 2: what begins here is longer than 1,000 bytes"));
    }

    [Test]
    public void Lines_at_the_edges_of_the_read_buffer_are_whole([Values(65_534, 65_535, 65_536, 65_537, 200_000)]
        int length)
    {
        var text = new string('x', length);
        Assert.That(Load($"label,text\n0,{text}\r\n1,{text}y\n").Examples.Select(e => e.Text),
            Is.EqualTo(new[] { text, text + "y" }));
    }

    [Test]
    public void A_row_beyond_the_limit_is_not_read_to_its_end()
    {
        var content = "text,label\n" + new string('x', 4 << 20);
        Assert.That(() => Load(content, new DatasetOptions { MaxLineBytes = 1 << 20 }),
            Throws.TypeOf<InputException>().With.Message.Contains("line 2: what begins here is longer than 1,048,576"));
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
