using System.Globalization;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>What is found out about data before a training.</summary>
[Parallelizable]
public class DataReportTests
{
    private static TextDataset Data(params (string Text, string Label)[] rows) => new(rows);

    private static DataReport Report(TextDataset data, int maxLength = 512, double share = 0.1) =>
        DataReport.Of(data, SmallVocabulary.Tokenizer, maxLength, share);

    private static TokenStatistics Tokens(params string[] texts) =>
        TokenStatistics.Of(Data([.. texts.Select(text => (text, "a"))]).Examples, SmallVocabulary.Tokenizer);

    /// <summary>Different texts of so many words that the vocabulary has.</summary>
    private static IEnumerable<(string, string)> Films(int count, string label, int words = 2) =>
        Enumerable.Range(0, count).Select(i => (
            string.Join(' ', Enumerable.Range(0, words).Select(word => (i >> word) % 2 == 0 ? "film" : "movie"))
                + string.Create(CultureInfo.InvariantCulture, $" {label} {i}"), label));

    [Test]
    public void Nothing_is_noteworthy_about_data_in_order()
    {
        var report = Report(Data([.. Films(10, "bad"), .. Films(10, "good")]));
        Assert.That(report.Findings, Is.Empty);
        Assert.That((report.Rows, report.ClassCounts, report.FewestExamples), Is.EqualTo((20, new[] { 10, 10 }, 10)));
    }

    [Test]
    public void Repeated_texts_are_counted_and_those_with_several_labels_too()
    {
        var repeated = Report(Data(("the film", "a"), ("the movie", "b"), ("the  film ", "a"), ("the film", "b"),
            ("the film", "c"), ("The film", "c"), ("the movie", "b"))).Repeated;
        Assert.That((repeated.Examples, repeated.Contradictions), Is.EqualTo((4, 1)));
        Assert.That((repeated.First!.Value.Earlier.Origin, repeated.First.Value.Later.Origin),
            Is.EqualTo(("example 1", "example 3")), "white space apart");
        Assert.That((repeated.FirstContradiction!.Value.Earlier.Origin,
            repeated.FirstContradiction.Value.Later.Origin), Is.EqualTo(("example 1", "example 4")));
        Assert.That(Report(Data(("the film", "a"), ("the movie", "b"))).Repeated,
            Is.EqualTo(new RepeatedTexts(0, null, 0, null)));
    }

    [Test]
    public void Pairs_are_repeated_where_both_texts_are_and_sets_of_labels_contradict_each_other()
    {
        var pairs = TextDataset.OfPairs([("the film", "was good", "a"), ("the film", "was bad", "b"),
            ("the film", "was good", "b")]);
        Assert.That(Report(pairs).Repeated is { Examples: 1, Contradictions: 1 });
        var sets = TextDataset.OfLabelSets([("good", ["a", "b"]), ("good", ["b", "a"]), ("bad", []), ("bad", ["a"])]);
        Assert.That(Report(sets).Repeated is { Examples: 2, Contradictions: 1 });
    }

    [TestCase(0.1, 10, "b")]
    [TestCase(0.05, 20, "b,c")]
    [TestCase(0, 10, "b")]
    public void A_class_is_rare_with_fewer_than_ten_examples_or_too_few_for_the_split(
        double share, int fewest, string rare)
    {
        var report = Report(Data([.. Films(30, "a"), .. Films(9, "b"), .. Films(10, "c")]), share: share);
        Assert.That(report.FewestExamples, Is.EqualTo(fewest));
        Assert.That(string.Join(',', report.RareClasses.Select(label => report.Data.Labels[label])), Is.EqualTo(rare));
        Assert.That(report.Findings, Is.EqualTo(new[] { DataFinding.RareClasses }));
    }

    [Test]
    public void Lengths_are_counted_in_tokens_without_a_limit_and_what_is_longer_is_cut()
    {
        var report = Report(Data([.. Enumerable.Range(1, 20).Select(words =>
            (string.Join(' ', Enumerable.Repeat("film", words)), words % 2 == 0 ? "a" : "b"))]), maxLength: 20);
        var tokens = report.Tokens;
        Assert.That((tokens.Length(0.5), tokens.Length(0.95), tokens.Longest, tokens.Tokens),
            Is.EqualTo((12, 21, 22, 20 * 21 / 2 + 20 * 2)), "[CLS] and [SEP] are two of them");
        Assert.That(report.Cut, Is.EqualTo(2));
        Assert.That(report.Findings, Does.Contain(DataFinding.CutTexts));
        Assert.That(report.Cut, Is.EqualTo(report.Data.Encode(SmallVocabulary.Tokenizer, 20).Truncated));
    }

    [Test]
    public void Unknown_characters_are_named_by_the_examples_that_have_them()
    {
        var tokens = Tokens("the 日本 日", "日", "good film", "");
        Assert.That(tokens.UnknownCharacters.Select(unknown => (unknown.Character.ToString(), unknown.Examples)),
            Is.EqualTo(new[] { ("日", 2), ("本", 1) }));
        Assert.That((tokens.UnknownTokens, tokens.WithUnknown), Is.EqualTo((4, 2)));
        Assert.That(tokens.UnknownShare, Is.EqualTo(4.0 / tokens.Tokens));
    }

    [TestCase("the good film", 3, 0, false)]
    [TestCase("the good actor", 3, 1, false)]
    [TestCase("the bad actor laughs", 4, 2, true)]
    [TestCase("an actor", 2, 2, false, Description = "two words are too few to tell")]
    [TestCase("the film, the movie: A12345B 2024-05-17 99xyz", 4, 0, false, Description = "codes are no words")]
    [TestCase("the film was straßengut", 4, 1, false)]
    [TestCase("весь мир насилья", 3, 3, true)]
    [TestCase("映画はとても良い", 0, 0, true, Description = "no words, and unknown")]
    [TestCase("", 0, 0, false)]
    [TestCase("12345 67", 0, 0, false)]
    public void A_text_of_which_half_is_cut_or_unknown_is_fragmented(string text, int words, int cut, bool isFragmented)
    {
        var tokens = Tokens(text);
        Assert.That((tokens.Words, tokens.CutWords, tokens.Fragmented > 0),
            Is.EqualTo(((long)words, (long)cut, isFragmented)));
    }

    [TestCase("byte-level-bpe")]
    [TestCase("unigram")]
    [TestCase("cased-wordpiece")]
    public void Every_kind_of_tokenizer_can_be_asked(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", SmallVocabulary.Resource($"{name}.json"));
        var tokenizer = Tokenizer.Load(folder.Root);
        // what the tokenizer has as a word of its own after a space, and what it has not
        var space = name switch { "unigram" => "▁", "byte-level-bpe" => "Ġ", _ => "" };
        var word = Enumerable.Range(0, tokenizer.VocabularySize).Select(tokenizer.TokenOf)
            .Select(token => token.TrimStart('Ġ', '▁')).First(token => token.Length > 3
                && token.All(char.IsAsciiLetterLower) && tokenizer.IdOf(space + token) >= 0);
        var data = Data(($"{word} {word} {word}", "a"), ("qzxw zzqx wqjz", "b"));
        var tokens = TokenStatistics.Of(data.Examples, tokenizer);
        Assert.That((tokens.Words, tokens.CutWords, tokens.Fragmented), Is.EqualTo((6L, 3L, 1)), word);
        var odd = TokenStatistics.Of(Data(("ꙮ", "a")).Examples, tokenizer);
        Assert.That(odd.WithUnknown, Is.EqualTo(name == "byte-level-bpe" ? 0 : 1), "bytes are never unknown");
    }

    [Test]
    public void Few_unknown_tokens_and_few_fragmented_texts_are_nothing_to_be_told()
    {
        var films = Films(96, "a").ToArray();
        Assert.That(Report(Data([.. films, .. Films(103, "b"), ("film 日", "b")])).Findings, Is.Empty);
        Assert.That(Report(Data([.. films, .. Films(102, "b"), ("film 日", "b"), ("film 日日", "b")])).Findings,
            Is.EqualTo(new[] { DataFinding.UnknownTokens }));
        (string, string)[] Foreign(int count) =>
            [.. Enumerable.Range(0, count).Select(i => ($"alle actors {i} laughing", "b"))];
        Assert.That(Report(Data([.. films, .. Films(95, "b"), .. Foreign(9)])).Findings, Is.Empty);
        Assert.That(Report(Data([.. films, .. Films(94, "b"), .. Foreign(10)])).Findings,
            Is.EqualTo(new[] { DataFinding.Fragmentation }));
    }

    [Test]
    public void Threads_do_not_change_the_result()
    {
        var data = Data([.. Films(2_000, "a"), .. Enumerable.Range(0, 2_000).Select(i => ($"日 {i} der actor", "b"))]);
        var (one, other) = (Report(data), Report(data));
        Assert.That((one.Tokens.Tokens, one.Tokens.Words, one.Tokens.CutWords, one.Tokens.Fragmented,
            one.Tokens.UnknownTokens), Is.EqualTo((other.Tokens.Tokens, other.Tokens.Words, other.Tokens.CutWords,
                other.Tokens.Fragmented, other.Tokens.UnknownTokens)));
        Assert.That(one.Tokens.UnknownTokens, Is.EqualTo(2_000));
        Assert.That(one.Tokens.Words, Is.EqualTo(2_000 * 3 + 2_000 * 2));
    }

    [Test]
    public void Texts_of_another_data_set_are_counted_white_space_apart()
    {
        var train = Data(("the film", "a"), ("the movie", "b"));
        var test = Data(("the  film", "a"), ("the play", "b"), ("the film ", "b"));
        Assert.That(test.CountAlsoIn(train), Is.EqualTo(2));
        Assert.That(train.CountAlsoIn(test), Is.EqualTo(1));
        var report = DataReport.Of(train, SmallVocabulary.Tokenizer, 512, 0, test);
        Assert.That(report.Leaked, Is.EqualTo(2));
        Assert.That(report.Findings, Does.Contain(DataFinding.Leakage));
    }

    /// <summary>What the program says about its base, measured on what that was made of.</summary>
    [Test]
    public void The_built_in_base_cuts_a_tenth_of_the_words_of_film_reviews()
    {
        var data = TextDataset.Load(RealData.Path("imdb/aclImdb_labelled.tar.gz"));
        var report = DataReport.Of(data, ModelSource.BuiltIn.ReadTokenizer(), 512, 0.1);
        Assert.That(report.Tokens.CutWordShare, Is.EqualTo(PretrainedBase.CutWordShare).Within(0.0005));
        Assert.That(report.Tokens.Fragmented, Is.Zero);
        Assert.That((report.Repeated.Examples, report.Repeated.Contradictions), Is.EqualTo((96, 0)));
        Assert.That(report.Findings, Is.EqualTo(new[] { DataFinding.RepeatedTexts, DataFinding.CutTexts }));
    }
}
