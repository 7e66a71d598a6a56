using LoraScratch.Lora.Data;

namespace LoraScratch.Cli.Demo;

/// <summary>How large the demo is. The defaults take well under a minute on two cores.</summary>
internal sealed record DemoSizes
{
    /// <summary>Reviews of the source domain to train the encoder on, seen once.</summary>
    public int Source { get; init; } = 16_000;

    /// <summary>Reviews of the target domain to adapt it with, seen <see cref="Epochs"/> times.</summary>
    public int Train { get; init; } = 12_800;

    /// <summary>Reviews that choose the best epoch.</summary>
    public int Validation { get; init; } = 1_000;

    /// <summary>Reviews that nothing is chosen by.</summary>
    public int Test { get; init; } = 2_000;

    /// <summary>Passes over the target's reviews, the same for each method.</summary>
    public int Epochs { get; init; } = 3;

    /// <summary>Reviews of a batch.</summary>
    public int Batch { get; init; } = 32;
}

/// <summary>Some reviews as text and as token ids.</summary>
internal sealed record ReviewSplit(Review[] Reviews, EncodedExample[] Examples);

/// <summary>The generated reviews of both domains, and the tokenizer with their words.</summary>
internal sealed class ReviewTask
{
    /// <summary>Names of the classes, by label.</summary>
    public static readonly string[] Labels = ["negative", "positive"];

    /// <summary>Generates everything that a seed names.</summary>
    public ReviewTask(ulong seed, DemoSizes sizes)
    {
        // Two seeds for each seed of the demo: no generator shares its stream with another's.
        var source = new ReviewGenerator(ReviewDomains.Source, new ReviewStyle(), 2 * seed);
        var target = new ReviewGenerator(ReviewDomains.Target, new ReviewStyle(), 2 * seed + 1);
        SourceTrain = Split(source, sizes.Source);
        SourceTest = Split(source, sizes.Test);
        Train = Split(target, sizes.Train);
        Validation = Split(target, sizes.Validation);
        Test = Split(target, sizes.Test);
    }

    /// <summary>One entry for each word, so that vocab.txt is short enough to read; names and words that no review has are [UNK].</summary>
    public static WordPieceTokenizer Tokenizer { get; } = WordPieceTokenizer.FromVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "!", .. Words()]);

    /// <summary>Source domain: what the encoder learns from.</summary>
    public ReviewSplit SourceTrain { get; }

    /// <summary>Source domain: how well it has learned.</summary>
    public ReviewSplit SourceTest { get; }

    /// <summary>Target domain: what adapts it.</summary>
    public ReviewSplit Train { get; }

    /// <summary>Target domain: what chooses the best epoch.</summary>
    public ReviewSplit Validation { get; }

    /// <summary>Target domain: what the table is about.</summary>
    public ReviewSplit Test { get; }

    private static ReviewSplit Split(ReviewGenerator generator, int count)
    {
        var reviews = generator.Next(count);
        return new ReviewSplit(reviews, [.. reviews.Select(review => new EncodedExample(Tokenizer.EncodeIds(review.Text), review.Label))]);
    }

    private static IEnumerable<string> Words() =>
        new[] { ReviewDomains.Source, ReviewDomains.Target }
            .SelectMany(domain => domain.Products.Concat(domain.Nouns).Concat(domain.Judgements.Select(judgement => judgement.Word)).Concat(domain.Occasions.SelectMany(Split)))
            .Concat(ReviewDomains.Good).Concat(ReviewDomains.Bad).Concat(ReviewGenerator.GrammarWords)
            .Distinct().Order(StringComparer.Ordinal);

    private static IEnumerable<string> Split(string occasion) =>
        occasion.ToLowerInvariant().Split([' ', '.'], StringSplitOptions.RemoveEmptyEntries).Where(word => word[0] != '{');
}
