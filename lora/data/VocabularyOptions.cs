using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>What a learned vocabulary is to be like.</summary>
/// <param name="Size">Entries at most, the five special tokens included.</param>
/// <param name="MinimumFrequency">
/// A character or a pair that comes less often in the texts becomes no piece.
/// </param>
/// <param name="AlphabetLimit">
/// Distinct characters at most: the most frequent ones, of equally frequent ones those of the
/// smaller code point. Words with others are unknown.
/// </param>
internal sealed record VocabularyOptions(int Size, int MinimumFrequency = 2, int AlphabetLimit = 1000)
{
    /// <summary>Refuses values that make no sense.</summary>
    /// <exception cref="InputException">The message names the option.</exception>
    public void Check()
    {
        Require(Size >= 16, "size", Size, "at least 16: five special tokens, the characters, and pieces of several");
        Require(MinimumFrequency >= 1, "min-frequency", MinimumFrequency, "at least 1");
        Require(AlphabetLimit >= 1, "alphabet", AlphabetLimit, "at least 1");
    }

    private static void Require(bool holds, string option, int found, string expected)
    {
        if (!holds)
        {
            throw new InputException($"Option '{option}' is {found}; expected {expected}.");
        }
    }
}

/// <summary>How a vocabulary does on texts.</summary>
/// <param name="Words">Words and punctuation marks.</param>
/// <param name="Tokens">Pieces that they are cut into.</param>
/// <param name="Unknown">Words that are [UNK].</param>
/// <param name="Whole">Words that are one piece.</param>
internal sealed record VocabularyCoverage(long Words, long Tokens, long Unknown, long Whole)
{
    /// <summary>Pieces of a word in the mean.</summary>
    public double TokensPerWord => (double)Tokens / Math.Max(Words, 1);

    /// <summary>Share of the tokens that are [UNK].</summary>
    public double UnknownShare => (double)Unknown / Math.Max(Tokens, 1);

    /// <summary>Share of the words that are one piece.</summary>
    public double WholeShare => (double)Whole / Math.Max(Words, 1);

    /// <summary>Measures a tokenizer on texts that its vocabulary was not learned from.</summary>
    public static VocabularyCoverage Measure(WordPieceTokenizer tokenizer, IEnumerable<string> texts)
    {
        long words = 0, tokens = 0, unknown = 0, cut = 0;
        foreach (var text in texts)
        {
            var ids = tokenizer.EncodeIds(text, int.MaxValue).AsSpan()[1..^1];
            tokens += ids.Length;
            for (var i = 0; i < ids.Length; i++)
            {
                if (tokenizer.Continues(ids[i]))
                {
                    continue;
                }
                words++;
                unknown += ids[i] == tokenizer.UnknownId ? 1 : 0;
                cut += i + 1 < ids.Length && tokenizer.Continues(ids[i + 1]) ? 1 : 0;
            }
        }
        return new VocabularyCoverage(words, tokens, unknown, words - cut - unknown);
    }
}
