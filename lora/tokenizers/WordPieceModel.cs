using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// WordPiece with any settings: a word is cut greedily into the longest pieces of the vocabulary.
/// The usual settings have a class that is faster, <see cref="WordPieceTokenizer"/>.
/// </summary>
internal sealed record WordPieceModel : TokenModel
{
    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idOf;

    private WordPieceModel(Dictionary<string, int> vocabulary, string unknown, string prefix, int maxLength)
    {
        this.vocabulary = vocabulary;
        idOf = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        (Unknown, Prefix, MaxLength) = (unknown, prefix, maxLength);
    }

    /// <summary>The token of a word that cannot be cut.</summary>
    public string Unknown { get; }

    /// <summary>What marks a piece that continues a word.</summary>
    public string Prefix { get; }

    /// <summary>A word of more code points is unknown.</summary>
    public int MaxLength { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <inheritdoc/>
    public override int UnknownId => vocabulary[Unknown];

    /// <summary>Reads the settings and the vocabulary.</summary>
    /// <exception cref="InputException">They are wrong.</exception>
    internal static new WordPieceModel Read(Setting setting)
    {
        setting.RequireOnly("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab");
        var vocabulary = ReadVocabulary(setting["vocab"]);
        var unknown = setting["unk_token"];
        if (!vocabulary.ContainsKey(unknown.Text()))
        {
            throw unknown.Wrong("a piece of the vocabulary");
        }
        return new WordPieceModel(vocabulary, unknown.Text(), setting["continuing_subword_prefix"].Text(),
            setting["max_input_chars_per_word"].Number());
    }

    /// <inheritdoc/>
    public override void AddIds(ReadOnlySpan<char> word, List<int> ids)
    {
        var first = ids.Count;
        if (CodePointsOf(word) > MaxLength)
        {
            ids.Add(UnknownId);
            return;
        }
        var room = new char[Prefix.Length + word.Length];               // the prefix, and the rest of the word
        Prefix.CopyTo(room);
        for (var start = 0; start < word.Length;)
        {
            var end = word.Length;
            int id;
            word[start..].CopyTo(room.AsSpan(Prefix.Length));
            while (!idOf.TryGetValue(
                start == 0 ? word[..end] : room.AsSpan(0, Prefix.Length + end - start), out id))
            {
                end -= char.IsLowSurrogate(word[end - 1]) ? 2 : 1;
                if (end <= start)
                {
                    ids.RemoveRange(first, ids.Count - first);
                    ids.Add(UnknownId);
                    return;
                }
            }
            ids.Add(id);
            start = end;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"WordPiece {Unknown} {Prefix} {MaxLength}";

    private static int CodePointsOf(ReadOnlySpan<char> word)
    {
        var count = 0;
        foreach (var c in word)
        {
            count += char.IsLowSurrogate(c) ? 0 : 1;
        }
        return count;
    }
}
