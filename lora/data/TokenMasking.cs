using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>A batch with tokens to guess.</summary>
/// <param name="Batch">With some tokens replaced.</param>
/// <param name="Positions">[masked] Where, counted through the batch.</param>
/// <param name="Labels">[masked] The tokens that stood there.</param>
internal sealed record MaskedBatch(PackedBatch Batch, int[] Positions, int[] Labels);

/// <summary>
/// Chooses the tokens that a model must guess (Devlin et al. 2019, section 3.1): 15 % of the tokens
/// of every row, at least one; of these 80 % become [MASK], 10 % a random token, 10 % stay. Whole
/// words: the pieces of a word are chosen together. What is chosen in a row is a function of the
/// seed, the epoch and the row's number in the data, so that every epoch has other masks (Liu et
/// al. 2019, arXiv 1907.11692) and a run that goes on has those that it would have had.
/// </summary>
internal sealed class TokenMasking
{
    /// <summary>Share of the tokens to guess.</summary>
    public const double Share = 0.15;

    private const float AsMask = 0.8f, AsRandomToken = 0.1f;

    // Each row has its own part of the random stream: 2¹⁶ words, more than the tokens of any row need; the numbers of
    // rows stay below 2²⁸.
    private const int WordsOfRow = 16, WordsOfEpoch = 44;

    private readonly WordPieceTokenizer tokenizer;
    private readonly int maskId;
    private readonly int[] ordinary;                    // ids of all but the special tokens

    /// <param name="tokenizer">Its vocabulary must have [MASK].</param>
    /// <param name="wholeWords">Whether the pieces of a word are masked together.</param>
    /// <exception cref="InputException">
    /// The vocabulary lacks [MASK], or has nothing but special tokens.
    /// </exception>
    public TokenMasking(WordPieceTokenizer tokenizer, bool wholeWords = false)
    {
        (this.tokenizer, WholeWords, maskId) = (tokenizer, wholeWords, tokenizer.IdOf("[MASK]"));
        ordinary = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => !tokenizer.IsSpecial(id))];
        if (maskId < 0)
        {
            throw new InputException("The vocabulary has no [MASK], which stands for the tokens to guess. Take one "
                + "that 'lora vocabulary' or BERT made.");
        }
        if (ordinary.Length == 0)
        {
            throw new InputException("The vocabulary has special tokens only; there would be nothing to guess.");
        }
    }

    /// <summary>Whether the pieces of a word are masked together.</summary>
    public bool WholeWords { get; }

    /// <summary>
    /// Whether a row has a token to guess; one of [CLS], [SEP] and [UNK] alone has none.
    /// </summary>
    /// <param name="ids">The row.</param>
    public bool CanMask(ReadOnlySpan<int> ids)
    {
        foreach (var id in ids)
        {
            if (!tokenizer.IsSpecial(id))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Masks a batch.</summary>
    /// <param name="batch">With the numbers of its rows; it is left as it is.</param>
    /// <param name="seed">Names the random numbers.</param>
    /// <param name="epoch">Each has masks of its own.</param>
    public MaskedBatch Mask(PackedBatch batch, ulong seed, int epoch)
    {
        if (batch.RowIndices.Length != batch.Rows)
        {
            throw new ArgumentException($"Mask: the batch has {batch.Rows} rows and {batch.RowIndices.Length} numbers "
                + "of rows; one each is needed.", nameof(batch));
        }
        var ids = (int[])batch.TokenIds.Clone();
        var (places, labels) = (new List<int>(), new List<int>());
        for (var row = 0; row < batch.Rows; row++)
        {
            var random = new RandomStream(seed,
                ((ulong)epoch << WordsOfEpoch) + ((ulong)batch.RowIndices[row] << WordsOfRow));
            foreach (var place in Choose(batch.TokenIds.AsSpan(batch.Offsets[row]..batch.Offsets[row + 1]), random))
            {
                var at = batch.Offsets[row] + place;
                places.Add(at);
                labels.Add(ids[at]);
                ids[at] = random.NextUniform() switch
                {
                    < AsMask => maskId,
                    < AsMask + AsRandomToken => ordinary[random.NextBelow(ordinary.Length)],
                    _ => ids[at],
                };
            }
        }
        return new MaskedBatch(batch with { TokenIds = ids }, [.. places], [.. labels]);
    }

    /// <summary>The tokens of a row to guess, in their order.</summary>
    private List<int> Choose(ReadOnlySpan<int> row, RandomStream random)
    {
        var units = new List<(int First, int Length)>();            // what is chosen as a whole: a word or a token
        var tokens = 0;
        for (var i = 0; i < row.Length; i++)
        {
            if (tokenizer.IsSpecial(row[i]))
            {
                continue;
            }
            tokens++;
            if (WholeWords && tokenizer.Continues(row[i]) && units.Count > 0 && units[^1].First + units[^1].Length == i)
            {
                units[^1] = (units[^1].First, units[^1].Length + 1);
            }
            else
            {
                units.Add((i, 1));
            }
        }
        var wanted = Math.Max(1, (int)Math.Round(Share * tokens, MidpointRounding.AwayFromZero));
        var chosen = new List<int>();
        // The beginning of a Fisher–Yates shuffle, until there are enough; a word that would be too many is passed
        // over, unless it would be the first.
        for (var i = 0; i < units.Count && chosen.Count < wanted; i++)
        {
            var j = i + random.NextBelow(units.Count - i);
            (units[i], units[j]) = (units[j], units[i]);
            if (chosen.Count == 0 || chosen.Count + units[i].Length <= wanted)
            {
                chosen.AddRange(Enumerable.Range(units[i].First, units[i].Length));
            }
        }
        chosen.Sort();
        return chosen;
    }
}
