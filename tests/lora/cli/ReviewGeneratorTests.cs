using LoraScratch.Cli.Demo;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// The generated reviews: reproducible, balanced, and such that neither adjective nor noun alone
/// tells the label.
/// </summary>
public class ReviewGeneratorTests
{
    private static readonly ReviewStyle Noiseless =
        new() { Agreement = 1, Negated = 0, Contrasted = 0, Introduced = 0, Contextual = 1 };

    [Test]
    public void The_same_seed_writes_the_same_reviews_and_another_seed_others()
    {
        var first = new ReviewGenerator(ReviewDomains.Thrillers, new ReviewStyle(), 5).Next(200);
        Assert.That(new ReviewGenerator(ReviewDomains.Thrillers, new ReviewStyle(), 5).Next(200), Is.EqualTo(first));
        Assert.That(new ReviewGenerator(ReviewDomains.Thrillers, new ReviewStyle(), 6).Next(200),
            Is.Not.EqualTo(first));
    }

    [Test]
    public void Both_labels_are_equally_frequent()
    {
        var happy = new ReviewGenerator(ReviewDomains.Thrillers, new ReviewStyle(), 1).Next(4000)
            .Average(review => review.Label);
        Assert.That(happy, Is.EqualTo(0.5).Within(0.04), "five standard deviations of 4000 fair coins");
    }

    [Test]
    public void No_review_of_one_split_is_in_another()
    {
        var task = new ReviewTask(3, new DemoSizes { Train = 3000, Validation = 500, Test = 1000 },
            ModelSource.BuiltIn.ReadTokenizer());
        var texts = task.Train.Reviews.Concat(task.Validation.Reviews).Concat(task.Test.Reviews)
            .Select(review => review.Text).ToArray();
        Assert.That(texts, Is.Unique);
        Assert.That(texts, Has.Length.EqualTo(4500));
    }

    [Test]
    public void A_contextual_adjective_is_good_of_the_story_where_it_is_bad_of_the_disc(
        [ValueSource(nameof(ContextualAdjectives))] string adjective)
    {
        var judgement = ReviewDomains.Thrillers.Judgements.Single(entry => entry.Word == adjective);
        Assert.That(judgement.Praises, Is.Not.Empty);
        Assert.That(judgement.Blames, Has.Length.EqualTo(judgement.Praises.Length));
        Assert.That(judgement.Praises.Intersect(judgement.Blames), Is.Empty);
    }

    [Test]
    public void Without_noise_the_label_is_what_adjective_and_noun_together_say()
    {
        foreach (var review in new ReviewGenerator(ReviewDomains.Thrillers, Noiseless, 4).Next(500))
        {
            var words = Words(review.Text);
            var noun = words.Single(word => ReviewDomains.Thrillers.Nouns.Contains(word));
            var judgement = ReviewDomains.Thrillers.Judgements.First(entry => words.Contains(entry.Word));
            Assert.That(judgement.Nouns(review.Label == 1), Does.Contain(noun), review.Text);
        }
    }

    [Test]
    public void Neither_an_adjective_nor_a_noun_alone_predicts_the_label()
    {
        var reviews = new ReviewGenerator(ReviewDomains.Thrillers, Noiseless, 2).Next(1500);
        foreach (var word in ReviewDomains.Thrillers.Judgements.Select(judgement => judgement.Word)
            .Concat(ReviewDomains.Thrillers.Nouns))
        {
            var with = reviews.Where(review => Words(review.Text).Contains(word)).ToArray();
            var tolerance = 5 * 0.5 / Math.Sqrt(with.Length);
            Assert.That(with.Average(review => review.Label), Is.EqualTo(0.5).Within(tolerance),
                $"'{word}' in {with.Length} reviews: five standard deviations");
        }
    }

    [Test]
    public void Some_opinions_contradict_their_label_so_that_no_model_can_be_always_right()
    {
        var reviews = new ReviewGenerator(ReviewDomains.Thrillers, Noiseless with { Agreement = 0.97f, Contextual = 0 },
            9).Next(1500);
        var wrong = reviews.Average(review => Words(review.Text)
            .Any(word => ReviewDomains.Good.Contains(word)) == (review.Label == 1) ? 0 : 1);
        Assert.That(wrong, Is.EqualTo(0.03).Within(0.02));
    }

    [Test]
    public void The_base_knows_the_words_that_judge()
    {
        var tokenizer = ModelSource.BuiltIn.ReadTokenizer();
        foreach (var word in ReviewDomains.Thrillers.Judgements.Select(judgement => judgement.Word)
            .Concat(ReviewDomains.Thrillers.Nouns).Concat(ReviewDomains.Good).Concat(ReviewDomains.Bad))
        {
            Assert.That(tokenizer.Encode(word).Pieces, Does.Not.Contain("[UNK]"), word);
        }
    }

    private static IEnumerable<string> ContextualAdjectives() =>
        ReviewDomains.Thrillers.Judgements.Select(judgement => judgement.Word);

    private static string[] Words(string text) =>
        text.ToLowerInvariant().Split([' ', '.', ',', '!'], StringSplitOptions.RemoveEmptyEntries);
}
