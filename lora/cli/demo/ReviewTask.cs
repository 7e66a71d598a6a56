using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Cli.Demo;

/// <summary>How large the demo is. The defaults take well under a minute on two cores.</summary>
internal sealed record DemoSizes
{
    /// <summary>Reviews to adapt the base with, seen <see cref="Epochs"/> times.</summary>
    public int Train { get; init; } = 3_200;

    /// <summary>Reviews that choose the best epoch.</summary>
    public int Validation { get; init; } = 500;

    /// <summary>Reviews that nothing is chosen by.</summary>
    public int Test { get; init; } = 2_000;

    /// <summary>Passes over the reviews, the same for each method.</summary>
    public int Epochs { get; init; } = 3;

    /// <summary>Reviews of a batch.</summary>
    public int Batch { get; init; } = 32;
}

/// <summary>Some reviews as text and as token ids.</summary>
internal sealed record ReviewSplit(Review[] Reviews, EncodedExample[] Examples);

/// <summary>The generated reviews of one seed.</summary>
internal sealed class ReviewTask
{
    /// <summary>Names of the classes, by label.</summary>
    public static readonly string[] Labels = ["negative", "positive"];

    /// <summary>Generates everything that a seed names.</summary>
    public ReviewTask(ulong seed, DemoSizes sizes, Tokenizer tokenizer)
    {
        var generator = new ReviewGenerator(ReviewDomains.Thrillers, new ReviewStyle(), seed);
        Train = Split(sizes.Train);
        Validation = Split(sizes.Validation);
        Test = Split(sizes.Test);

        ReviewSplit Split(int count)
        {
            var reviews = generator.Next(count);
            return new ReviewSplit(reviews, [.. reviews.Select(review => new EncodedExample(
                tokenizer.EncodeIds(review.Text, second: null, tokenizer.MaxLength).Ids, review.Label))]);
        }
    }

    /// <summary>What adapts the base.</summary>
    public ReviewSplit Train { get; }

    /// <summary>What chooses the best epoch.</summary>
    public ReviewSplit Validation { get; }

    /// <summary>What the table is about.</summary>
    public ReviewSplit Test { get; }
}
