using System.Text;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// Settings in a tokenizer's files that decide ids: they are followed, or refused by name.
/// </summary>
public class TokenizerSettingsTests
{
    private const string Pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n##ness\n[unused0]\n";
    private const string Map = "special_tokens_map.json", Added = "added_tokens.json", Config = "tokenizer_config.json";

    /// <summary>
    /// As transformers writes it for bert-base-uncased, with the ids of this vocabulary.
    /// </summary>
    private const string OrdinaryConfig = """
        {
          "added_tokens_decoder": {
            "0": {"content": "[PAD]", "lstrip": false, "normalized": false, "rstrip": false,
                  "single_word": false, "special": true},
            "1": {"content": "[UNK]", "lstrip": false, "normalized": false, "rstrip": false,
                  "single_word": false, "special": true},
            "2": {"content": "[CLS]", "lstrip": false, "normalized": false, "rstrip": false,
                  "single_word": false, "special": true},
            "3": {"content": "[SEP]", "lstrip": false, "normalized": false, "rstrip": false,
                  "single_word": false, "special": true},
            "4": {"content": "[MASK]", "lstrip": false, "normalized": false, "rstrip": false,
                  "single_word": false, "special": true}
          },
          "additional_special_tokens": [], "clean_up_tokenization_spaces": true, "cls_token": "[CLS]",
          "do_basic_tokenize": true, "do_lower_case": true, "extra_special_tokens": {}, "mask_token": "[MASK]",
          "model_max_length": 1000000000000000019884624838656, "never_split": null, "pad_token": "[PAD]",
          "padding_side": "left", "sep_token": "[SEP]", "strip_accents": null, "tokenize_chinese_chars": true,
          "tokenizer_class": "BertTokenizer", "truncation_side": "right", "unk_token": "[UNK]"
        }
        """;

    private static readonly int[] ExpectedIds = [2, 5, 6, 7, 3];        // [CLS] good bad ##ness [SEP]

    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder()
    {
        folder = new TemporaryFolder();
        folder.Write("vocab.txt", Pieces);
    }

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void A_tokenizer_json_of_an_older_version_says_no_type_of_its_model()
    {
        var json = JsonNode.Parse(SmallVocabulary.Resource("small-tokenizer.json"))!;
        Assert.That(json["model"]!.AsObject().Remove("type"));
        const string text = "the Goodness of it";
        Assert.That(WordPieceTokenizer.Load(folder.Write("tokenizer.json", json.ToJsonString())).EncodeIds(text),
            Is.EqualTo(SmallVocabulary.Tokenizer.EncodeIds(text)));
        json["model"]!["merges"] = new JsonArray("a b");
        AssertRefused(() => WordPieceTokenizer.Load(folder.Write("merges.json", json.ToJsonString())),
            Path.Combine(folder.Root, "merges.json"), "model.type is nothing");
    }

    private static void AssertRefused(Action load, string path, string expected) =>
        Assert.That(load, Throws.TypeOf<InputException>().With.Message.StartsWith(path + ": ")
            .And.Message.Contains(expected).And.Message.Not.Contains(" --"));

    [TestCase(Config, OrdinaryConfig)]
    [TestCase(Config, """{"strip_accents": true, "truncation_side": null, "do_lower_case": null}""")]
    [TestCase(Config, """{"cls_token": {"__type": "AddedToken", "content": "[CLS]"}, "never_split": ["[SEP]"]}""")]
    [TestCase(Map, """{"cls_token": {"content": "[CLS]", "normalized": false}, "mask_token": "[MASK]"}""")]
    [TestCase(Added, "{}")]
    [TestCase(Added, """{"[CLS]": 2, "[MASK]": 4}""")]
    public void What_changes_no_id_is_read(string name, string json)
    {
        folder.Write(name, json);
        Assert.That(WordPieceTokenizer.Load(folder.Root).EncodeIds("Good badness"), Is.EqualTo(ExpectedIds));
    }

    [TestCase(Config, """{"truncation_side": "middle"}""", "truncation_side is middle; expected left or right")]
    [TestCase(Config, """{"model_max_length": "long"}""", "model_max_length is long; expected a number of tokens")]
    [TestCase(Config, """{"model_max_length": 2}""", "model_max_length is 2; expected a number of tokens from 3")]
    [TestCase(Config, """{"strip_accents": false}""", "strip_accents is false, and only true is supported")]
    [TestCase(Config, """{"do_lower_case": false, "strip_accents": true}""", "strip_accents is true, and only false")]
    [TestCase(Config, """{"do_lower_case": "no"}""", "do_lower_case is no; expected true or false")]
    [TestCase(Config, """{"tokenize_chinese_chars": false}""", "tokenize_chinese_chars is false, and only true")]
    [TestCase(Config, """{"do_basic_tokenize": false}""", "do_basic_tokenize is false, and only true")]
    [TestCase(Config, """{"split_special_tokens": true}""", "split_special_tokens is true, and only false")]
    [TestCase(Config, """{"wordpieces_prefix": "@@"}""", "wordpieces_prefix is @@, and only ##")]
    [TestCase(Config, """{"never_split": ["goodness"]}""", "'goodness' of never_split")]
    [TestCase(Config, """{"tokenizer_class": "BertJapaneseTokenizer"}""", "tokenizer_class is BertJapaneseTokenizer")]
    [TestCase(Config, """{"cls_token": "<s>"}""", "cls_token is <s>, and only [CLS]")]
    [TestCase(Config, """{"eos_token": "</s>"}""", "added token '</s>' of eos_token")]
    [TestCase(Config, """{"mask_token": {"content": "[MASK]", "normalized": true}}""", "'[MASK]' of mask_token")]
    [TestCase(Config, """{"added_tokens_decoder": {"9": {"content": "goodness"}}}""", "added_tokens_decoder with id 9")]
    [TestCase(Config, """{"added_tokens_decoder": {"9": {"content": "[SEP]"}}}""", "its id in the vocabulary is 3")]
    [TestCase(Config, """{"additional_special_tokens": ["[unused0]"]}""", "'[unused0]' of additional_special_tokens")]
    [TestCase(Config, """{"extra_special_tokens": {"user_token": "<user>"}}""", "'<user>' of extra_special_tokens")]
    [TestCase(Config, "[]", "a JSON object is expected")]
    [TestCase(Map, """{"additional_special_tokens": [{"content": "<e>"}]}""", "'<e>' of additional_special_tokens")]
    [TestCase(Map, """{"sep_token": "</s>"}""", "sep_token is </s>, and only [SEP]")]
    [TestCase(Added, """{"goodness": 9}""", "added token 'goodness' with id 9")]
    [TestCase(Added, """{"good": 5}""", "added token 'good' with id 5")]
    [TestCase(Added, """{"goodness": "\ud800"}""", "half a surrogate pair")]
    public void What_would_give_other_ids_is_refused_by_name(string name, string json, string expected)
    {
        var path = folder.Write(name, json);
        AssertRefused(() => WordPieceTokenizer.Load(folder.Root), path, expected);
        AssertRefused(() => WordPieceTokenizer.Load(Path.Combine(folder.Root, "vocab.txt")), path, expected);
        if (!expected.StartsWith("tokenizer_class", StringComparison.Ordinal))
        {
            var isUncased = !json.Contains("\"do_lower_case\": false", StringComparison.Ordinal);
            WordPieceTokenizer.ParseVocabulary("", Encoding.UTF8.GetBytes(Pieces), isUncased)
                .SaveJson(Path.Combine(folder.Root, "tokenizer.json"));
            AssertRefused(() => WordPieceTokenizer.Load(folder.Root), path, expected);
        }
    }

    [Test]
    public void A_case_that_two_files_say_differently_is_refused()
    {
        WordPieceTokenizer.Load(folder.Root).SaveJson(Path.Combine(folder.Root, "tokenizer.json"));
        var path = folder.Write(Config, """{"do_lower_case": false}""");
        AssertRefused(() => WordPieceTokenizer.Load(folder.Root), path,
            "do_lower_case is false, but the tokenizer itself is uncased");
        Assert.That(WordPieceTokenizer.Load(folder.Root, uncased: true).Uncased, "unless the caller decides");
    }

    [TestCase("truncation", """{"direction": "Up", "max_length": 64, "strategy": "LongestFirst", "stride": 0}""",
        "truncation.direction is Up; expected left or right")]
    [TestCase("post_processor", "null", "post_processor.type is nothing")]
    [TestCase("post_processor", """{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 4]}""",
        "post_processor.cls is [CLS], 4, and only [CLS], 2")]
    [TestCase("post_processor", """{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}""",
        "post_processor.single is A, and only [CLS], A, [SEP]")]
    [TestCase("added_tokens", """[{"id": 9, "content": "goodness"}]""", "'goodness' of added_tokens with id 9")]
    [TestCase("added_tokens", """[{"id": 9, "content": "[MASK]"}]""", "its id in the vocabulary is 4")]
    public void A_tokenizer_json_that_would_give_other_ids_is_refused(string name, string value, string expected)
    {
        var path = Change(name, value);
        AssertRefused(() => WordPieceTokenizer.Load(folder.Root), path, expected);
    }

    [TestCase("truncation", """{"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0}""")]
    [TestCase("padding", """{"strategy": "BatchLongest", "direction": "Left", "pad_id": 0, "pad_token": "[PAD]"}""")]
    [TestCase("post_processor", """{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}""")]
    public void A_tokenizer_json_with_the_same_ids_is_read(string name, string value)
    {
        Change(name, value);
        Assert.That(WordPieceTokenizer.Load(folder.Root).EncodeIds("Good badness"), Is.EqualTo(ExpectedIds));
    }

    [TestCase("vocab.txt", Pieces, null)]
    [TestCase(Config, OrdinaryConfig, null)]
    [TestCase("vocab.txt", Pieces + "goodness\n", "id 9 is 'goodness', in the model's vocabulary nothing")]
    [TestCase("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nbad\n", "id 4 is 'bad', in the model's vocabulary '[MASK]'")]
    [TestCase(Config, """{"truncation_side": "left"}""", "keeps the end, the model's the beginning (truncation_side)")]
    [TestCase(Config, """{"model_max_length": 9}""", null)]
    [TestCase(Config, """{"do_lower_case": false}""", "do_lower_case is false, but the tokenizer itself is uncased")]
    [TestCase(Added, """{"goodness": 9}""", "added token 'goodness' with id 9")]
    public void Tokenizer_files_beside_an_adapter_must_agree_with_the_model(
        string name, string content, string? expected)
    {
        var model = WordPieceTokenizer.Load(folder.Root);
        using var adapter = new TemporaryFolder();
        model.RequireAgreement(adapter.Root);
        var path = adapter.Write(name, content);
        if (expected is null)
        {
            model.RequireAgreement(adapter.Root);
        }
        else
        {
            AssertRefused(() => model.RequireAgreement(adapter.Root), path, expected);
        }
    }

    [Test]
    public void A_length_that_adapter_and_model_say_differently_is_refused()
    {
        folder.Write(Config, """{"model_max_length": 64}""");
        var model = WordPieceTokenizer.Load(folder.Root);
        using var adapter = new TemporaryFolder();
        adapter.Write(Config, """{"model_max_length": 64}""");
        model.RequireAgreement(adapter.Root);
        var path = adapter.Write(Config, """{"model_max_length": 32}""");
        AssertRefused(() => model.RequireAgreement(adapter.Root), path, "keeps 32 tokens of a text, the model's 64");
    }

    [TestCase("a b c d e f g", 5, 9, 10, 11)]
    [TestCase("abc, d! 12", 6, 8, 77, 32, 69)]
    [TestCase("[SEP] x y z", 4, 29, 30)]
    [TestCase("a b", 5, 5, 6)]
    [TestCase("abcdefgh", 3, 48)]
    [TestCase("", 5)]
    [TestCase(" \n ", 5)]
    public void The_end_of_a_text_is_kept_where_the_files_say_so(string text, int length, params int[] ids)
    {
        // the ids of Hugging Face's tokenizers 0.23.2 on the same file with this truncation
        var json = JsonNode.Parse(SmallVocabulary.Resource("small-tokenizer.json"))!;
        json["truncation"] = JsonNode.Parse("""{"direction": "Left", "strategy": "LongestFirst", "stride": 0}""");
        json["truncation"]!["max_length"] = length;
        var tokenizer = WordPieceTokenizer.Load(folder.Write("tokenizer.json", json.ToJsonString()));
        Assert.That(tokenizer.MaxLength, Is.EqualTo(length));
        var tokens = tokenizer.Encode(text, tokenizer.MaxLength);
        Assert.That(tokens.Ids, Is.EqualTo((int[])[2, .. ids, 3]));
        Assert.That(tokens.Truncated, Is.EqualTo(SmallVocabulary.Tokenizer.EncodeIds(text).Length > length));
    }

    [Test]
    public void A_long_text_that_is_cut_at_its_beginning_ends_as_the_whole_does(
        [Values(2, 3, 7, 64, 511, 2000)] int length)
    {
        folder.Write(Config, """{"truncation_side": "left"}""");
        var tokenizer = WordPieceTokenizer.Load(folder.Root);
        var text = string.Join(' ', Enumerable.Range(0, 1000).Select(i => i % 3 == 0 ? "bad" : "good"));
        var whole = tokenizer.EncodeIds(text, int.MaxValue)[1..^1];
        Assert.That(tokenizer.EncodeIds(text, length, out var cut),
            Is.EqualTo((int[])[2, .. whole[Math.Max(0, whole.Length - length + 2)..], 3]));
        Assert.That(cut, Is.EqualTo(length < 1002));
    }

    [TestCase(null, null, false, 512)]
    [TestCase("""{"direction": "Left", "max_length": 64}""", null, true, 64)]
    [TestCase("""{"direction": "Right", "max_length": 64}""", null, false, 64)]
    [TestCase(null, """{"truncation_side": "left", "model_max_length": 128}""", true, 128)]
    [TestCase("""{"direction": "Left", "max_length": 64}""", """{"model_max_length": 128}""", true, 128)]
    [TestCase("""{"direction": "Left", "max_length": 64}""", """{"truncation_side": "right"}""", false, 64)]
    [TestCase("""{"direction": "Left", "max_length": 64}""", OrdinaryConfig, false, 512)]
    [TestCase(null, """{"model_max_length": 1e30}""", false, 512)]
    [TestCase(null, """{"max_len": 128}""", false, 128)]
    public void Side_and_length_are_those_that_transformers_finds(string? truncation, string? config, bool keepsEnd,
        int length)
    {
        if (config is not null)
        {
            folder.Write(Config, config);
        }
        var path = truncation is null ? folder.Root : Change("truncation", truncation);
        var tokenizer = WordPieceTokenizer.Load(path);
        Assert.That((tokenizer.KeepsEnd, tokenizer.MaxLength), Is.EqualTo((keepsEnd, length)));
    }

    [TestCase("cases/tokenizer-left/tokenizer.json")]
    public void A_real_tokenizer_keeps_the_end(string file)
    {
        var json = RealData.Path(file);
        var words = RealData.Path("cases/tiny/vocab.txt");
        File.Copy(words, Path.Combine(folder.Root, "vocab.txt"), overwrite: true);
        File.Copy(Path.Combine(Path.GetDirectoryName(json)!, Config), Path.Combine(folder.Root, Config));
        foreach (var path in (string[])[json, folder.Root])
        {
            Assert.That(WordPieceTokenizer.Load(path)
                .EncodeIds("not good the film was bad and the ending was great good good boring", 8),
                Is.EqualTo(new[] { 2, 105, 89, 94, 92, 92, 100, 3 }), path);
        }
    }

    [Test]
    public void A_real_vocabulary_with_an_added_token_is_refused()
    {
        var path = RealData.Path("cases/added-tokens/vocab.txt");
        Assert.That(() => WordPieceTokenizer.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("added token 'goodness' with id 112"));
    }

    [TestCase(Added, "added token 'goodness' with id 112")]
    [TestCase(Config, "added token 'goodness' of added_tokens_decoder with id 112")]
    public void Either_file_of_an_added_token_is_enough(string name, string expected)
    {
        foreach (var file in (string[])["vocab.txt", name])
        {
            File.Copy(RealData.Path($"cases/added-tokens/{file}"), Path.Combine(folder.Root, file), overwrite: true);
        }
        AssertRefused(() => WordPieceTokenizer.Load(folder.Root), Path.Combine(folder.Root, name), expected);
    }

    /// <summary>Writes a tokenizer.json with another value of one property.</summary>
    private string Change(string name, string value)
    {
        var path = Path.Combine(folder.Root, "tokenizer.json");
        WordPieceTokenizer.Load(Path.Combine(folder.Root, "vocab.txt")).SaveJson(path);
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json[name] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
        return path;
    }
}
