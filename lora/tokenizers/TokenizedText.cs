namespace LoraScratch.Lora.Tokenizers;

/// <summary>A text as the model reads it.</summary>
/// <param name="Ids">The token ids: [CLS], the pieces of the text, [SEP].</param>
/// <param name="Pieces">
/// The vocabulary's spelling of every id; "##" marks a piece that continues a word.
/// </param>
/// <param name="Truncated">
/// Whether the text was longer than the room for it, so that a part of it is missing.
/// </param>
internal sealed record TokenizedText(int[] Ids, string[] Pieces, bool Truncated)
{
    /// <summary>
    /// Where the tokens of a pair's second text begin; see <see cref="EncodedText"/>.
    /// </summary>
    public int SecondSegment { get; init; } = Ids.Length;
}
