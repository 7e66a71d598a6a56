using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

public class VocabularyFileTests
{
    private const string Specials = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [TestCase("", "empty")]
    [TestCase("\n\n", "empty")]
    [TestCase("[PAD]\n[UNK]\n[CLS]\n", "lacks [SEP]")]
    [TestCase("[UNK]\n[CLS]\n[SEP]\n", "lacks [PAD]")]
    [TestCase(Specials + "a\nb\na\n", "line 7: 'a' is already line 5")]
    [TestCase(Specials + "\nb\n", "line 5: the piece is empty")]
    public void A_bad_vocabulary_is_refused_by_file_and_line(string content, string expected)
    {
        var path = folder.Write("vocab.txt", content);
        Assert.That(() => WordPieceTokenizer.Load(path),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path).And.Message.Contains(expected));
    }

    [Test]
    public void Bytes_that_are_no_UTF8_are_refused_by_line()
    {
        var path = folder.Write("vocab.txt", [.. Encoding.UTF8.GetBytes(Specials + "a\n"), 0xC3, 0x28, (byte)'\n']);
        Assert.That(() => WordPieceTokenizer.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("line 6").And.Message.Contains("UTF-8"));
    }

    [TestCase(Specials + "a")]
    [TestCase(Specials + "a\n\n\n")]
    [TestCase("\uFEFF[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n")]
    public void Line_ends_and_a_byte_order_mark_are_no_part_of_a_piece(string content) =>
        Assert.That(WordPieceTokenizer.Load(folder.Write("vocab.txt", content)).Vocabulary,
            Is.EqualTo(new[] { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a" }));

    [Test]
    public void What_is_not_there_is_named()
    {
        Assert.That(() => WordPieceTokenizer.Load(Path.Combine(folder.Root, "no.txt")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
        Assert.That(() => WordPieceTokenizer.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("no tokenizer.json and no vocab.txt"));
    }

    [Test]
    public void The_config_beside_a_vocabulary_says_whether_it_is_uncased([Values] bool lower)
    {
        folder.Write("vocab.txt", Specials + "a\nA\n");
        folder.Write("tokenizer_config.json", $$"""{"do_lower_case": {{(lower ? "true" : "false")}}}""");
        Assert.That(WordPieceTokenizer.Load(folder.Root).Uncased, Is.EqualTo(lower));
        Assert.That(WordPieceTokenizer.Load(folder.Root).Encode("A").Pieces[1], Is.EqualTo(lower ? "a" : "A"));
    }

    [TestCase("\"type\": \"WordPiece\"", "\"type\": \"BPE\"", "model.type is BPE")]
    [TestCase("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\"", "model.unk_token is <unk>")]
    [TestCase("\"max_input_chars_per_word\": 100", "\"max_input_chars_per_word\": 50",
        "model.max_input_chars_per_word is 50")]
    [TestCase("\"continuing_subword_prefix\": \"##\"", "\"continuing_subword_prefix\": \"@@\"", "is @@")]
    [TestCase("\"strip_accents\": null", "\"strip_accents\": false", "normalizer.strip_accents is false")]
    [TestCase("\"clean_text\": true", "\"clean_text\": false", "normalizer.clean_text is false")]
    [TestCase("\"type\": \"BertPreTokenizer\"", "\"type\": \"Whitespace\"", "pre_tokenizer.type is Whitespace")]
    [TestCase("\"content\": \"[MASK]\"", "\"content\": \"<mask>\"", "added token '<mask>'")]
    [TestCase("\"a\": 5,", "\"a\": 500000,", "gives 'a' the id 500000")]
    [TestCase("\"a\": 5,", "\"a\": 6,", "the same id 6")]
    [TestCase("\"version\"", "version", "not valid JSON")]
    public void A_tokenizer_json_that_would_give_other_ids_is_refused_by_name(string right, string wrong,
        string expected)
    {
        var json = SmallVocabulary.Resource("small-tokenizer.json");
        var at = right.Contains("WordPiece", StringComparison.Ordinal)
            ? json.LastIndexOf(right, StringComparison.Ordinal) : json.IndexOf(right, StringComparison.Ordinal);
        Assert.That(at, Is.GreaterThan(0));
        var path = folder.Write("tokenizer.json", json[..at] + wrong + json[(at + right.Length)..]);
        Assert.That(() => WordPieceTokenizer.Load(path),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path).And.Message.Contains(expected));
    }
}
