using System.Runtime.InteropServices;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// A tokenizer as a tokenizer.json describes it, in its steps: added tokens are found, the text
/// between them is normalized, cut into words, and these into tokens of the vocabulary; a frame
/// comes around. It gives the ids of Hugging Face's Rust tokenizer; what it does not follow is
/// refused when the file is read. Instances are immutable and may be used from any thread.
/// </summary>
internal sealed partial class PipelineTokenizer : Tokenizer
{
    private readonly AddedTokens added;
    private readonly Normalizer? normalizer;
    private readonly PreTokenizer? preTokenizer;
    private readonly TokenModel model;
    private readonly Frame frame;
    private readonly string[] tokens;
    private readonly Dictionary<string, int> idOf;
    private readonly HashSet<int> special, addedIds;

    /// <inheritdoc/>
    public override int VocabularySize => tokens.Length;

    /// <inheritdoc/>
    public override int MaskId => MaskToken is { } token ? IdOf(token) : Math.Max(IdOf("<mask>"), IdOf("[MASK]"));

    /// <inheritdoc/>
    public override int UnknownId => model.UnknownId;

    /// <summary>What the files beside the tokenizer.json call the token that masks.</summary>
    private string? MaskToken { get; set; }

    private bool IsByteLevel => HasStep<ByteLevel>(preTokenizer);

    /// <inheritdoc/>
    public override string TokenOf(int id) => tokens[id];

    /// <inheritdoc/>
    public override int IdOf(string token) => idOf.GetValueOrDefault(token, -1);

    /// <inheritdoc/>
    public override bool IsSpecial(int id) => special.Contains(id);

    /// <summary>
    /// Whether a token continues a word: in WordPiece it has the prefix, elsewhere it lacks the
    /// sign for the space before a word.
    /// </summary>
    /// <param name="id">An id of this vocabulary.</param>
    public override bool Continues(int id) => !IsSpecial(id) && (model is WordPieceModel { Prefix: var prefix }
        ? prefix.Length > 0 && tokens[id].Length > prefix.Length
            && tokens[id].StartsWith(prefix, StringComparison.Ordinal)
        : !tokens[id].StartsWith(IsByteLevel ? 'Ġ' : '▁'));

    /// <inheritdoc/>
    public override EncodedText EncodeIds(string text, string? second, int maxLength)
    {
        if (second is null)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, frame.Single.Length);
            var room = maxLength - frame.Single.Length;
            var ids = Cut(text, maxLength);
            int[] all = [.. frame.Single.Before, .. Kept(ids, room), .. frame.Single.After];
            return new EncodedText(all, all.Length, ids.Count > room);
        }
        var pair = frame.Pair;
        if (maxLength < pair.Length)
        {
            throw new InputException($"Option 'maxLength' is {maxLength}; this tokenizer puts {pair.Length} tokens "
                + $"around a pair of texts: give at least {pair.Length + 2}.");
        }
        var (first, other) = (Cut(text, maxLength), Cut(second, maxLength));
        var (firstRoom, otherRoom) = LongestFirst(first.Count, other.Count, maxLength - pair.Length);
        int[] both =
        [
            .. pair.Before, .. Kept(first, firstRoom), .. pair.Between, .. Kept(other, otherRoom), .. pair.After,
        ];
        var typeOne = pair.FirstOfTypeOne is { } index
            ? pair.Before.Length + Math.Min(first.Count, firstRoom) + index : both.Length;
        return new EncodedText(both, typeOne, first.Count > firstRoom || other.Count > otherRoom);
    }

    private ReadOnlySpan<int> Kept(List<int> ids, int room)
    {
        var all = CollectionsMarshal.AsSpan(ids);
        return ids.Count <= room ? all : Kept(all, room);
    }

    /// <summary>
    /// The ids of a text alone: of the words from its beginning, or with KeepsEnd from its end,
    /// that it takes to have at least so many ids, or of all of them.
    /// </summary>
    private List<int> Cut(string text, int enough)
    {
        text = WithoutHalfPairs(text);
        var ids = new List<int>();
        var words = new List<ReadOnlyMemory<char>>();
        var starts = KeepsEnd ? new List<int>() : null;                 // of words, in ids
        List<(int Id, int Start, int End)> verbatim = [], normalized = [];
        added.CutVerbatim(text, verbatim);
        foreach (var (id, start, end) in verbatim)
        {
            if (id >= 0)
            {
                ids.Add(id);
                continue;
            }
            var part = text[start..end];
            part = normalizer?.Apply(part) ?? part;
            normalized.Clear();
            added.CutNormalized(part, normalized);
            foreach (var (token, from, to) in normalized)
            {
                if (token >= 0)
                {
                    ids.Add(token);
                    continue;
                }
                words.Clear();
                if (preTokenizer is null)
                {
                    words.Add(part.AsMemory(from..to));
                }
                else
                {
                    preTokenizer.Split(part.AsMemory(from..to), start == 0 && from == 0, words);
                }
                foreach (var word in words)
                {
                    starts?.Add(ids.Count);
                    model.AddIds(word.Span, ids);
                    if (ids.Count >= enough && !KeepsEnd)
                    {
                        return ids;
                    }
                }
            }
        }
        var first = starts?.FindLastIndex(start => ids.Count - start >= enough) ?? -1;
        return first < 0 ? ids : ids[starts![first]..];
    }

    /// <summary>
    /// Half a surrogate pair has no UTF-8; what takes its place is U+FFFD, as everywhere.
    /// </summary>
    private static string WithoutHalfPairs(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]))
            {
                if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                {
                    return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
                }
                i++;
            }
        }
        return text;
    }

    /// <summary>
    /// The text of ids: WordPiece's pieces are joined as words; elsewhere the signs for a space
    /// become spaces again, and the characters of bytes those bytes.
    /// </summary>
    /// <param name="ids">Ids of this vocabulary.</param>
    /// <param name="skipSpecial">Leaves out what is none of the text's own.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            if ((uint)id >= (uint)tokens.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), id,
                    $"Decode: the vocabulary has ids 0 to {tokens.Length - 1}.");
            }
            if (skipSpecial && IsSpecial(id))
            {
                continue;
            }
            if (IsByteLevel)
            {
                ByteLevel.AddBytes(tokens[id], bytes);
            }
            else if (model is WordPieceModel { Prefix: var prefix })
            {
                var continues = Continues(id);
                text.Append(continues || text.Length == 0 ? "" : " ").Append(tokens[id], continues ? prefix.Length : 0,
                    tokens[id].Length - (continues ? prefix.Length : 0));
            }
            else
            {
                text.Append(tokens[id].Replace('▁', ' '));
            }
        }
        var decoded = IsByteLevel ? Encoding.UTF8.GetString([.. bytes]) : text.ToString();
        return HasStep<Metaspace>(preTokenizer) && decoded.StartsWith(' ') ? decoded[1..] : decoded;
    }

    private static bool HasStep<T>(PreTokenizer? step) where T : PreTokenizer =>
        step is T || step is PreTokenizerSequence sequence && Array.Exists(sequence.Steps, HasStep<T>);
}
