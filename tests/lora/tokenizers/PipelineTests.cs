using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// Byte-level BPE, Unigram and unusual WordPiece against the ids of Hugging Face's Rust tokenizer,
/// which tokenizers/oracle.mjs wrote to ids.jsonl: 2,400 texts in many scripts, odd strings among
/// them, alone and as pairs of at most 16 tokens.
/// </summary>
[Parallelizable]
internal class PipelineTests
{
    private const int PairLength = 16;

    private static readonly string[] Names = ["byte-level-bpe", "unigram", "cased-wordpiece"];

    private static readonly JsonElement[] Expected = [.. SmallVocabulary.Resource("ids.jsonl")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];

    private static Tokenizer Load(string name, Action<JsonObject>? change = null)
    {
        using var folder = new TemporaryFolder();
        var json = (JsonObject)JsonNode.Parse(SmallVocabulary.Resource($"{name}.json"))!;
        change?.Invoke(json);
        folder.Write("tokenizer.json", json.ToJsonString());
        return Tokenizer.Load(folder.Root);
    }

    private static string Hash(params IEnumerable<int> ids) =>
        Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<int>(ids.ToArray())))[..32];

    [Test]
    public void Ids_of_every_text_equal_those_of_Hugging_Face([ValueSource(nameof(Names))] string name)
    {
        var tokenizer = Load(name);
        var at = Array.IndexOf(Names, name);
        var wrong = Expected.Where(row => Hash(
            tokenizer.EncodeIds(row.GetProperty("text").GetString()!, second: null, int.MaxValue).Ids)
            != row.GetProperty("alone")[at].GetString()).Select(row => row.GetProperty("text").GetRawText()).ToList();
        Assert.That(Expected, Has.Length.EqualTo(2400));
        Assert.That(wrong, Is.Empty, $"{wrong.Count} of {Expected.Length}");
    }

    [Test]
    public void Ids_and_types_of_every_pair_equal_those_of_Hugging_Face([ValueSource(nameof(Names))] string name)
    {
        var tokenizer = Load(name);
        var at = Array.IndexOf(Names, name);
        var wrong = new List<string>();
        for (var i = 0; i < Expected.Length; i++)
        {
            var pair = tokenizer.EncodeIds(Text(i), Text((i + 1) % Expected.Length), PairLength);
            var types = pair.Ids.Select((_, place) => place < pair.SecondSegment ? 0 : 1);
            if (Hash([.. pair.Ids, .. types]) != Expected[i].GetProperty("paired")[at].GetString())
            {
                wrong.Add(Expected[i].GetProperty("text").GetRawText());
            }
        }
        Assert.That(wrong, Is.Empty, $"{wrong.Count} of {Expected.Length}");

        static string Text(int i) => Expected[i].GetProperty("text").GetString()!;
    }

    [Test]
    public void A_text_of_at_most_so_many_tokens_is_a_part_of_the_whole_at_either_end(
        [ValueSource(nameof(Names))] string name)
    {
        var (right, left) = (Load(name), Load(name, json => json["truncation"] = new JsonObject
        {
            ["direction"] = "Left",
            ["max_length"] = 512,
            ["strategy"] = "LongestFirst",
            ["stride"] = 0,
        }));
        foreach (var row in Expected.Take(200))
        {
            var text = row.GetProperty("text").GetString()!;
            var whole = right.EncodeIds(text, null, int.MaxValue).Ids;
            foreach (var length in new[] { 2, 3, 5, 9 })
            {
                var most = Math.Min(length, whole.Length);
                Assert.That(right.EncodeIds(text, null, length).Ids,
                    Is.EqualTo(whole[..(most - 1)].Append(whole[^1])), text);
                Assert.That(left.EncodeIds(text, null, length).Ids,
                    Is.EqualTo(whole[^(most - 1)..].Prepend(whole[0])), text);
            }
        }
    }

    [Test]
    public void What_is_decoded_reads_as_the_text_does()
    {
        Assert.That(Decoded("byte-level-bpe", "El niño soñó 😀 <mask>"), Is.EqualTo("El niño soñó 😀"));
        Assert.That(Decoded("unigram", "El niño soñó"), Is.EqualTo("El niño soñó"));

        static string Decoded(string name, string text)
        {
            var tokenizer = Load(name);
            return tokenizer.Decode(tokenizer.EncodeIds(text, null, 512).Ids);
        }
    }

    [Test]
    public void A_saved_tokenizer_gives_the_same_ids_and_agrees_with_the_first([ValueSource(nameof(Names))] string name)
    {
        using var folder = new TemporaryFolder();
        var tokenizer = Load(name);
        tokenizer.SaveInto(folder.Root, maxLength: 48, "RobertaTokenizer");
        var again = Tokenizer.Load(folder.Root);
        Assert.That(again.GivenMaxLength, Is.EqualTo(48));
        foreach (var row in Expected.Take(100))
        {
            var text = row.GetProperty("text").GetString()!;
            Assert.That(again.EncodeIds(text, null, 40).Ids, Is.EqualTo(tokenizer.EncodeIds(text, null, 40).Ids));
        }
        Assert.That(() => again.RequireAgreement(folder.Root), Throws.Nothing);
        Assert.That(() => Load(Names[(Array.IndexOf(Names, name) + 1) % Names.Length]).RequireAgreement(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains(folder.Root));
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.Root, "tokenizer_config.json")));
        Assert.That(config.RootElement.GetProperty("tokenizer_class").GetString(), Is.EqualTo("RobertaTokenizer"));
    }

    [Test]
    public void The_files_of_Robertas_Python_class_give_the_same_ids()
    {
        using var folder = new TemporaryFolder();
        var model = JsonNode.Parse(SmallVocabulary.Resource("byte-level-bpe.json"))!["model"]!;
        folder.Write("vocab.json", model["vocab"]!.ToJsonString());
        folder.Write("merges.txt", "#version: 0.2\n" + string.Join('\n', model["merges"]!.AsArray()
            .Select(merge => $"{merge![0]} {merge[1]}")) + "\n");
        var (slow, fast) = (Tokenizer.Load(folder.Root), Load("byte-level-bpe"));
        foreach (var row in Expected)
        {
            var text = row.GetProperty("text").GetString()!;
            Assert.That(slow.EncodeIds(text, null, 512).Ids, Is.EqualTo(fast.EncodeIds(text, null, 512).Ids), text);
        }
        File.Delete(Path.Combine(folder.Root, "merges.txt"));
        Assert.That(() => Tokenizer.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("merges.txt"));
    }

    [Test]
    public void WordPiece_as_most_have_it_is_read_by_the_faster_class()
    {
        Assert.That(Load("small-tokenizer"), Is.InstanceOf<WordPieceTokenizer>());
        Assert.That(Load("cased-wordpiece"), Is.InstanceOf<PipelineTokenizer>());
        using var folder = new TemporaryFolder();
        SmallVocabulary.Tokenizer.SaveInto(folder.Root, 64);
        Assert.That(Tokenizer.Load(folder.Root), Is.InstanceOf<WordPieceTokenizer>(), "what was written here");
    }

    [Test]
    public void So_is_the_published_tokenizer_of_BERT() => Assert.That(
        Tokenizer.Load(RealData.Path("bert-base-uncased/tokenizer.json")), Is.InstanceOf<WordPieceTokenizer>());

    [Test]
    public void Both_classes_give_the_same_ids_of_what_both_read()
    {
        var json = System.Text.Encoding.UTF8.GetBytes(SmallVocabulary.Resource("small-tokenizer.json"));
        var general = PipelineTokenizer.Parse("tokenizer.json", json);
        foreach (var row in Expected)
        {
            var text = row.GetProperty("text").GetString()!;
            Assert.That(general.EncodeIds(text, text, 30).Ids,
                Is.EqualTo(SmallVocabulary.Tokenizer.EncodeIds(text, text, 30).Ids), text);
        }
    }

    [Test]
    public void A_SentencePiece_model_alone_is_refused_with_the_way_to_convert_it()
    {
        using var folder = new TemporaryFolder();
        folder.Write("sentencepiece.bpe.model", "x");
        Assert.That(() => Tokenizer.Load(folder.Root), Throws.TypeOf<InputException>().With.Message
            .Contains("sentencepiece.bpe.model").And.Message.Contains("save_pretrained"));
    }

    [TestCase("byte-level-bpe", "model.dropout", "0.1", "model.dropout")]
    [TestCase("byte-level-bpe", "pre_tokenizer.type", "\"UnicodeScripts\"", "pre_tokenizer.type")]
    [TestCase("unigram", "normalizer.normalizers", "[{\"type\": \"Strange\"}]", "normalizers[0].type")]
    [TestCase("unigram", "post_processor", "null", "post_processor")]
    [TestCase("unigram", "model.unk_id", "null", "model.unk_id")]
    [TestCase("unigram", "normalizer.surprise", "1", "surprise")]
    [TestCase("byte-level-bpe", "model.type", "\"WordLevel\"", "model.type")]
    public void What_is_not_followed_is_refused_by_name(string name, string path, string value, string named) =>
        Assert.That(() => Load(name, json => Set(json, path, JsonNode.Parse(value))),
            Throws.TypeOf<InputException>().With.Message.Contains("tokenizer.json").And.Message.Contains(named));

    [Test]
    public void A_damaged_file_is_refused_or_changes_nothing_it_does_not_say([ValueSource(nameof(Names))] string name)
    {
        var whole = Load(name);
        var texts = Expected.Take(20).Select(row => row.GetProperty("text").GetString()!).ToArray();
        var refused = 0;
        foreach (var path in Paths((JsonObject)JsonNode.Parse(SmallVocabulary.Resource($"{name}.json"))!))
        {
            foreach (var damage in (JsonNode?[])[null, "surprise", -1, new JsonArray(), new JsonObject()])
            {
                try
                {
                    var damaged = Load(name, json => Set(json, path, damage?.DeepClone()));
                    foreach (var text in texts)
                    {
                        damaged.EncodeIds(text, null, 512);
                    }
                }
                catch (InputException e)
                {
                    Assert.That(e.Message, Does.Contain("tokenizer.json"), path);
                    refused++;
                }
            }
        }
        Assert.That(refused, Is.GreaterThan(50));
    }

    /// <summary>Every key but the vocabulary's.</summary>
    private static IEnumerable<string> Paths(JsonObject json, string prefix = "") => json.SelectMany(entry =>
        entry.Value is JsonObject inner && entry.Key != "vocab"
            ? Paths(inner, $"{prefix}{entry.Key}.").Prepend(prefix + entry.Key) : [prefix + entry.Key]);

    private static void Set(JsonObject json, string path, JsonNode? value)
    {
        var keys = path.Split('.');
        foreach (var key in keys[..^1])
        {
            json = (JsonObject)json[key]!;
        }
        json[keys[^1]] = value;
    }
}
