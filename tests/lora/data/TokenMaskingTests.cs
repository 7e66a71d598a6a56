using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

[Parallelizable]
public class TokenMaskingTests
{
    private const int Cls = 2, Sep = 3, Mask = 4, FirstWord = 5;

    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Enumerable.Range(0, 100).Select(i => $"w{i}"),
            .. Enumerable.Range(0, 50).Select(i => $"##p{i}")]);

    [Test]
    public void Fifteen_percent_are_chosen_and_replaced_80_10_10()
    {
        var batch = Batch(Rows(2000, 40));
        var masked = new TokenMasking(Tokenizer).Mask(batch, seed: 1, epoch: 1);
        Assert.That(masked.Positions, Has.Length.EqualTo(2000 * 6), "15 % of 40 tokens in every row");
        Assert.That(masked.Positions, Is.Ordered.And.Unique);
        Assert.That(masked.Labels, Is.EqualTo(masked.Positions.Select(place => batch.TokenIds[place])));
        var replaced = masked.Positions.Select(place => masked.Batch.TokenIds[place]).ToArray();
        // Standard deviations of 12,000 draws: 0.37 % and 0.27 %; the bounds are about five of them. A random token is
        // the old one once in 150 draws.
        Assert.That(replaced.Count(id => id == Mask) / 12000.0, Is.EqualTo(0.8).Within(0.018));
        Assert.That(replaced.Zip(masked.Labels).Count(pair => pair.First == pair.Second) / 12000.0,
            Is.EqualTo(0.1 + 0.1 / 150).Within(0.014));
        Assert.That(replaced.Where(id => id != Mask), Has.None.LessThan(FirstWord), "no special token comes in");
        Assert.That(masked.Labels, Has.None.LessThan(FirstWord), "and none is to be guessed");
        var others = Enumerable.Range(0, batch.Tokens).Except(masked.Positions);
        Assert.That(others.All(place => masked.Batch.TokenIds[place] == batch.TokenIds[place]));
    }

    [Test]
    public void Every_place_is_chosen_equally_often()
    {
        var chosen = new int[20];
        var masking = new TokenMasking(Tokenizer);
        foreach (var place in masking.Mask(Batch(Rows(10_000, 20)), 5, 1).Positions)
        {
            chosen[place % 22 - 1]++;
        }
        Assert.That(chosen, Has.All.EqualTo(1500).Within(180), "five standard deviations of 10,000 draws of 15 %");
    }

    [Test]
    public void The_masks_of_a_row_depend_on_seed_epoch_and_number_alone()
    {
        var masking = new TokenMasking(Tokenizer);
        var rows = Rows(6, 30);
        var whole = masking.Mask(Batch(rows), 1, 3);
        var alone = masking.Mask(Batch(rows[4..5], first: 4), 1, 3);
        Assert.That(alone.Positions,
            Is.EqualTo(whole.Positions.Where(place => place / 32 == 4).Select(place => place - 4 * 32)));
        Assert.That(alone.Batch.TokenIds, Is.EqualTo(whole.Batch.TokenIds[(4 * 32)..(5 * 32)]));
        foreach (var (seed, epoch, first) in ((ulong, int, int)[])[(2, 3, 4), (1, 4, 4), (1, 3, 5)])
        {
            Assert.That(masking.Mask(Batch(rows[4..5], first), seed, epoch).Batch.TokenIds,
                Is.Not.EqualTo(alone.Batch.TokenIds));
        }
    }

    [Test]
    public void The_pieces_of_a_word_are_masked_together()
    {
        // Words of 1, 2 and 3 pieces in turn.
        int[] row = [Cls, .. Enumerable.Range(0, 30)
            .SelectMany(w => Enumerable.Range(0, 1 + w % 3).Select(p => p == 0 ? FirstWord + w : 105 + w)), Sep];
        var batch = Batch([.. Enumerable.Repeat(row, 500)]);
        var masked = new TokenMasking(Tokenizer, wholeWords: true).Mask(batch, 1, 1);
        var chosen = masked.Positions.ToHashSet();
        foreach (var place in masked.Positions.Where(place => Tokenizer.Continues(batch.TokenIds[place])))
        {
            Assert.That(chosen, Does.Contain(place - 1), "what comes before in the word");
        }
        foreach (var place in masked.Positions.Where(place => Tokenizer.Continues(batch.TokenIds[place + 1])))
        {
            Assert.That(chosen, Does.Contain(place + 1), "what comes after in the word");
        }
        Assert.That(masked.Positions.Length / 500.0, Is.EqualTo(0.15 * 60).Within(0.3));
        var single = new TokenMasking(Tokenizer).Mask(batch, 1, 1).Positions.ToHashSet();
        Assert.That(single.Any(place => Tokenizer.Continues(batch.TokenIds[place]) && !single.Contains(place - 1)),
            "otherwise pieces are masked alone");
    }

    [Test]
    public void A_short_row_has_one_and_a_row_of_special_tokens_none()
    {
        var masking = new TokenMasking(Tokenizer);
        Assert.That(masking.Mask(Batch([[Cls, 7, Sep]]), 1, 1).Labels, Is.EqualTo(new[] { 7 }));
        Assert.That(masking.CanMask([Cls, 1, Sep]), Is.False);
        Assert.That(masking.CanMask([Cls, 1, 9, Sep]), Is.True);
        Assert.That(() => new TokenMasking(
            WordPieceTokenizer.FromVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])),
                Throws.TypeOf<InputException>().With.Message.Contains("[MASK]"));
    }

    private static int[][] Rows(int count, int words)
    {
        var random = new RandomStream(3);
        return [.. Enumerable.Range(0, count)
            .Select(_ => (int[])[Cls, .. Enumerable.Range(0, words).Select(_ => FirstWord + random.NextBelow(100)),
                Sep])];
    }

    private static PackedBatch Batch(int[][] rows, int first = 0) =>
        PackedBatch.Of([.. rows.Select(ids => new EncodedExample(ids, TextExample.NoLabel))]) with
        {
            RowIndices =
            [.. Enumerable.Range(first, rows.Length)]
        };
}
