using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>An example as the model reads it.</summary>
/// <param name="TokenIds">[CLS] … [SEP].</param>
/// <param name="Label">The index of its class, or <see cref="TextExample.NoLabel"/>.</param>
/// <param name="PositionOffset">
/// Of a piece of a longer text: how many of the text's tokens come before it. [CLS] keeps position
/// 0, the others have the positions of their places in the text.
/// </param>
internal readonly record struct EncodedExample(int[] TokenIds, int Label, int PositionOffset = 0)
{
    private readonly int? secondSegment;

    /// <summary>A text whose class is not known.</summary>
    public EncodedExample(EncodedText text) : this(text.Ids, TextExample.NoLabel) =>
        SecondSegment = text.SecondSegment;

    /// <summary>As <see cref="TextExample.Classes"/>.</summary>
    public int[]? Classes { get; init; }

    /// <summary>
    /// Where the tokens of type 1 begin, those of a pair's second text; the number of tokens where
    /// there are none.
    /// </summary>
    public int SecondSegment
    {
        get => secondSegment ?? TokenIds.Length;
        init => secondSegment = value;
    }
}

/// <summary>A data set after the tokenizer.</summary>
/// <param name="Examples">In the order of the examples.</param>
/// <param name="Labels">The classes.</param>
/// <param name="Truncated">
/// How many texts were longer than the maximum length, so that a part of them is missing.
/// </param>
/// <param name="Tokens">The sum of the lengths.</param>
internal sealed record EncodedDataset(IReadOnlyList<EncodedExample> Examples, LabelSet Labels, int Truncated,
    long Tokens)
{
    /// <summary>Whether they are pairs of texts.</summary>
    public bool HasPairs { get; init; }
}

public sealed partial class TextDataset
{
    private const int ChunkSize = 256;

    /// <summary>
    /// Encodes every text once, on all cores; the result does not depend on their number.
    /// </summary>
    /// <param name="tokenizer">The tokenizer of the model.</param>
    /// <param name="maxLength">At most so many tokens of a text, [CLS] and [SEP] included.</param>
    /// <param name="progress">
    /// Called now and then with the number of texts done, from one thread at a time, with rising
    /// numbers; may be null.
    /// </param>
    /// <param name="threads">At most so many threads; 0 for one per core.</param>
    internal EncodedDataset Encode(Tokenizer tokenizer, int maxLength = 512, Action<int>? progress = null,
        int threads = 0)
    {
        var encoded = new EncodedExample[examples.Length];
        var gate = new Lock();
        int done = 0, truncated = 0;
        var tokens = 0L;
        var chunks = (examples.Length + ChunkSize - 1) / ChunkSize;
        Parallel.For(0, chunks, new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : -1 }, chunk =>
        {
            var end = Math.Min(examples.Length, (chunk + 1) * ChunkSize);
            int cut = 0, length = 0;
            for (var i = chunk * ChunkSize; i < end; i++)
            {
                var text = tokenizer.EncodeIds(examples[i].Text, examples[i].TextPair, maxLength);
                encoded[i] = new EncodedExample(text.Ids, examples[i].Label)
                {
                    SecondSegment = text.SecondSegment,
                    Classes = examples[i].Classes,
                };
                cut += text.IsTruncated ? 1 : 0;
                length += text.Ids.Length;
            }
            lock (gate)
            {
                truncated += cut;
                tokens += length;
                done += end - chunk * ChunkSize;
                progress?.Invoke(done);
            }
        });
        return new EncodedDataset(encoded, Labels, truncated, tokens) { HasPairs = HasPairs };
    }
}
