using LoraScratch.Lora.Tokenizers;


namespace LoraScratch.Lora.Data;

/// <summary>
/// Counts the words of texts, cut and normalized by the tokenizer itself: its vocabulary here is
/// every single character that occurs, so that a text comes out as characters, and a character that
/// continues no word begins the next. Whatever rule the tokenizer has, the words are those that it
/// will look up.
/// </summary>
internal sealed class WordCounter
{
    private readonly WordPieceTokenizer characters;
    private readonly int mostWords;
    private readonly Dictionary<string, long> counts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> bySpan;
    // of one code point at most two UTF-16 units
    private readonly char[] word = new char[2 * WordPieceTokenizer.MaxWordLength];
    private int length;
    // words rarer than this may have been forgotten
    private long dropped;

    /// <param name="texts">All texts that are going to be counted.</param>
    /// <param name="mostWords">
    /// When there are more distinct words, the rarest are forgotten: memory stays bounded.
    /// </param>
    public WordCounter(IEnumerable<string> texts, int mostWords = 2_000_000)
    {
        (this.mostWords, bySpan) = (mostWords, counts.GetAlternateLookup<ReadOnlySpan<char>>());
        characters = WordPieceTokenizer.FromVocabulary(
            [.. WordPieceTokenizer.SpecialNames, .. SingleCharacters(texts)]);
    }

    /// <summary>How often each word came.</summary>
    public IReadOnlyDictionary<string, long> Counts => counts;

    /// <summary>
    /// Adds the words of a text. Words of more than 100 code points, which the tokenizer does not
    /// know, are no words.
    /// </summary>
    public void Add(string text)
    {
        foreach (var id in characters.EncodeIds(text, int.MaxValue))
        {
            var piece = characters.Vocabulary[id];
            var continues = piece.Length > 2 && piece.StartsWith("##", StringComparison.Ordinal);
            if (!continues)
            {
                EndWord();
            }
            if (id < WordPieceTokenizer.SpecialNames.Length)
            {
                continue;
            }
            var character = piece.AsSpan(continues ? 2 : 0);
            character.CopyTo(word.AsSpan(length));
            length += character.Length;
        }
        EndWord();
    }

    private void EndWord()
    {
        if (length == 0)
        {
            return;
        }
        var key = word.AsSpan(0, length);
        bySpan[key] = bySpan.TryGetValue(key, out var count) ? count + 1 : 1;
        length = 0;
        while (counts.Count > mostWords)
        {
            Forget(++dropped);
        }
    }

    private void Forget(long rarest)
    {
        foreach (var (rare, _) in counts.Where(entry => entry.Value <= rarest))
        {
            counts.Remove(rare);
        }
    }

    // Each as it begins a word and as it continues one; what stands alone continues none.
    private static IEnumerable<string> SingleCharacters(IEnumerable<string> texts)
    {
        var seen = new bool[0x110000];
        foreach (var text in texts)
        {
            // half a surrogate pair reads as U+FFFD, and neither is kept
            foreach (var rune in text.EnumerateRunes())
            {
                seen[rune.Value] = true;
            }
        }
        var (begins, continues) = (new SortedSet<int>(), new SortedSet<int>());
        var room = new int[4];
        for (var c = 0; c < seen.Length; c++)
        {
            if (!seen[c])
            {
                continue;
            }
            var (kind, target) = CharacterRules.Uncased.Of(c);
            if (kind == CharacterKind.Rare)
            {
                var several = CharacterRules.Uncased.Expand(c, room).ToArray();
                begins.UnionWith(several);
                continues.UnionWith(several);
            }
            else if (kind is CharacterKind.Word or CharacterKind.Isolated)
            {
                begins.Add(target);
                if (kind == CharacterKind.Word)
                {
                    continues.Add(target);
                }
            }
        }
        return begins.Select(char.ConvertFromUtf32).Concat(continues.Select(c => $"##{char.ConvertFromUtf32(c)}"));
    }
}
