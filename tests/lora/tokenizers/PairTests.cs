using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// Pairs of texts. pairs.jsonl has the ids and types that Hugging Face's tokenizer gives, made by
/// oracle.mjs.
/// </summary>
internal class PairTests
{
    private static IEnumerable<JsonElement> Expected() => SmallVocabulary.Resource("pairs.jsonl")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement);

    [Test]
    public void Ids_and_types_of_pairs_equal_those_of_Hugging_Face_at_every_length()
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", SmallVocabulary.Resource("small-tokenizer.json"));
        folder.Write("tokenizer_config.json", """{"truncation_side": "left"}""");
        var left = WordPieceTokenizer.Load(folder.Root);
        var count = 0;
        foreach (var row in Expected())
        {
            var tokenizer = row.GetProperty("left").GetBoolean() ? left : SmallVocabulary.Tokenizer;
            var pair = tokenizer.EncodeIds(row.GetProperty("text").GetString()!, row.GetProperty("pair").GetString()!,
                row.GetProperty("maxLength").GetInt32());
            int[] types = [.. pair.Ids.Select((_, i) => i < pair.SecondSegment ? 0 : 1)];
            Assert.That(pair.Ids, Is.EqualTo(Numbers(row, "ids")), row.ToString());
            Assert.That(types, Is.EqualTo(Numbers(row, "types")), row.ToString());
            Assert.That(pair.IsTruncated, Is.EqualTo(row.GetProperty("cut").GetBoolean()), row.ToString());
            count++;
        }
        Assert.That(count, Is.EqualTo(242));

        static int[] Numbers(JsonElement row, string name) =>
            [.. row.GetProperty(name).EnumerateArray().Select(number => number.GetInt32())];
    }

    [TestCase("a.csv", "question,answer,label\ngood film?,not bad,1\nbad film?,so good,0\n", "answer")]
    [TestCase("a.tsv", "question\tanswer\tlabel\ngood film?\tnot bad\t1\nbad film?\tso good\t0\n", "answer")]
    [TestCase("a.jsonl", """
        {"question": "good film?", "answer": "not bad", "label": 1}
        {"question": "bad film?", "answer": "so good", "label": 0}
        """, "answer")]
    public void The_second_text_comes_from_its_column(string name, string content, string column)
    {
        using var folder = new TemporaryFolder();
        var data = TextDataset.Load(folder.Write(name, content), options: new DatasetOptions
        {
            TextColumn = "question",
            TextPairColumn = column,
        });
        Assert.That(data.HasPairs);
        Assert.That(data.Examples.Select(example => (example.Text, example.TextPair, example.Label)),
            Is.EqualTo(new[] { ("good film?", "not bad", 1), ("bad film?", "so good", 0) }));
        var encoded = data.Encode(SmallVocabulary.Tokenizer);
        Assert.That(encoded.HasPairs);
        Assert.That(encoded.Examples.Select(example => example.SecondSegment), Is.All.EqualTo(5));
        var batch = PackedBatch.Of([.. encoded.Examples]);
        Assert.That(batch.TokenTypes, Is.EqualTo(new[] { 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1 }));
    }

    [Test]
    public void A_row_without_its_second_text_is_named_and_may_be_skipped()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.csv", "text,second,label\na,b,x\nc,,y\nd, ,x\ne,f,y\n");
        var options = new DatasetOptions { TextPairColumn = "second" };
        Assert.That(() => TextDataset.Load(path, options: options), Throws.TypeOf<InputException>().With.Message
            .Contains("line 3: 'second' is empty; line 4: 'second' is blank"));
        Assert.That(TextDataset.Load(path, options: options with { EmptyRows = EmptyRows.Skip }).Count,
            Is.EqualTo(2));
        Assert.That(TextDataset.ReadTexts(path, options with { EmptyRows = EmptyRows.Keep })
            .Select(example => example.TextPair), Is.EqualTo(new[] { "b", "", " ", "f" }));
    }

    [Test]
    public void A_missing_column_is_named_with_its_option()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.csv", "text,label\na,x\nc,y\n");
        Assert.That(() => TextDataset.Load(path, options: new DatasetOptions { TextPairColumn = "second" }),
            Throws.TypeOf<InputException>().With.Message.Contains("no column 'second'").And.Message
                .Contains("'text-pair-column'"));
    }
}
