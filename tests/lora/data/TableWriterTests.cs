using System.Text;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>Tables are written so that every program reads the same cells.</summary>
public sealed class TableWriterTests
{
    private static readonly string[] Columns = ["id", "text, or so"];

    private static string Written(string path, IReadOnlyList<string> columns, char? separator,
        params IReadOnlyList<object?>[] rows)
    {
        using var stream = new MemoryStream();
        using (var table = new TableWriter(stream, path, columns, separator))
        {
            foreach (var row in rows)
            {
                table.Write(row);
            }
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    [Test]
    public void A_csv_is_as_RFC_4180_has_it() => Assert.Multiple(() =>
    {
        Assert.That(Written("a.csv", Columns, null, [1, "plain; ü"], [2L, "a, b"], [0.1, "\"so\" he said"],
            [true, "two\r\nlines\nor three"], [null, ""], [1e-7, new[] { "mood", "plot" }]),
            Is.EqualTo("id,\"text, or so\"\r\n1,plain; ü\r\n2,\"a, b\"\r\n0.1,\"\"\"so\"\" he said\"\r\n"
                + "true,\"two\r\nlines\nor three\"\r\n,\r\n1E-07,mood|plot\r\n"));
        Assert.That(Written("a.csv", Columns, ';', ["a;b", "c,d"]), Is.EqualTo("id;text, or so\r\n\"a;b\";c,d\r\n"));
        Assert.That(Written("a.csv", ["x"], null, [""], ["1"]), Is.EqualTo("x\r\n\"\"\r\n1\r\n"),
            "an empty row would be no row");
    });

    [Test]
    public void A_tsv_has_tabs_and_a_jsonl_an_object_in_each_line() => Assert.Multiple(() =>
    {
        Assert.That(Written("a.TSV", Columns, ';', ["a\tb", "c,d;"]), Is.EqualTo("id\ttext, or so\n\"a\tb\"\tc,d;\n"));
        Assert.That(Written("a.jsonl", Columns, null, [1, "ü \"\n"], [0.25, null], [false, new[] { "a", "b" }]),
            Is.EqualTo("{\"id\":1,\"text, or so\":\"ü \\\"\\n\"}\n{\"id\":0.25,\"text, or so\":null}\n"
                + "{\"id\":false,\"text, or so\":[\"a\",\"b\"]}\n"));
    });

    [Test]
    public void Values_of_JSON_stay_as_they_were_written()
    {
        using var json = JsonDocument.Parse("""[1.50, "\u00fc", {"a": [1, 2]}, null]""");
        object?[] row = [.. json.RootElement.EnumerateArray().Cast<object>(), default(JsonElement)];
        string[] columns = ["a", "b", "c", "d", "e"];
        Assert.That(Written("a.jsonl", columns, null, row),
            Is.EqualTo("{\"a\":1.50,\"b\":\"\\u00fc\",\"c\":{\"a\": [1, 2]},\"d\":null}\n"));
        Assert.That(Written("a.csv", columns, null, row),
            Is.EqualTo("a,b,c,d,e\r\n1.50,ü,\"{\"\"a\"\": [1, 2]}\",,\r\n"));
    }

    [TestCase(".csv")]
    [TestCase(".tsv")]
    public void What_is_written_is_read_back(string kind)
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Root, $"a{kind}");
        string[] texts = ["", " ", "a,b;c\td", "\"", "\"a\" b", "a \"b\"", "line\nbreak", "cr\rlf\r\n", "'", "\uFEFFü",
            "=1+1"];
        TableWriter.WriteFile(path, ["text", "n"], texts.Select((text, i) => new object?[] { text, i }),
            hasByteOrderMark: true);
        Assert.That(File.ReadAllBytes(path)[..3], Is.EqualTo(new byte[] { 0xEF, 0xBB, 0xBF }));
        Assert.That(TextDataset.ReadTexts(path, new DatasetOptions { EmptyRows = EmptyRows.Keep })
            .Select(example => example.Text), Is.EqualTo(texts));
    }

    [Test]
    public void A_file_is_written_whole_or_not_at_all()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.csv", "old");
        Assert.That(() => TableWriter.WriteFile(path, Columns, Rows()), Throws.TypeOf<OperationCanceledException>());
        Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
        Assert.That(Directory.GetFiles(folder.Root), Has.Length.EqualTo(1));

        static IEnumerable<object?[]> Rows()
        {
            yield return ["1", "2"];
            throw new OperationCanceledException();
        }
    }

    [Test]
    public void What_cannot_be_a_table_is_refused() => Assert.Multiple(() =>
    {
        Assert.That(() => Written("a.xlsx", Columns, null),
            Throws.TypeOf<InputException>().With.Message.StartsWith("a.xlsx: the kind of this table is not known")
                .And.Message.EndsWith(".csv, .tsv or .jsonl."));
        Assert.That(() => Written("a.csv", ["x", "x"], null),
            Throws.TypeOf<InputException>().With.Message.Contains("two columns would be called 'x'"));
        Assert.That(() => Written("a.csv", Columns, null, ["1"]), Throws.ArgumentException);
        Assert.That(() => Written("a.csv", Columns, null, ["1", Guid.Empty]), Throws.ArgumentException);
    });
}
