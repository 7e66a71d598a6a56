using System.Buffers;
using System.Text;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// The WordPiece tokenizer of BERT and DistilBERT, with the ids of Hugging Face's Rust tokenizer
/// for every input: clean the text, put ideographs and punctuation apart, and (uncased models)
/// decompose, strip accents and lower; then cut every word greedily into the longest tokens of the
/// vocabulary. A word of more than 100 code points, or with a part that is in no piece, becomes one
/// [UNK]. The name of a special token inside the text, such as "[SEP]", is that token, as in
/// Hugging Face's. Instances are immutable and may be used from any thread.
/// </summary>
/// <remarks>
/// One pass over the text without a normalized copy: a table per vocabulary leads from each UTF-16
/// unit to its kind and to the symbol of what it becomes (<see cref="CharacterRules"/> and
/// <see cref="PieceTrie"/> composed), and a word is a short array of symbols on the stack.
/// </remarks>
internal sealed partial class WordPieceTokenizer : Tokenizer
{
    /// <summary>
    /// A word of more code points than this, counted after normalization, is unknown.
    /// </summary>
    public const int MaxWordLength = 100;

    private const int KindShift = 28, SymbolMask = (1 << KindShift) - 1;

    private readonly string[] pieces;
    private readonly Dictionary<string, int> idOf;
    private readonly CharacterRules rules;
    private readonly PieceTrie trie;
    private readonly int[][] pages;                                     // kind << 28 | symbol of every code point
    private readonly SearchValues<string> specialNames;
    private readonly string[] specials;                                 // longest first

    private WordPieceTokenizer(string[] pieces, bool uncased)
    {
        this.pieces = pieces;
        idOf = new Dictionary<string, int>(pieces.Length, StringComparer.Ordinal);
        for (var id = 0; id < pieces.Length; id++)
        {
            idOf.Add(pieces[id], id);
        }
        Uncased = uncased;
        PadId = idOf["[PAD]"];
        UnknownId = idOf["[UNK]"];
        ClassificationId = idOf["[CLS]"];
        SeparatorId = idOf["[SEP]"];
        specials = [.. SpecialNames.Where(idOf.ContainsKey).OrderByDescending(s => s.Length)];
        specialNames = SearchValues.Create(specials, StringComparison.Ordinal);
        rules = uncased ? CharacterRules.Uncased : CharacterRules.Cased;
        trie = new PieceTrie(pieces, "##");
        pages = ComposePages();
    }

    /// <summary>Whether accents are stripped and letters lowered.</summary>
    public bool Uncased { get; }
    /// <inheritdoc/>
    public override int VocabularySize => pieces.Length;
    /// <summary>Id of [PAD].</summary>
    public int PadId { get; }
    /// <inheritdoc/>
    public override int UnknownId { get; }
    /// <summary>Id of [CLS].</summary>
    public int ClassificationId { get; }
    /// <summary>Id of [SEP].</summary>
    public int SeparatorId { get; }
    /// <summary>The vocabulary: the piece of id i is its element i.</summary>
    public IReadOnlyList<string> Vocabulary => pieces;

    /// <inheritdoc/>
    public override int MaskId => IdOf("[MASK]");

    /// <inheritdoc/>
    public override string TokenOf(int id) => pieces[id];

    /// <inheritdoc/>
    public override int IdOf(string token) => idOf.GetValueOrDefault(token, -1);

    /// <summary>Whether a piece continues a word, spelled "##…".</summary>
    /// <param name="id">An id of this vocabulary.</param>
    public override bool Continues(int id) =>
        pieces[id].Length > 2 && pieces[id].StartsWith("##", StringComparison.Ordinal);

    /// <summary>Whether an id is [PAD], [UNK], [CLS], [SEP] or [MASK].</summary>
    /// <param name="id">An id of this vocabulary.</param>
    public override bool IsSpecial(int id) => specials.Contains(pieces[id]);

    /// <inheritdoc/>
    public override EncodedText EncodeIds(string text, string? second, int maxLength)
    {
        if (second is null)
        {
            var ids = EncodeIds(text, maxLength, out var truncated);
            return new EncodedText(ids, ids.Length, truncated);
        }
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 3);
        var (first, other) = (EncodeIds(text)[1..^1], EncodeIds(second)[1..^1]);
        var (ofFirst, ofSecond) =
            LongestFirst(WholeWords(first, maxLength), WholeWords(other, maxLength), maxLength - 3);
        return new EncodedText(
            [ClassificationId, .. Kept(first, ofFirst), SeparatorId, .. Kept(other, ofSecond), SeparatorId],
            ofFirst + 2, ofFirst + ofSecond < first.Length + other.Length);
    }

    /// <summary>
    /// The tokens of as many words as it takes to have at least so many tokens: a token that was
    /// found in the text by its name is none of the words, but counts.
    /// </summary>
    private int WholeWords(ReadOnlySpan<int> tokens, int count)
    {
        for (var taken = count; taken < tokens.Length; taken++)
        {
            // from either end on, a word ends before the token that does not continue it
            var last = KeepsEnd ? tokens[^taken] : tokens[taken - 1];
            if (!Continues(KeepsEnd ? last : tokens[taken]) && (last == UnknownId || !IsSpecial(last)))
            {
                return taken;
            }
        }
        return tokens.Length;
    }

    /// <summary>[CLS], the pieces of a text, [SEP].</summary>
    public int[] EncodeIds(ReadOnlySpan<char> text, int maxLength = int.MaxValue) => EncodeIds(text, maxLength, out _);

    /// <summary>
    /// The same, and whether a part of the text was left out.
    /// </summary>
    public int[] EncodeIds(ReadOnlySpan<char> text, int maxLength, out bool truncated)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 2);
        // No UTF-16 unit becomes more than three code points, and no code point more than one piece.
        var capacity = (int)Math.Min(maxLength, 3L * text.Length + 2);
        var rented = ArrayPool<int>.Shared.Rent(capacity);
        try
        {
            var writer = new Writer(this, rented.AsSpan(0, capacity - 2), stackalloc int[2 * MaxWordLength]);
            writer.AddText(text);
            truncated = writer.Overflowed;
            return [ClassificationId, .. writer.Oldest, .. writer.Newest, SeparatorId];
        }
        finally
        {
            ArrayPool<int>.Shared.Return(rented);
        }
    }

    /// <summary>
    /// The text of ids: pieces joined by spaces, continuing pieces attached to the one before, no
    /// space before . , ? and !. Case, accents and the exact spaces of the original are gone.
    /// </summary>
    /// <param name="ids">Ids of this vocabulary.</param>
    /// <param name="skipSpecial">Leave out [CLS], [SEP], [PAD], [UNK] and [MASK].</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true)
    {
        var text = new StringBuilder();
        var first = true;
        foreach (var id in ids)
        {
            if ((uint)id >= (uint)pieces.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), id,
                    $"Decode: the vocabulary has ids 0 to {pieces.Length - 1}.");
            }
            var piece = pieces[id];
            if (skipSpecial && specials.Contains(piece))
            {
                continue;
            }
            if (first)
            {
                text.Append(piece);
            }
            else if (piece.StartsWith("##", StringComparison.Ordinal))
            {
                text.Append(piece, 2, piece.Length - 2);
            }
            else
            {
                text.Append(piece is [',' or '.' or '?' or '!', ..] ? "" : " ").Append(piece);
            }
            first = false;
        }
        return text.ToString();
    }

    // Pages where no code point has a rule or a symbol share one page of unknown word characters.
    private int[][] ComposePages()
    {
        var withSymbols = trie.CodePoints.Select(c => c / CharacterRules.PageSize).ToHashSet();
        var unknown = new int[CharacterRules.PageSize];
        var composed = new int[CharacterRules.PageCount][];
        for (var page = 0; page < composed.Length; page++)
        {
            if (!rules.HasRules(page) && !withSymbols.Contains(page))
            {
                composed[page] = unknown;
                continue;
            }
            var entries = composed[page] = new int[CharacterRules.PageSize];
            for (var i = 0; i < entries.Length; i++)
            {
                var (kind, target) = rules.Of(page * CharacterRules.PageSize + i);
                entries[i] = (int)kind << KindShift | trie.SymbolOf(target);
            }
        }
        return composed;
    }
}
