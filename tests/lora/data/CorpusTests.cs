using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

[Parallelizable]
public class CorpusTests
{
    [Test]
    public void Excluded_and_repeated_texts_are_left_out_and_counted()
    {
        using var folder = new TemporaryFolder();
        var first = folder.Write("first.jsonl", """
            {"text": "a good film"}
            {"text": " a  good\tfilm "}
            {"text": "in the test"}
            {"text": "in  the test"}
            {"text": "In the test"}
            """);
        var second = folder.Write("second.csv", "text,label\nanother,1\na good film,0\n");
        var test = folder.Write("test.csv", "text,label\n  in the\u00A0test,1\nelsewhere,0\n");
        var corpus = TextCorpus.Load([first, second], [test]);
        Assert.That(corpus.Texts, Is.EqualTo(new[] { "a good film", "In the test", "another" }),
            "letters count, white space does not");
        Assert.That(corpus.Sources,
            Is.EqualTo(new[] { new CorpusSource(first, 5, 2, 2, 1, 1), new CorpusSource(second, 2, 1, 0, 0, 1) }));
        Assert.That(corpus.ExcludedTexts, Is.EqualTo(2));
    }

    [Test]
    public void Of_the_movie_reviews_train_is_data_and_test_is_excluded()
    {
        using var folder = new TemporaryFolder();
        folder.Write("train/pos/0_9.txt", "only to train");
        folder.Write("train/neg/0_1.txt", "in both");
        folder.Write("test/pos/0_8.txt", "in both");
        folder.Write("test/neg/0_2.txt", "only to test");
        Assert.That(TextCorpus.Load([folder.Root], [folder.Root]).Texts, Is.EqualTo(new[] { "only to train" }));
        Assert.That(TextCorpus.Load([folder.Root], []).Texts, Is.EqualTo(new[] { "in both", "only to train" }));
    }

    [Test]
    public void When_nothing_is_left_the_message_says_where_it_went()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("all.csv", "text,label\nx,1\ny,0\n");
        Assert.That(() => TextCorpus.Load([path], [path]),
            Throws.TypeOf<InputException>().With.Message
                .Contains("all.csv (2 texts; 2 (2 distinct) also in the excluded data"));
    }

    [Test]
    public void The_real_reviews_have_the_overlaps_that_are_known()
    {
        var corpus = TextCorpus.Load(
            [RealData.Path("imdb/imdb_unsup.jsonl.gz"), RealData.Path("imdb/aclImdb_labelled.tar.gz")],
            [RealData.Path("imdb/aclImdb_labelled.tar.gz")]);
        Assert.That(corpus.Sources[0].Read, Is.EqualTo(50_000));
        Assert.That(corpus.Sources[0].ExcludedDistinct, Is.EqualTo(266));
        Assert.That(corpus.Sources[1].Read, Is.EqualTo(25_000));
    }
}
