using System.Buffers;
using System.Text;
using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// Byte-pair encoding (Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with
/// Subword Units", 2016): the characters of a word are tokens; of all neighbours that have a merge
/// the ones of the earliest merge become one, the first of them first, until none has.
/// </summary>
internal sealed record BytePairModel : TokenModel
{
    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idOf;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> merges;
    private readonly int[]? byteIds;
    private readonly string? unknown, prefix, suffix;
    private readonly bool fusesUnknown, ignoresMerges;

    [ThreadStatic]
    private static PriorityQueue<(int Place, int Id), (int Rank, int Place)>? queue;

    private BytePairModel(Setting setting)
    {
        vocabulary = ReadVocabulary(setting["vocab"]);
        idOf = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        unknown = setting["unk_token"].TextOrNull();
        if (unknown is not null && !vocabulary.ContainsKey(unknown))
        {
            throw setting["unk_token"].Wrong("a piece of the vocabulary");
        }
        prefix = setting["continuing_subword_prefix"].TextOrNull();
        suffix = setting["end_of_word_suffix"].TextOrNull();
        fusesUnknown = setting["fuse_unk"].Flag(otherwise: false);
        ignoresMerges = setting["ignore_merges"].Flag(otherwise: false);
        byteIds = setting["byte_fallback"].Flag(otherwise: false) ? ByteIdsOf(vocabulary) : null;
        merges = ReadMerges(setting["merges"]);
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <inheritdoc/>
    public override int UnknownId => unknown is null ? -1 : vocabulary[unknown];

    /// <summary>Reads the settings, the vocabulary and the merges.</summary>
    /// <exception cref="InputException">They are wrong.</exception>
    internal static new BytePairModel Read(Setting setting)
    {
        setting.RequireOnly("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
            "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges");
        if (!setting["dropout"].IsNothing && setting["dropout"].Real() != 0)
        {
            throw setting["dropout"].Unsupported("null");
        }
        return new BytePairModel(setting);
    }

    /// <summary>
    /// The ids of the tokens "&lt;0x00&gt;" to "&lt;0xFF&gt;", −1 where the vocabulary lacks one.
    /// </summary>
    internal static int[] ByteIdsOf(Dictionary<string, int> vocabulary) =>
        [.. Enumerable.Range(0, 256).Select(b => vocabulary.GetValueOrDefault($"<0x{b:X2}>", -1))];

    /// <inheritdoc/>
    public override void AddIds(ReadOnlySpan<char> word, List<int> ids)
    {
        if (ignoresMerges && idOf.TryGetValue(word, out var whole))
        {
            ids.Add(whole);
            return;
        }
        var first = ids.Count;
        AddCharacters(word, ids);
        if (ids.Count - first > 1)
        {
            Merge(ids, first);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"BPE unk_token {unknown}, prefix {prefix}, suffix {suffix}, fuse_unk "
        + $"{fusesUnknown}, byte_fallback {byteIds is not null}, ignore_merges {ignoresMerges}";

    /// <summary>What of another one's merges is different; null if nothing is.</summary>
    public string? MergeDifference(BytePairModel other) => merges.Count != other.merges.Count
        ? $"{other.merges.Count} merges, and the model's has {merges.Count}"
        : merges.Any(merge => !other.merges.TryGetValue(merge.Key, out var its) || its != merge.Value)
            ? "other merges than the model's" : null;

    private string Framed(ReadOnlySpan<char> character, int at, bool isLast) =>
        $"{(at > 0 ? prefix : "")}{character}{(isLast ? suffix : "")}";

    private void AddCharacters(ReadOnlySpan<char> word, List<int> ids)
    {
        var pending = false;                                            // an unknown token, not yet added
        for (int at = 0, units; at < word.Length; at += units)
        {
            units = char.IsHighSurrogate(word[at]) ? 2 : 1;
            var character = word.Slice(at, units);
            int id;
            if (string.IsNullOrEmpty(prefix) && string.IsNullOrEmpty(suffix)
                ? idOf.TryGetValue(character, out id)
                : vocabulary.TryGetValue(Framed(character, at, at + units == word.Length), out id))
            {
                if (pending)
                {
                    ids.Add(UnknownId);
                    pending = false;
                }
                ids.Add(id);
                continue;
            }
            if (byteIds is not null && AddBytes(Framed(character, at, at + units == word.Length), byteIds, ids))
            {
                continue;                                               // the pending one comes behind them, as in Rust
            }
            if (unknown is not null)
            {
                if (pending && !fusesUnknown)
                {
                    ids.Add(UnknownId);
                }
                pending = true;
            }
        }
        if (pending)
        {
            ids.Add(UnknownId);
        }
    }

    /// <summary>
    /// Adds a token for every byte, or none where the vocabulary lacks one of them.
    /// </summary>
    internal static bool AddBytes(ReadOnlySpan<char> text, int[] byteIds, List<int> ids)
    {
        var first = ids.Count;
        foreach (var b in Encoding.UTF8.GetBytes(text.ToString()))
        {
            if (byteIds[b] < 0)
            {
                ids.RemoveRange(first, ids.Count - first);
                return false;
            }
            ids.Add(byteIds[b]);
        }
        return true;
    }

    /// <summary>Merges ids[first..].</summary>
    private void Merge(List<int> ids, int first)
    {
        var count = ids.Count - first;
        var rented = ArrayPool<int>.Shared.Rent(3 * count);
        var token = rented.AsSpan(0, count);                            // −1: merged into the one before
        var next = rented.AsSpan(count, count);                         // count: none
        var previous = rented.AsSpan(2 * count, count);
        var pairs = queue ??= new();
        for (var i = 0; i < count; i++)
        {
            (token[i], next[i], previous[i]) = (ids[first + i], i + 1, i - 1);
            Enqueue(token, i - 1, i);
        }
        while (pairs.TryDequeue(out var merge, out _))
        {
            var (left, id) = merge;
            if (token[left] < 0 || next[left] == count)
            {
                continue;
            }
            var right = next[left];
            // the two may have become others since: what counts is what they become
            if (!merges.TryGetValue((token[left], token[right]), out var now) || now.Id != id)
            {
                continue;
            }
            token[left] = id;
            token[right] = -1;
            next[left] = next[right];
            if (next[left] < count)
            {
                previous[next[left]] = left;
                Enqueue(token, left, next[left]);
            }
            if (previous[left] >= 0)
            {
                Enqueue(token, previous[left], left);
            }
        }
        ids.RemoveRange(first, count);
        for (var i = 0; i < count; i = next[i])
        {
            ids.Add(token[i]);
        }
        ArrayPool<int>.Shared.Return(rented);

        void Enqueue(ReadOnlySpan<int> token, int left, int right)
        {
            if (left >= 0 && merges.TryGetValue((token[left], token[right]), out var merge))
            {
                pairs.Enqueue((left, merge.Id), (merge.Rank, left));
            }
        }
    }

    /// <summary>A merge is "left right" or, in newer files, ["left", "right"].</summary>
    private Dictionary<(int, int), (int, int)> ReadMerges(Setting setting)
    {
        if (setting.IsNothing)
        {
            throw setting.Wrong("a list of merges");
        }
        var read = new Dictionary<(int, int), (int, int)>();
        var rank = 0;
        foreach (var merge in setting.Items())
        {
            var parts = merge.Value is { ValueKind: JsonValueKind.Array }
                ? [.. merge.Items().Select(part => part.Text())] : merge.Text().Split(' ');
            if (parts is not [var left, var right])
            {
                throw merge.Wrong("two tokens");
            }
            // a right one that continues a word has a prefix, which the whole has once
            var whole = left + (right.Length >= (prefix?.Length ?? 0) ? right[(prefix?.Length ?? 0)..] : right);
            read[(IdOf(left), IdOf(right))] = (rank++, IdOf(whole));    // of two that are equal the later one counts

            int IdOf(string token) => vocabulary.TryGetValue(token, out var id) ? id : throw new InputException(
                $"{setting.File}: {merge.Name} needs the token '{token}', which the vocabulary lacks. Do the merges "
                    + "and the vocabulary belong together?");
        }
        return read;
    }
}
