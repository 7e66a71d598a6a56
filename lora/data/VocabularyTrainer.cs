using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Learns a WordPiece vocabulary from words and their counts: every word is cut into characters
/// (the first as it is, the others with "##"), and again and again the most frequent pair of
/// neighbours becomes a piece and is joined wherever it stands (Sennrich et al. 2016, arXiv
/// 1508.07909), until the vocabulary is full.
/// <para>
/// The pair is chosen by its count, as Hugging Face's WordPieceTrainer does, and not by the
/// likelihood ratio count(ab) / (count(a)·count(b)) of Schuster and Nakajima (2012): the ratio
/// prefers rare characters that only come together (it would spend entries on "##zz" before it
/// makes "the"), while by counts the common words become whole, which is what a small vocabulary is
/// for. Pairs of equal count are taken in the order of the ids of their left, then their right
/// piece: the older pieces first. The result depends on the words and counts alone.
/// </para>
/// </summary>
internal sealed class VocabularyTrainer
{
    private sealed class Pair
    {
        public long Count;
        public readonly List<int> Words = [];       // every word that has it now, and some that had it
    }

    /// <summary>The larger count first; then the smaller ids.</summary>
    private static readonly Comparer<(long Count, ulong Pair)> MostFrequentFirst =
        Comparer<(long Count, ulong Pair)>.Create((x, y) => x.Count != y.Count
            ? y.Count.CompareTo(x.Count) : x.Pair.CompareTo(y.Pair));

    private readonly List<string> pieces = [.. WordPieceTokenizer.SpecialNames];
    private readonly Dictionary<string, int> idOf = new(StringComparer.Ordinal);
    // word w is symbols[starts[w] .. starts[w] + lengths[w]]
    private readonly int[] symbols, starts, lengths;
    private readonly long[] counts;                             // of the words
    private readonly Dictionary<ulong, Pair> pairs = [];
    private readonly PriorityQueue<ulong, (long Count, ulong Pair)> queue = new(MostFrequentFirst);
    private readonly HashSet<ulong> grown = [];

    private VocabularyTrainer(IReadOnlyDictionary<string, long> words, VocabularyOptions options)
    {
        var alphabet = Alphabet(words, options);
        var known = words.Where(word => word.Key.EnumerateRunes().All(rune => alphabet.Contains(rune.Value)))
            .OrderBy(word => word.Key, StringComparer.Ordinal).ToArray();
        AddCharacters(known.Select(word => word.Key), options);
        (counts, starts, lengths) =
            ([.. known.Select(word => word.Value)], new int[known.Length], new int[known.Length]);
        var all = new List<int>();
        for (var w = 0; w < known.Length; w++)
        {
            starts[w] = all.Count;
            all.AddRange(Characters(known[w].Key).Select(character => idOf[character]));
            lengths[w] = all.Count - starts[w];
        }
        symbols = [.. all];
        for (var w = 0; w < known.Length; w++)
        {
            for (var i = 1; i < lengths[w]; i++)
            {
                Register(Key(symbols[starts[w] + i - 1], symbols[starts[w] + i]), w);
            }
        }
        foreach (var (key, pair) in pairs)
        {
            queue.Enqueue(key, (pair.Count, key));
        }
    }

    /// <summary>Learns a vocabulary.</summary>
    /// <param name="words">
    /// Words as the tokenizer cuts and normalizes them, with their counts.
    /// </param>
    /// <param name="options">Size and limits.</param>
    /// <param name="progress">Called with the number of pieces now and then; may be null.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <returns>
    /// The special tokens, the characters that begin words, those that continue words, each by code
    /// point, and the joined pieces in the order of their making: the frequent ones first. Fewer
    /// than asked for where the texts have no more frequent pairs.
    /// </returns>
    /// <exception cref="InputException">The size does not suffice for the characters.</exception>
    public static IReadOnlyList<string> Train(IReadOnlyDictionary<string, long> words, VocabularyOptions options,
        Action<int>? progress = null, CancellationToken cancellation = default)
    {
        options.Check();
        var trainer = new VocabularyTrainer(words, options);
        while (trainer.pieces.Count < options.Size && trainer.JoinMostFrequent(options.MinimumFrequency))
        {
            cancellation.ThrowIfCancellationRequested();
            if (trainer.pieces.Count % 256 == 0)
            {
                progress?.Invoke(trainer.pieces.Count);
            }
        }
        return trainer.pieces;
    }

    private static HashSet<int> Alphabet(IReadOnlyDictionary<string, long> words, VocabularyOptions options)
    {
        var frequency = new Dictionary<int, long>();
        foreach (var (word, count) in words)
        {
            foreach (var rune in word.EnumerateRunes())
            {
                CollectionsMarshal.GetValueRefOrAddDefault(frequency, rune.Value, out _) += count;
            }
        }
        return [.. frequency.Where(entry => entry.Value >= options.MinimumFrequency)
            .OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key).Take(options.AlphabetLimit)
            .Select(entry => entry.Key)];
    }

    private void AddCharacters(IEnumerable<string> words, VocabularyOptions options)
    {
        var characters = words.SelectMany(Characters).Distinct()
            .OrderBy(piece => piece.Length > 2 && piece.StartsWith("##", StringComparison.Ordinal))
            .ThenBy(piece => piece, StringComparer.Ordinal).ToArray();
        if (pieces.Count + characters.Length > options.Size)
        {
            throw new InputException($"Option 'size' is {options.Size}, and the special tokens and single characters "
                + $"of these texts alone are {pieces.Count + characters.Length}. Take a larger size, or fewer "
                + "characters (option 'alphabet', option 'min-frequency').");
        }
        foreach (var character in characters)
        {
            Add(character);
        }
    }

    private static IEnumerable<string> Characters(string word) =>
        word.EnumerateRunes().Select((rune, i) => i == 0 ? rune.ToString() : $"##{rune}");

    private int Add(string piece)
    {
        idOf.Add(piece, pieces.Count);
        pieces.Add(piece);
        return pieces.Count - 1;
    }

    /// <returns>False when no pair is frequent enough.</returns>
    private bool JoinMostFrequent(int minimum)
    {
        while (queue.TryDequeue(out var key, out var queued))
        {
            if (!pairs.TryGetValue(key, out var pair))
            {
                continue;
            }
            if (pair.Count != queued.Count)
            {
                // Counts that fell are set right when they come up; counts that rise are queued at once.
                queue.Enqueue(key, (pair.Count, key));
                continue;
            }
            if (pair.Count < minimum)
            {
                return false;
            }
            Join(key, pair);
            return true;
        }
        return false;
    }

    private void Join(ulong key, Pair pair)
    {
        var (left, right) = ((int)(key >> 32), (int)key);
        // what stands on the right always continues a word
        var spelling = pieces[left] + pieces[right][2..];
        // "a" + "##bc" and "ab" + "##c" are one piece
        var joined = idOf.TryGetValue(spelling, out var known) ? known : Add(spelling);
        grown.Clear();
        foreach (var word in pair.Words)
        {
            Join(word, left, right, joined);
        }
        pairs.Remove(key);
        foreach (var other in grown)
        {
            if (pairs.TryGetValue(other, out var changed))
            {
                queue.Enqueue(other, (changed.Count, other));
            }
        }
    }

    private void Join(int word, int left, int right, int joined)
    {
        var letters = symbols.AsSpan(starts[word], lengths[word]);
        if (!Has(letters, left, right))
        {
            return;
        }
        for (var i = 1; i < letters.Length; i++)
        {
            pairs[Key(letters[i - 1], letters[i])].Count -= counts[word];
        }
        var length = 0;
        for (var i = 0; i < letters.Length; i++)
        {
            letters[length++] = i + 1 < letters.Length && letters[i] == left && letters[i + 1] == right
                ? Skip(ref i, joined) : letters[i];
        }
        lengths[word] = length;
        for (var i = 1; i < length; i++)
        {
            var key = Key(letters[i - 1], letters[i]);
            if (letters[i - 1] == joined || letters[i] == joined)
            {
                Register(key, word);
                grown.Add(key);
            }
            else
            {
                pairs[key].Count += counts[word];
            }
        }
    }

    private static int Skip(ref int place, int joined)
    {
        place++;
        return joined;
    }

    private static bool Has(ReadOnlySpan<int> letters, int left, int right)
    {
        for (var i = 1; i < letters.Length; i++)
        {
            if (letters[i - 1] == left && letters[i] == right)
            {
                return true;
            }
        }
        return false;
    }

    private void Register(ulong key, int word)
    {
        ref var pair = ref CollectionsMarshal.GetValueRefOrAddDefault(pairs, key, out _);
        pair ??= new Pair();
        pair.Count += counts[word];
        if (pair.Words.Count == 0 || pair.Words[^1] != word)
        {
            pair.Words.Add(word);
        }
    }

    private static ulong Key(int left, int right) => (ulong)left << 32 | (uint)right;
}
