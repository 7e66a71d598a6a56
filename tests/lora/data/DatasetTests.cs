using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

public class DatasetTests
{
    private static TextDataset Data(params int[] perClass) => new(
        perClass.SelectMany((count, label) => Enumerable.Range(0, count)
            .Select(i => new TextExample($"text {label} {i}", label, $"row {label} {i}"))),
        LabelSet.Numbered(perClass.Length), "data");

    [Test]
    public void Shuffling_is_a_permutation_that_the_seed_decides()
    {
        var data = Data(500, 500);
        var shuffled = data.Shuffle(7).Examples;
        Assert.That(shuffled, Is.EquivalentTo(data.Examples));
        Assert.That(shuffled, Is.EqualTo(data.Shuffle(7).Examples));
        Assert.That(shuffled, Is.Not.EqualTo(data.Shuffle(8).Examples));
        Assert.That(shuffled, Is.Not.EqualTo(data.Examples));
    }

    [Test]
    public void Every_place_is_as_likely_for_every_row()
    {
        const int Rows = 5, Seeds = 20_000;
        var counts = new int[Rows, Rows];
        for (var seed = 0; seed < Seeds; seed++)
        {
            var order = Permutation.Random(Rows, (ulong)seed, Permutation.ShuffleStream);
            for (var place = 0; place < Rows; place++)
            {
                counts[order[place], place]++;
            }
        }
        // A binomial count of mean 4,000 has a standard deviation of 57: five of them are exceeded once in 1.7 million.
        foreach (var count in counts)
        {
            Assert.That(count, Is.EqualTo(Seeds / Rows).Within(5 * 57));
        }
    }

    [Test]
    public void A_class_of_one_row_stays_to_train_on_whatever_the_share()
    {
        // a share of a half: the two classes of one row would each have the largest rest
        var labels = new LabelSet(["one", "many", "other"]);
        TextExample[] rows =
        [
            new("a", 0, "line 1"), new("b", 1, "line 2"), new("c", 1, "line 3"), new("d", 1, "line 4"),
            new("e", 1, "line 5"), new("f", 2, "line 6"),
        ];
        for (var seed = 0UL; seed < 10; seed++)
        {
            var (train, validation) = new TextDataset(rows, labels, "data").Split(0.5, seed);
            Assert.That(train.CountPerLabel(), Is.EqualTo(new[] { 1, 1, 1 }));
            Assert.That(validation.CountPerLabel(), Is.EqualTo(new[] { 0, 3, 0 }));
        }
        Assert.That(() => new TextDataset([rows[0], rows[1], rows[5]], labels, "data").Split(0.5, 1),
            Throws.TypeOf<InputException>().With.Message.Contains("data: every class has one example alone"));
    }

    [Test]
    public void A_random_split_takes_as_many_of_all_alike()
    {
        var data = Data(50, 50);
        var (train, validation) = data.Split(0.2, seed: 1, stratified: false);
        Assert.That((train.Count, validation.Count), Is.EqualTo((80, 20)));
        Assert.That(train.Examples.Concat(validation.Examples), Is.EquivalentTo(data.Examples));
        Assert.That(validation.Examples, Is.EqualTo(data.Split(0.2, 1, stratified: false).Validation.Examples));
        var shares = Enumerable.Range(0, 20).Select(seed =>
            data.Split(0.2, (ulong)seed, stratified: false).Validation.CountPerLabel()[0]).Distinct();
        Assert.That(shares.Count(), Is.GreaterThan(1), "the share of a class hangs on the seed");
    }

    [Test]
    public void A_split_takes_the_same_share_of_every_class_and_loses_nothing()
    {
        var data = Data(100, 300, 7);
        var (train, validation) = data.Split(0.2, seed: 1);
        Assert.That(validation.CountPerLabel(), Is.EqualTo(new[] { 20, 60, 1 }));
        Assert.That(train.Examples.Concat(validation.Examples), Is.EquivalentTo(data.Examples));
        Assert.That(validation.Examples, Is.EqualTo(data.Examples.Where(validation.Examples.Contains)),
            "the order of the data set");
        Assert.That(validation.Examples, Is.EqualTo(data.Split(0.2, seed: 1).Validation.Examples));
        Assert.That(validation.Examples, Is.Not.EqualTo(data.Split(0.2, seed: 2).Validation.Examples));
    }

    [TestCase(0.0)]
    [TestCase(1.0)]
    [TestCase(-0.5)]
    [TestCase(0.01)]
    [TestCase(double.NaN)]
    public void A_split_that_leaves_a_part_empty_is_refused(double fraction) =>
        Assert.That(() => Data(10).Split(fraction, 0),
            Throws.TypeOf<InputException>().With.Message.Contains("leaves one of the two parts empty"));

    [Test]
    public void A_limit_takes_equally_many_of_every_class_as_far_as_they_reach()
    {
        var data = Data(100, 5, 100);
        Assert.That(data.Limit(9, 1).CountPerLabel(), Is.EqualTo(new[] { 3, 3, 3 }));
        Assert.That(data.Limit(45, 1).CountPerLabel(), Is.EqualTo(new[] { 20, 5, 20 }));
        Assert.That(data.Limit(10, 1).CountPerLabel(), Is.EqualTo(new[] { 4, 3, 3 }));
        Assert.That(data.Limit(9, 1).Examples, Is.SubsetOf(data.Limit(45, 1).Examples),
            "a smaller limit takes a part of a larger one");
        Assert.That(data.Limit(9, 1).Examples, Is.Not.EqualTo(data.Limit(9, 2).Examples));
        Assert.That(data.Limit(1000, 1).Examples, Is.EqualTo(data.Examples));
        Assert.That(() => data.Limit(0, 1), Throws.TypeOf<InputException>());
    }

    [Test]
    public void A_class_without_examples_is_named() =>
        Assert.That(Data(2, 0, 1).Describe(), Is.EqualTo("3 examples (0 2, 1 0, 2 1); no example of: 1"));

    [Test]
    public void A_label_set_needs_classes_of_different_names()
    {
        Assert.That(() => new LabelSet([]), Throws.TypeOf<InputException>());
        Assert.That(() => new LabelSet(["a", "b", "a"]),
            Throws.TypeOf<InputException>().With.Message.Contains("Classes 0 and 2"));
        Assert.That(new LabelSet(["1", "0"]).TryFind("0", out var index), Is.True);
        Assert.That(index, Is.EqualTo(1), "a name is no index");
        Assert.That(LabelSet.Sentiment.TryFind("0", out _), Is.False);
    }

    [Test]
    public void Encoding_does_not_depend_on_the_number_of_threads_and_reports_its_progress()
    {
        var data = Data(700, 400);
        var progress = new List<int>();
        var one = data.Encode(SmallVocabulary.Tokenizer, maxLength: 8, threads: 1);
        var four = data.Encode(SmallVocabulary.Tokenizer, maxLength: 8, progress.Add, threads: 4);
        Assert.That(four.Examples.Select(e => e.TokenIds), Is.EqualTo(one.Examples.Select(e => e.TokenIds)));
        Assert.That(four.Examples.Select(e => e.Label), Is.EqualTo(data.Examples.Select(e => e.Label)));
        Assert.That((four.Truncated, four.Tokens), Is.EqualTo((one.Truncated, one.Tokens)));
        Assert.That(one.Tokens, Is.EqualTo(one.Examples.Sum(e => (long)e.TokenIds.Length)));
        Assert.That(one.Truncated,
            Is.EqualTo(data.Examples.Count(e => SmallVocabulary.Tokenizer.EncodeIds(e.Text).Length > 8)).And
                .GreaterThan(0));
        Assert.That(progress, Is.Ordered.And.Count.EqualTo(5));
        Assert.That(progress[^1], Is.EqualTo(1100));
    }
}
