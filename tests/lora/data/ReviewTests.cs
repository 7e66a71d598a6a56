using System.Security.Cryptography;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>
/// The movie reviews as they were published: read, and encoded beside the oracle.
/// </summary>
internal class ReviewTests
{
    private static TextDataset? train, test;

    private static TextDataset Load(DatasetSplit split)
    {
        ref var slot = ref split == DatasetSplit.Train ? ref train : ref test;
        return slot ??= TextDataset.Load(RealData.Path("imdb/aclImdb_labelled.tar.gz"), split);
    }

    [OneTimeTearDown]
    public void Forget() => (train, test) = (null, null);

    [Test]
    public void Both_halves_have_25000_reviews_balanced_and_labelled_as_their_ratings_say([Values] DatasetSplit split)
    {
        var reviews = Load(split);
        Assert.That(reviews.CountPerLabel(), Is.EqualTo([12_500, 12_500]));
        Assert.That(reviews.Describe(), Is.EqualTo("25,000 examples (neg 12,500, pos 12,500)"));
        Assert.That(reviews.Examples.Select(e => e.Origin),
            Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        foreach (var example in reviews.Examples)
        {
            var rating = int.Parse(Path.GetFileNameWithoutExtension(example.Origin).Split('_')[1],
                System.Globalization.CultureInfo.InvariantCulture);
            Assert.That(example.Label, Is.EqualTo(rating > 5 ? 1 : 0), example.Origin);
        }
    }

    [Test]
    public void The_ids_of_a_thousand_reviews_are_the_oracles_also_when_encoded_in_parallel()
    {
        var reviews = Load(DatasetSplit.Test);
        var firsts = reviews.Examples.GroupBy(e => e.Label).OrderBy(g => g.Key).SelectMany(g => g.Take(500));
        var encoded = new TextDataset(firsts, reviews.Labels, reviews.Source).Encode(RealData.Tokenizer);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var example in encoded.Examples)
        {
            TokenizerOracleTests.Add(hash, example.TokenIds);
        }
        Assert.That(encoded.Examples, Has.Count.EqualTo(1000));
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset()),
            Is.EqualTo("8b8df05a4e782883478b99ea267e912fe2e78657e2997da8fecf68a189085cb9"));
    }
}
