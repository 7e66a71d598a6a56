using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// Every normalizer, pre-tokenizer, model setting, added token and truncation that is followed,
/// against the ids of Hugging Face's Rust tokenizer: tokenizers/variants.mjs changed the committed
/// tokenizers one by one and wrote what they give for 3,300 texts and 600 pairs.
/// </summary>
[Parallelizable]
internal class VariantTests
{
    private const int Block = 100, Pairs = 600;

    private static readonly JsonObject Variants =
        (JsonObject)JsonNode.Parse(SmallVocabulary.Resource("variants.json"))!;

    private static readonly string[] Texts = [.. SmallVocabulary.Resource("variant-texts.jsonl")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Unescaped)];

    private static readonly string[] PreTokenizers =
        ["ByteLevel", "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits"];

    private static IEnumerable<string> Names => Variants.Select(variant => variant.Key);

    [Test]
    public void Ids_of_every_text_and_pair_equal_those_of_Hugging_Face([ValueSource(nameof(Names))] string name)
    {
        var tokenizer = Load(name);
        var maxLength = tokenizer.GivenMaxLength ?? int.MaxValue;
        var expected = ((string)Variants[name]!["hashes"]!).Split(' ');
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var wrong = new List<string>();
        for (var i = 0; i < Texts.Length + Pairs; i++)
        {
            var j = i - Texts.Length;
            var encoded = j < 0 ? tokenizer.EncodeIds(Texts[i], second: null, maxLength)
                : tokenizer.EncodeIds(Texts[j * 5], Texts[(j * 11 + 3) % Texts.Length], maxLength);
            hash.AppendData(MemoryMarshal.AsBytes<int>([.. encoded.Ids, -1, encoded.SecondSegment]));
            if ((i + 1) % Block == 0
                && Convert.ToHexStringLower(hash.GetHashAndReset())[..8] != expected[i / Block])
            {
                wrong.Add($"{i + 1 - Block} to {i}");
            }
        }
        Assert.That(Texts, Has.Length.EqualTo(3300));
        Assert.That(wrong, Is.Empty, "texts and pairs by their numbers");
    }

    /// <summary>
    /// Every code point between two letters, and with marks: what a normalizer makes of it, or in
    /// which words a pre-tokenizer cuts it. tokenizers/code-points.mjs made the hashes.
    /// </summary>
    [TestCaseSource(nameof(Steps))]
    public void Every_code_point_becomes_what_it_does_in_Hugging_Face(string step, string expected)
    {
        var setting = new Setting("steps", "", JsonDocument.Parse(step.StartsWith('{') ? step : Map()).RootElement);
        var isPreTokenizer = PreTokenizers.Any(type =>
            step.StartsWith($"{{\"type\":\"{type}\"", StringComparison.Ordinal));
        var preTokenizer = isPreTokenizer ? PreTokenizer.Read(setting) : null;
        var normalizer = isPreTokenizer ? null : Normalizer.Read(setting);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var c = 0; c <= 0x10FFFF; c++)
        {
            if (!Rune.IsValid(c))
            {
                continue;
            }
            var text = $"e{new Rune(c)}\u0301\u0323a{new Rune(c)} 1{new Rune(c)}!{new Rune(c)}";
            if (preTokenizer is null)
            {
                hash.AppendData(Encoding.UTF8.GetBytes(normalizer!.Apply(text) + "\n"));
                continue;
            }
            var words = new List<ReadOnlyMemory<char>>();
            preTokenizer.Split(text.AsMemory(), isFirst: true, words);
            hash.AppendData(Encoding.UTF8.GetBytes(string.Join('\t', words) + "\n"));
        }
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset())[..16], Is.EqualTo(expected));

        static string Map() => JsonNode.Parse(SmallVocabulary.Resource("unigram.json"))!["normalizer"]!.ToJsonString();
    }

    private static IEnumerable<TestCaseData> Steps() => SmallVocabulary.Resource("code-points.jsonl")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)
        .Select(row => new TestCaseData((string)row["step"]!, (string)row["hash"]!)
            .SetArgDisplayNames((string)row["step"]!));

    /// <summary>
    /// A file with one value away or another gives the ids that Hugging Face's gives, or it is
    /// refused; refused is also what Hugging Face's refuses, but for what changes no id.
    /// </summary>
    [Test]
    public void A_file_with_another_value_gives_the_ids_of_Hugging_Face_or_is_refused()
    {
        var texts = Texts.Where((_, i) => i % 110 == 0).ToArray();
        var jsons = new Dictionary<string, JsonObject>
        {
            ["bpe"] = Json("bpe"),
            ["unigram"] = Json("unigram"),
            ["wordpiece"] = Json("wordpiece"),
            ["tokens"] = Json("bpe tokens"),
            ["strips"] = Json("unigram strip"),
            ["cut"] = Json("bpe left"),
        };
        var lines = SmallVocabulary.Resource("damages.jsonl").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var values = (JsonArray)JsonNode.Parse(lines[0])!;
        var (wrong, same, refused) = (new List<string>(), 0, 0);
        using var folder = new TemporaryFolder();
        foreach (var line in lines[1..])
        {
            var row = JsonNode.Parse(line)!;
            var (name, path) = ((string)row["at"]![0]!, (JsonArray)row["at"]![1]!);
            foreach (var (expected, value) in ((string)row["ids"]!).Split(' ').Zip(values).Where(at => at.First != "="))
            {
                folder.Write("tokenizer.json", Damaged(jsons[name], path, value).ToJsonString());
                try
                {
                    var found = HashOf(Tokenizer.Load(folder.Root), texts);
                    same += found == expected ? 1 : 0;
                    if (found != expected && !(expected == "-" && ChangesNoId(path, value)))
                    {
                        wrong.Add($"{name} {path.ToJsonString()} {value?.ToJsonString() ?? "null"}: {expected}");
                    }
                }
                catch (InputException e)
                {
                    Assert.That(e.Message, Does.StartWith(folder.Root), line);
                    refused++;
                }
            }
        }
        Assert.That(wrong, Is.Empty, $"{wrong.Count} give other ids, or are refused (-) by Hugging Face's");
        Assert.That(same, Is.GreaterThan(500));
        Assert.That(refused, Is.GreaterThan(3000));
    }

    /// <summary>
    /// What Hugging Face's asks for and no id depends on; null, too, where leaving out is allowed.
    /// </summary>
    private static bool ChangesNoId(JsonArray path, JsonNode? value)
    {
        var keys = path.Select(key => key!.ToString()).ToArray();
        return keys[0] is "version" or "padding" or "decoder"
            || keys is ["pre_tokenizer", "trim_offsets"] or ["truncation", "stride"]
            || keys is ["post_processor", "special_tokens", _, "id" or "tokens", ..]
            || value is null && keys is ["added_tokens"] or ["pre_tokenizer", "use_regex"] or ["model", "byte_fallback"]
            || keys is ["truncation"] or ["truncation", _];
    }

    private static string HashOf(Tokenizer tokenizer, string[] texts)
    {
        var maxLength = tokenizer.GivenMaxLength ?? int.MaxValue;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in texts)
        {
            var pair = tokenizer.EncodeIds(text, text + text, maxLength);
            hash.AppendData(MemoryMarshal.AsBytes<int>([.. pair.Ids, -1, pair.SecondSegment]));
            hash.AppendData(MemoryMarshal.AsBytes<int>(tokenizer.EncodeIds(text, second: null, maxLength).Ids));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..8];
    }

    private static JsonObject Damaged(JsonObject whole, JsonArray path, JsonNode? value)
    {
        var json = (JsonObject)whole.DeepClone();
        JsonNode parent = json;
        foreach (var key in path.SkipLast(1))
        {
            parent = (key!.GetValueKind() == JsonValueKind.Number ? parent[(int)key] : parent[(string)key!])!;
        }
        var last = path[^1]!;
        var isAway = value is JsonValue text && text.TryGetValue<string>(out var away) && away == "(away)";
        if (parent is JsonArray list)
        {
            if (isAway)
            {
                list.RemoveAt((int)last);
            }
            else
            {
                list[(int)last] = value?.DeepClone();
            }
        }
        else if (isAway)
        {
            parent.AsObject().Remove((string)last!);
        }
        else
        {
            parent[(string)last!] = value?.DeepClone();
        }
        return json;
    }

    /// <summary>JSON may not hold half a surrogate pair as text; here it is escaped.</summary>
    private static string Unescaped(string line)
    {
        var text = new StringBuilder();
        for (var i = 1; i < line.Length - 1; i++)
        {
            if (line[i] != '\\')
            {
                text.Append(line[i]);
                continue;
            }
            i++;
            text.Append(line[i] switch
            {
                'u' => (char)Convert.ToUInt16(line[(i + 1)..(i + 5)], 16),
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\b',
                'f' => '\f',
                var other => other,
            });
            i += line[i] == 'u' ? 4 : 0;
        }
        return text.ToString();
    }

    private static Tokenizer Load(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", Json(name).ToJsonString());
        return Tokenizer.Load(folder.Root);
    }

    private static JsonObject Json(string name)
    {
        var file = name.Split(' ')[0] switch
        {
            "bpe" => "byte-level-bpe.json",
            "unigram" => "unigram.json",
            _ => "small-tokenizer.json",
        };
        var json = (JsonObject)JsonNode.Parse(SmallVocabulary.Resource(file))!;
        var map = (string?)json["normalizer"]?["normalizers"]?[0]?["precompiled_charsmap"];
        foreach (var (key, value) in (JsonObject)Variants[name]!["changes"]!)
        {
            var parent = key.StartsWith("model.", StringComparison.Ordinal) ? (JsonObject)json["model"]! : json;
            parent[key.Replace("model.", "", StringComparison.Ordinal)] = value?.DeepClone();
        }
        foreach (var step in json["normalizer"]?["normalizers"]?.AsArray() ?? [])
        {
            if (step!["precompiled_charsmap"] is not null)
            {
                step["precompiled_charsmap"] = map;
            }
        }
        if (Variants[name]!["bytes"] is JsonArray bytes)
        {
            for (var b = (int)bytes[0]!; b < (int)bytes[1]!; b++)
            {
                var (token, vocabulary) = ($"<0x{b:X2}>", json["model"]!["vocab"]!);
                if (vocabulary is JsonArray pieces)
                {
                    pieces.Add(new JsonArray(token, -20));
                }
                else
                {
                    ((JsonObject)vocabulary).Add(token, vocabulary.AsObject().Count);
                }
            }
        }
        return json;
    }
}
