using System.Text;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

public class TokenizerTests
{
    private static readonly string[] Specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    [Test]
    public void A_text_is_encoded_as_its_pieces_between_CLS_and_SEP()
    {
        var encoded = SmallVocabulary.Tokenizer.Encode("The Movie wasn't unaffable, zürich!");
        Assert.That(encoded.Pieces, Is.EqualTo(
            new[] { "[CLS]", "the", "movie", "was", "##n", "'", "t", "un", "##aff", "##able", ",", "z", "##u", "##r",
                "##i", "##c", "##h", "!", "[SEP]" }));
        Assert.That(encoded.Ids.Select(id => SmallVocabulary.Tokenizer.Vocabulary[id]), Is.EqualTo(encoded.Pieces));
        Assert.That(encoded.Truncated, Is.False);
    }

    [TestCase("a\uD800b", "ab")]
    [TestCase("\uDC00\uD800", "")]
    [TestCase("movie \uD83D", "movie ")]
    [TestCase("a\uDE00\uD83D\uDE00b", "a\U0001F600b")]
    public void Half_a_surrogate_pair_is_dropped(string text, string same) =>
        Assert.That(SmallVocabulary.Tokenizer.Encode(text).Ids, Is.EqualTo(SmallVocabulary.Tokenizer.Encode(same).Ids));

    [Test]
    public void A_longer_text_is_cut_so_that_SEP_remains([Range(2, 9)] int maxLength)
    {
        const string Text = "the unaffable movie[MASK]";            // 5 pieces of words and a special token
        var whole = SmallVocabulary.Tokenizer.Encode(Text);
        var cut = SmallVocabulary.Tokenizer.Encode(Text, maxLength);
        Assert.That(whole.Ids, Has.Length.EqualTo(8));
        Assert.That(cut.Truncated, Is.EqualTo(maxLength < 8));
        Assert.That(cut.Ids, Is.EqualTo(whole.Ids.SkipLast(1).Take(maxLength - 1)
            .Append(SmallVocabulary.Tokenizer.SeparatorId)));
    }

    [Test]
    public void There_must_be_room_for_CLS_and_SEP() =>
        Assert.That(() => SmallVocabulary.Tokenizer.Encode("a", 1), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public void A_cased_tokenizer_keeps_case_and_accents()
    {
        var tokenizer = WordPieceTokenizer.FromVocabulary([.. Specials, "Caf", "##é", "caf", "##e", "!", "中"],
            uncased: false);
        Assert.That(tokenizer.Encode("Café! café cafe\u0301 中caf").Pieces,
            Is.EqualTo(new[] { "[CLS]", "Caf", "##é", "!", "caf", "##é", "[UNK]", "中", "caf", "[SEP]" }));
    }

    [Test]
    public void Special_tokens_that_the_vocabulary_lacks_are_text()
    {
        var tokenizer = WordPieceTokenizer.FromVocabulary([.. Specials[..4], "[", "]", "mask"]);
        Assert.That(tokenizer.Encode("[MASK][SEP]").Pieces,
            Is.EqualTo(new[] { "[CLS]", "[", "mask", "]", "[SEP]", "[SEP]" }));
    }

    [Test]
    public void Words_are_cut_as_a_plain_longest_match_does([Range(1, 20)] int seed)
    {
        // Few letters and many pieces, so that prefixes, dead ends and unknown words all occur.
        var random = new Random(seed);
        string Letters(int most) =>
            string.Concat(Enumerable.Range(0, random.Next(1, most)).Select(_ => (char)('a' + random.Next(3))));
        var pieces = Specials.Concat(Enumerable.Range(0, 60).Select(i => (i % 2 == 0 ? "" : "##") + Letters(6)))
            .Distinct().ToArray();
        var tokenizer = WordPieceTokenizer.FromVocabulary(pieces);
        var known = pieces.ToHashSet();
        for (var i = 0; i < 300; i++)
        {
            var word = Letters(15);
            Assert.That(tokenizer.Encode(word).Pieces[1..^1], Is.EqualTo(LongestMatch(word, known)), word);
        }
    }

    private static List<string> LongestMatch(string word, HashSet<string> known)
    {
        var cut = new List<string>();
        for (var start = 0; start < word.Length;)
        {
            var prefix = start == 0 ? "" : "##";
            var length = word.Length - start;
            while (length > 0 && !known.Contains(prefix + word.Substring(start, length)))
            {
                length--;
            }
            if (length == 0)
            {
                return ["[UNK]"];
            }
            cut.Add(prefix + word.Substring(start, length));
            start += length;
        }
        return cut;
    }

    [Test]
    public void Encoding_allocates_nothing_per_word()
    {
        var text = string.Concat(Enumerable.Repeat("The Unaffable Café, wasn't it? ", 40));
        var length = SmallVocabulary.Tokenizer.EncodeIds(text).Length;
        for (var i = 0; i < 50; i++)
        {
            SmallVocabulary.Tokenizer.EncodeIds(text);                  // tiered compilation, the array pool
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        SmallVocabulary.Tokenizer.EncodeIds(text);
        var rest = GC.GetAllocatedBytesForCurrentThread() - before - 4 * length;
        Assert.That(rest, Is.LessThanOrEqualTo(128),
            "some hundred words were encoded: one object for each would be thousands of bytes");
    }

    [Test]
    public void Decoding_an_id_outside_the_vocabulary_says_which_ids_there_are() =>
        Assert.That(() => SmallVocabulary.Tokenizer.Decode([2, 100_000]),
            Throws.InstanceOf<ArgumentOutOfRangeException>()
            .With.Message.Contains($"0 to {SmallVocabulary.Tokenizer.VocabularySize - 1}"));

    [Test]
    public void A_saved_vocabulary_gives_the_same_ids()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Root, "vocab.txt");
        SmallVocabulary.Tokenizer.SaveVocabulary(path);
        var loaded = WordPieceTokenizer.Load(path);
        Assert.That(loaded.Vocabulary, Is.EqualTo(SmallVocabulary.Tokenizer.Vocabulary));
        Assert.That(File.ReadAllBytes(path).Take(3), Is.Not.EqualTo(Encoding.UTF8.Preamble.ToArray()),
            "a byte order mark would be part of the first piece");
        Assert.That(WordPieceTokenizer.Load(folder.Root).VocabularySize, Is.EqualTo(loaded.VocabularySize),
            "a folder with vocab.txt");
    }
}
