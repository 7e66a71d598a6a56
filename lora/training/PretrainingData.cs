using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Texts for pretraining, cut into pieces: each piece is [CLS] … [SEP] and attends to itself alone,
/// but its tokens have the positions of their places in the text. So every position that the model
/// has is learned, however short the pieces are; attention to neighbours is learned from short ones
/// in a fraction of the steps that long ones take.
/// </summary>
/// <param name="Train">Pieces of the texts that are trained on.</param>
/// <param name="Validation">Pieces of the held-out examples.</param>
/// <param name="TrainTexts">Texts that are trained on.</param>
/// <param name="ValidationTexts">Texts held out.</param>
internal sealed record PretrainingData(IReadOnlyList<EncodedExample> Train, IReadOnlyList<EncodedExample> Validation,
    int TrainTexts, int ValidationTexts)
{
    private const int ChunkSize = 256;

    /// <summary>Tokens of an epoch.</summary>
    public long Tokens => Train.Sum(piece => (long)piece.TokenIds.Length);

    /// <summary>
    /// Lays texts aside, whole ones, drawn by seed; takes as many of the others as the limit
    /// allows; and cuts both into pieces, on all cores.
    /// </summary>
    /// <param name="texts">Distinct texts.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="masking">Pieces without a token to mask are left out.</param>
    /// <param name="positions">
    /// That the model has; a text that is longer begins with the first again.
    /// </param>
    /// <param name="options">MaxLength (which must be given), Validation, Limit, Seed.</param>
    /// <exception cref="InputException">A part would be empty.</exception>
    public static PretrainingData Prepare(IReadOnlyList<string> texts, WordPieceTokenizer tokenizer,
        TokenMasking masking, int positions, TrainingOptions options)
    {
        var length = options.MaxLength
            ?? throw new ArgumentException("Pretraining needs a length of pieces.", nameof(options));
        var order = Permutation.Random(texts.Count, options.Seed, Permutation.SplitStream);
        var aside = (int)Math.Round(options.Validation * texts.Count, MidpointRounding.AwayFromZero);
        var taken = Math.Min(options.Limit ?? int.MaxValue, texts.Count - aside);
        if (options.Validation > 0 && aside == 0 || taken < 1)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'validation' "
                + $"{options.Validation} of {texts.Count:N0} texts leaves one of the two parts empty. Give more "
                + $"texts, another share, or option 'validation' 0."));
        }
        var train = Pieces(order.AsSpan(aside, taken));
        return train.Count > 0
            ? new PretrainingData(train, Pieces(order.AsSpan(0, aside)), taken, aside)
            : throw new InputException("Option 'data': the texts have no token that the vocabulary knows. Learn a "
                + "vocabulary from them: lora vocabulary.");

        List<EncodedExample> Pieces(ReadOnlySpan<int> numbers)
        {
            var chosen = numbers.ToArray();
            Array.Sort(chosen);
            var cut = new IReadOnlyList<EncodedExample>[chosen.Length];
            Parallel.For(0, (chosen.Length + ChunkSize - 1) / ChunkSize, chunk =>
            {
                for (var i = chunk * ChunkSize; i < Math.Min(chosen.Length, (chunk + 1) * ChunkSize); i++)
                {
                    cut[i] = Cut(tokenizer.EncodeIds(texts[chosen[i]], int.MaxValue), tokenizer, length, positions);
                }
            });
            return [.. cut.SelectMany(pieces => pieces).Where(piece => masking.CanMask(piece.TokenIds))];
        }
    }

    /// <summary>
    /// Cuts a text's tokens, before the beginning of a word where a word would not fit.
    /// </summary>
    /// <param name="ids">[CLS] … [SEP]</param>
    /// <param name="tokenizer">Of these ids.</param>
    /// <param name="length">Tokens of a piece at most, its own [CLS] and [SEP] included.</param>
    /// <param name="positions">That the model has, at least as many as the length.</param>
    internal static IReadOnlyList<EncodedExample> Cut(int[] ids, WordPieceTokenizer tokenizer, int length,
        int positions)
    {
        var pieces = new List<EncodedExample>();
        var room = length - 2;
        for (int first = 1, end; first < ids.Length - 1; first = end)
        {
            end = Math.Min(first + room, ids.Length - 1);
            var begin = end;                                                    // of the word that crosses the end
            while (begin > first && tokenizer.Continues(ids[begin]))
            {
                begin--;
            }
            // else one word fills the piece, and must be cut
            if (begin > first)
            {
                end = begin;
            }
            pieces.Add(new([tokenizer.ClassificationId, .. ids.AsSpan(first, end - first), tokenizer.SeparatorId],
                TextExample.NoLabel, (first - 1) % (positions - length + 1)));
        }
        return pieces;
    }
}
