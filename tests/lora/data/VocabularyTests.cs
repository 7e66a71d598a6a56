using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

public class VocabularyTests
{
    private static readonly string[] Specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    // hug 10, pug 5, pun 12, bun 4: u+g 15, u+n 16, h+u 10, p+u 17, b+u 4.
    [Test]
    public void Small_words_give_the_pieces_that_counting_by_hand_gives()
    {
        var words = new Dictionary<string, long> { ["hug"] = 10, ["pug"] = 5, ["pun"] = 12, ["bun"] = 4 };
        string[] characters = ["b", "h", "p", "##g", "##n", "##u"];
        // p ##u (17) joins to pu; then pu+##n has 12, h+##u 10 = ##u+##g 10 (h is the older left piece), pu+##g 5,
        // b+##u 4 = ##u+##n 4 …
        string[] joined = ["pu", "pun", "hu", "hug", "pug", "bu", "bun"];
        Assert.That(VocabularyTrainer.Train(words, new VocabularyOptions(100)),
            Is.EqualTo((string[])[.. Specials, .. characters, .. joined]));
        Assert.That(VocabularyTrainer.Train(words, new VocabularyOptions(16)), Has.Count.EqualTo(16));
        // b comes 4 times, h 10: hug and bun have unknown letters. g comes 15 times, but of the words that are left
        // pu+##g only 5.
        Assert.That(VocabularyTrainer.Train(words, new VocabularyOptions(100, MinimumFrequency: 11)),
            Is.EqualTo((string[])[.. Specials, "p", "##g", "##n", "##u", "pu", "pun"]));
    }

    [Test]
    public void Letters_that_repeat_are_joined_without_overlap()
    {
        var words = new Dictionary<string, long> { ["xaaaaa"] = 3, ["xa"] = 1 };
        // ##a+##a comes four times in the first word: 12, against 4 of x+##a. Joined, it leaves x ##aa ##aa ##a: three
        // pairs of 3, and the oldest left piece is x.
        Assert.That(VocabularyTrainer.Train(words, new VocabularyOptions(100)).Skip(5),
            Is.EqualTo(new[] { "x", "##a", "##aa", "xaa", "##aaa", "xaaaaa" }));
    }

    [Test]
    public void Incremental_counts_choose_what_counting_anew_chooses()
    {
        var random = new RandomStream(7);
        for (var round = 0; round < 20; round++)
        {
            var words = new Dictionary<string, long>();
            for (var i = 0; i < 60; i++)
            {
                words[string.Concat(Enumerable.Range(0, 1 + random.NextBelow(9))
                    .Select(_ => (char)('a' + random.NextBelow(3))))] = 1 + random.NextBelow(6);
            }
            Assert.That(VocabularyTrainer.Train(words, new VocabularyOptions(60)),
                Is.EqualTo(ByCountingAnew(words, 60)), $"round {round}");
        }
    }

    [Test]
    public void Every_word_of_the_texts_is_known_and_the_size_is_kept()
    {
        var texts = Sentences(300);
        foreach (var size in (int[])[60, 100, 300])
        {
            var pieces = Learn(texts, new VocabularyOptions(size));
            Assert.That(pieces, Has.Count.LessThanOrEqualTo(size).And.Count.GreaterThan(50).And.Unique);
            Assert.That(pieces.Take(5), Is.EqualTo(Specials));
            var tokenizer = WordPieceTokenizer.FromVocabulary(pieces);
            Assert.That(texts.SelectMany(text => tokenizer.Encode(text).Pieces), Has.None.EqualTo("[UNK]"));
        }
        var (small, large) = (Coverage(100), Coverage(300));
        Assert.That(large.TokensPerWord, Is.LessThan(small.TokensPerWord).And.GreaterThanOrEqualTo(1));
        Assert.That(large.WholeShare, Is.GreaterThan(small.WholeShare));

        VocabularyCoverage Coverage(int size) =>
            VocabularyCoverage.Measure(WordPieceTokenizer.FromVocabulary(Learn(texts, new VocabularyOptions(size))),
                Sentences(50, seed: 9));
    }

    [Test]
    public void The_order_of_the_texts_does_not_matter()
    {
        var texts = Sentences(200);
        Assert.That(Learn(texts.Reverse(), new VocabularyOptions(200)),
            Is.EqualTo(Learn(texts, new VocabularyOptions(200))));
    }

    [Test]
    public void Words_are_those_of_the_tokenizer()
    {
        string[] texts = ["Don't STOP, naïve café-goers!", "中文 [SEP] x\u0000y " + new string('w', 101) + " don"];
        var counter = new WordCounter(texts);
        foreach (var text in texts)
        {
            counter.Add(text);
        }
        string[] once = ["'", "t", "stop", ",", "naive", "cafe", "-", "goers", "!", "中", "文", "xy"];
        Assert.That(counter.Counts, Is.EquivalentTo(once.ToDictionary(word => word, _ => 1L).Append(new("don", 2))));
    }

    [Test]
    public void Of_too_many_distinct_words_the_rarest_are_forgotten()
    {
        string[] texts = ["the the the cat cat", "one two three four the"];
        var counter = new WordCounter(texts, mostWords: 4);
        foreach (var text in texts)
        {
            counter.Add(text);
        }
        Assert.That(counter.Counts["the"], Is.EqualTo(4));
        Assert.That(counter.Counts["cat"], Is.EqualTo(2));
        Assert.That(counter.Counts, Has.Count.LessThanOrEqualTo(4));
    }

    [Test]
    public void Rare_characters_are_unknown_and_waste_no_entries()
    {
        string[] texts = ["abc abc abc abd abd ж", "abc ☃"];
        var pieces = Learn(texts, new VocabularyOptions(50, AlphabetLimit: 3));
        Assert.That(pieces.SkipWhile(piece => piece.StartsWith('[')),
            Is.EqualTo(new[] { "a", "##b", "##c", "ab", "abc" }));
        Assert.That(WordPieceTokenizer.FromVocabulary(pieces).Encode("abc abd ☃").Pieces,
            Is.EqualTo(new[] { "[CLS]", "abc", "[UNK]", "[UNK]", "[SEP]" }));
    }

    [Test]
    public void A_size_below_the_alphabet_is_refused() =>
        Assert.That(() => Learn(Sentences(300), new VocabularyOptions(20)),
            Throws.TypeOf<InputException>().With.Message.Contains("Option 'size' is 20").And.Message
                .Contains("option 'alphabet'"));

    private static IReadOnlyList<string> Learn(IEnumerable<string> texts, VocabularyOptions options)
    {
        var all = texts.ToArray();
        var counter = new WordCounter(all);
        foreach (var text in all)
        {
            counter.Add(text);
        }
        return VocabularyTrainer.Train(counter.Counts, options);
    }

    private static string[] Sentences(int count, ulong seed = 1)
    {
        var random = new RandomStream(seed);
        string[] stems = ["walk", "talk", "jump", "quiz", "view", "paint", "expect", "laugh"],
            ends = ["", "s", "ed", "ing", "er", "able"];
        return [.. Enumerable.Range(0, count)
            .Select(_ => string.Join(' ',
                Enumerable.Range(0, 6).Select(_ => stems[random.NextBelow(stems.Length)]
                    + ends[random.NextBelow(ends.Length)])) + ".")];
    }

    /// <summary>
    /// The definition: count all pairs, join the most frequent one, smaller ids first; again.
    /// </summary>
    private static List<string> ByCountingAnew(Dictionary<string, long> words, int size)
    {
        var cut = words.Select(word =>
            (Pieces: word.Key.Select((c, i) => i == 0 ? $"{c}" : $"##{c}").ToList(), Count: word.Value)).ToList();
        var pieces = Specials.Concat(cut.SelectMany(word => word.Pieces).Distinct()
            .OrderBy(piece => piece.StartsWith('#')).ThenBy(piece => piece, StringComparer.Ordinal)).ToList();
        while (pieces.Count < size)
        {
            var counts = new Dictionary<(int, int), long>();
            foreach (var (word, count) in cut)
            {
                for (var i = 1; i < word.Count; i++)
                {
                    counts[(pieces.IndexOf(word[i - 1]), pieces.IndexOf(word[i]))] =
                        counts.GetValueOrDefault((pieces.IndexOf(word[i - 1]), pieces.IndexOf(word[i]))) + count;
                }
            }
            if (counts.Count == 0 || counts.Values.Max() < 2)
            {
                return pieces;
            }
            var (left, right) = counts.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).First().Key;
            var joined = pieces[left] + pieces[right][2..];
            foreach (var (word, _) in cut)
            {
                for (var i = 1; i < word.Count; i++)
                {
                    if (word[i - 1] == pieces[left] && word[i] == pieces[right])
                    {
                        word[i - 1] = joined;
                        word.RemoveAt(i);
                    }
                }
            }
            if (!pieces.Contains(joined))
            {
                pieces.Add(joined);
            }
        }
        return pieces;
    }
}
