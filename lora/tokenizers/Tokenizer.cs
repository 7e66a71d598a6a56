using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>A text, or a pair of texts, as the model reads it.</summary>
/// <param name="Ids">The token ids, those that frame the texts included.</param>
/// <param name="SecondSegment">
/// Where the tokens of type 1 begin, those of the second text; the number of ids where there are
/// none.
/// </param>
/// <param name="IsTruncated">Whether a part of the texts was left out.</param>
internal readonly record struct EncodedText(int[] Ids, int SecondSegment, bool IsTruncated);

/// <summary>
/// Cuts texts into the tokens of a vocabulary, and puts around them what the model expects.
/// Instances are immutable and may be used from any thread.
/// </summary>
internal abstract partial class Tokenizer
{
    private const int DefaultMaxLength = 512;

    /// <summary>
    /// Whether of a text that is too long the end is kept, and not the beginning: the
    /// truncation_side "left" of the tokenizer's files.
    /// </summary>
    public bool KeepsEnd { get; private protected set; }

    /// <summary>
    /// The tokens of a text at most where the caller does not say it: the model_max_length of the
    /// tokenizer's files, or 512.
    /// </summary>
    public int MaxLength => GivenMaxLength ?? DefaultMaxLength;

    /// <summary>What the tokenizer's files say about it; null where they say nothing.</summary>
    internal int? GivenMaxLength { get; private protected set; }

    /// <summary>transformers' class for it, as its files say; null where they say none.</summary>
    internal string? ClassName { get; private protected set; }

    /// <summary>Entries of the vocabulary.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>Id of the token that masks others, −1 where there is none.</summary>
    public abstract int MaskId { get; }

    /// <summary>
    /// Id of the token for what is in no other one, −1 where nothing is unknown.
    /// </summary>
    public abstract int UnknownId { get; }

    /// <summary>The token of an id, spelled as in the vocabulary.</summary>
    /// <param name="id">An id of this vocabulary.</param>
    public abstract string TokenOf(int id);

    /// <summary>The id of a token of the vocabulary, spelled as there.</summary>
    /// <returns>The id, or −1 if the vocabulary lacks it.</returns>
    public abstract int IdOf(string token);

    /// <summary>Whether an id is none of a text's own, such as [PAD] or [CLS].</summary>
    /// <param name="id">An id of this vocabulary.</param>
    public abstract bool IsSpecial(int id);

    /// <summary>Whether a token continues a word.</summary>
    /// <param name="id">An id of this vocabulary.</param>
    public abstract bool Continues(int id);

    /// <summary>The text of ids, as far as it is known.</summary>
    /// <param name="ids">Ids of this vocabulary.</param>
    /// <param name="skipSpecial">Leaves out what is none of the text's own.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public abstract string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true);

    /// <summary>
    /// Refuses the tokenizer files of a folder, such as an adapter's, that would give other ids
    /// than this tokenizer. A folder without any is in order.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="InputException">
    /// The message names the file and what differs in it.
    /// </exception>
    public abstract void RequireAgreement(string folder);

    /// <summary>Writes the files that Hugging Face's AutoTokenizer makes it of again.</summary>
    /// <param name="folder">A folder that exists.</param>
    /// <param name="maxLength">The tokens of a text at most.</param>
    /// <param name="className">
    /// transformers' class for such a model's tokenizer, where the files that it was read from say
    /// none; null: not known.
    /// </param>
    /// <exception cref="InputException">They cannot be written.</exception>
    public abstract void SaveInto(string folder, int maxLength, string? className = null);

    /// <summary>Encodes a text, or a pair of texts.</summary>
    /// <param name="text">Any string.</param>
    /// <param name="second">Any string; null: a text alone.</param>
    /// <param name="maxLength">
    /// At most so many ids, those that frame the texts included; of longer texts the end is left
    /// out, or with <see cref="KeepsEnd"/> the beginning. Of a pair the longer one is cut first.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// maxLength is less than what frames the texts.
    /// </exception>
    public abstract EncodedText EncodeIds(string text, string? second, int maxLength);

    /// <summary>Encodes a text, or a pair of texts, with the spelling of every token.</summary>
    /// <param name="text">Any string.</param>
    /// <param name="maxLength">At most so many ids.</param>
    /// <param name="second">The second text of a pair; null: a text alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// maxLength is less than what frames the texts.
    /// </exception>
    public TokenizedText Encode(string text, int maxLength = DefaultMaxLength, string? second = null)
    {
        var encoded = EncodeIds(text, second, maxLength);
        return new TokenizedText(encoded.Ids, [.. encoded.Ids.Select(TokenOf)], encoded.IsTruncated)
        {
            SecondSegment = encoded.SecondSegment,
        };
    }

    /// <summary>What to do about a tokenizer that gives other tokens than the model's.</summary>
    private protected const string Remedy = "Name the model that the adapter was trained on, or remove the tokenizer's "
        + "files from its folder if they belong to another one.";

    /// <summary>Refuses another side or length of truncation than this tokenizer's.</summary>
    /// <param name="its">As an adapter's files say; nulls for what they do not say.</param>
    /// <param name="source">The files.</param>
    private protected void RequireSameTruncation((bool? KeepsEnd, int? MaxLength) its, string source)
    {
        if ((its.KeepsEnd ?? KeepsEnd) != KeepsEnd)
        {
            throw new InputException($"{source}: of a text that is too long its tokenizer keeps the "
                + $"{End(!KeepsEnd)}, the model's the {End(KeepsEnd)} (truncation_side). {Remedy}");
        }
        // a model whose files say no length keeps as many tokens as it has positions
        if (GivenMaxLength is { } length && its.MaxLength is { } itsLength && length != itsLength)
        {
            throw new InputException($"{source}: its tokenizer keeps {itsLength} tokens of a text, the model's "
                + $"{length} (model_max_length). {Remedy}");
        }

        static string End(bool keepsEnd) => keepsEnd ? "end" : "beginning";
    }

    /// <summary>
    /// How many tokens of each text of a pair are kept, as Hugging Face's tokenizers cut them
    /// (longest_first): a text that is shorter than half the room is kept whole, and the other one
    /// has what is left; of two longer ones each has half, the longer one the odd token. No more of
    /// a text is counted than the words that it takes to have as many tokens as the whole pair may
    /// have, for that many are cut before the two are compared.
    /// </summary>
    /// <param name="first">The first text's tokens, so counted.</param>
    /// <param name="second">The second text's.</param>
    /// <param name="room">For both together.</param>
    private protected static (int First, int Second) LongestFirst(int first, int second, int room)
    {
        if ((long)first + second <= room)
        {
            return (first, second);
        }
        var (shorter, longer) = (Math.Min(first, second), Math.Max(first, second));
        (shorter, longer) = (long)shorter + Math.Max(shorter, room - shorter) <= room ? (shorter, room - shorter)
            : (room / 2, room - room / 2);
        return first > second ? (longer, shorter) : (shorter, longer);
    }

    /// <summary>
    /// So many tokens of a text: the first, or with <see cref="KeepsEnd"/> the last ones.
    /// </summary>
    private protected ReadOnlySpan<int> Kept(ReadOnlySpan<int> tokens, int count) =>
        KeepsEnd ? tokens[^count..] : tokens[..count];
}
