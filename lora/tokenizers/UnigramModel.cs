using System.Buffers;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// A unigram language model (Kudo, "Subword Regularization", 2018): of all ways to cut a word the
/// one whose pieces have the highest sum of log-probabilities, found from the left to the right
/// (Viterbi). A character that is no piece costs ten more than the worst piece and is unknown.
/// </summary>
internal sealed record UnigramModel : TokenModel
{
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, int> vocabulary = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idOf;
    private readonly List<double> scores = [];
    private readonly PieceTrie trie;
    private readonly double unknownScore;
    private readonly int[]? byteIds;

    private UnigramModel(Setting setting)
    {
        idOf = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var pieces = new List<string>();
        foreach (var entry in setting["vocab"].Items())
        {
            if (entry.Items().ToArray() is not [var piece, var score] || piece.Text().Length == 0)
            {
                throw entry.Wrong("a piece and its score");
            }
            if (!vocabulary.TryAdd(piece.Text(), pieces.Count))
            {
                throw entry.Wrong($"a new piece, and '{piece.Text()}' is already id {vocabulary[piece.Text()]}");
            }
            pieces.Add(piece.Text());
            scores.Add(score.Real());
        }
        if (pieces.Count == 0)
        {
            throw setting["vocab"].Wrong("a list of pieces with their scores");
        }
        UnknownId = setting["unk_id"].IsNothing
            ? throw setting["unk_id"].Unsupported("the id of a piece") : setting["unk_id"].Number();
        if (UnknownId >= pieces.Count)
        {
            throw setting["unk_id"].Wrong($"an id of the {pieces.Count} pieces");
        }
        unknownScore = scores.Min() - UnknownPenalty;
        trie = new PieceTrie(pieces, continuationPrefix: null);
        byteIds = setting["byte_fallback"].Flag(otherwise: false) ? BytePairModel.ByteIdsOf(vocabulary) : null;
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <inheritdoc/>
    public override int UnknownId { get; }

    /// <summary>The score of every piece, by its id.</summary>
    public IReadOnlyList<double> Scores => scores;

    /// <summary>Reads the settings and the pieces with their scores.</summary>
    /// <exception cref="InputException">They are wrong.</exception>
    internal static new UnigramModel Read(Setting setting)
    {
        setting.RequireOnly("type", "unk_id", "vocab", "byte_fallback");
        return new UnigramModel(setting);
    }

    /// <inheritdoc/>
    public override void AddIds(ReadOnlySpan<char> word, List<int> ids)
    {
        var rented = ArrayPool<Step>.Shared.Rent(word.Length + 1);
        var best = rented.AsSpan(0, word.Length + 1);                   // best[i] ends before word[i]
        best.Fill(new Step(0, -1, -1));
        for (int start = 0, units; start < word.Length; start += units)
        {
            units = char.IsHighSurrogate(word[start]) ? 2 : 1;
            var till = best[start].Score;
            var (isPiece, node) = (false, PieceTrie.Root);
            for (var end = start; end < word.Length;)
            {
                var length = char.IsHighSurrogate(word[end]) ? 2 : 1;
                var codePoint = length == 2 ? char.ConvertToUtf32(word[end], word[end + 1]) : word[end];
                if (!trie.Step(ref node, trie.SymbolOf(codePoint), out var id))
                {
                    break;
                }
                end += length;
                if (id >= 0)
                {
                    best[end].Offer(scores[id] + till, start, id);
                    isPiece |= end == start + units;
                }
            }
            if (!isPiece)
            {
                best[start + units].Offer(unknownScore + till, start, UnknownId);
            }
        }
        AddPath(word, best, ids);
        ArrayPool<Step>.Shared.Return(rented);
    }

    /// <inheritdoc/>
    public override string ToString() => $"Unigram unk_id {UnknownId}, byte_fallback {byteIds is not null}";

    /// <summary>
    /// Follows the best steps back from the end; unknown neighbours are one token.
    /// </summary>
    private void AddPath(ReadOnlySpan<char> word, ReadOnlySpan<Step> best, List<int> ids)
    {
        var pieces = new Stack<(int Start, int End, int Id)>();
        for (int end = word.Length, start; end > 0; end = start)
        {
            (start, var id) = (best[end].Start, best[end].Id);
            if (id == UnknownId && pieces.TryPeek(out var behind) && behind.Id == UnknownId)
            {
                pieces.Pop();
                pieces.Push((start, behind.End, id));
            }
            else
            {
                pieces.Push((start, end, id));
            }
        }
        foreach (var (start, end, _) in pieces)
        {
            var piece = word[start..end];
            // unknown ones together may be a piece after all, such as the unknown token's own name
            if (idOf.TryGetValue(piece, out var id))
            {
                ids.Add(id);
            }
            else if (byteIds is null || !BytePairModel.AddBytes(piece, byteIds, ids))
            {
                ids.Add(UnknownId);
            }
        }
    }

    private record struct Step(double Score, int Start, int Id)
    {
        public void Offer(double score, int start, int id)
        {
            if (Start < 0 || score > Score)
            {
                (Score, Start, Id) = (score, start, id);
            }
        }
    }
}
