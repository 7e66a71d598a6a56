using System.Text;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// GPT-2's pre-tokenizer: words with the space before them, and a character for every byte of
/// their UTF-8, so that no text is unknown.
/// </summary>
/// <param name="AddPrefixSpace">Whether a space is put before a text that has none.</param>
/// <param name="UseRegex">Whether it is cut into words.</param>
internal sealed record ByteLevel(bool AddPrefixSpace, bool UseRegex) : PreTokenizer
{
    /// <summary>
    /// What a word is: the regular expression that <see cref="FirstLength"/> follows.
    /// </summary>
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>
    /// The character of every byte: itself where it can be seen, else one from U+0100 on.
    /// </summary>
    private static readonly char[] CharacterOf = ComposeCharacters();

    private static readonly Dictionary<char, byte> ByteOf =
        CharacterOf.Select((c, b) => (c, (byte)b)).ToDictionary(pair => pair.c, pair => pair.Item2);

    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        var source = text.Span;
        var needsSpace = AddPrefixSpace && source[0] != ' ';
        if (needsSpace)
        {
            source = string.Concat(" ", source);
        }
        var characters = new char[Encoding.UTF8.GetByteCount(source)];
        Span<byte> utf8 = stackalloc byte[4];
        for (int from = 0, to = 0; from < source.Length;)
        {
            var (start, end) = (to, from + (UseRegex ? FirstLength(source[from..]) : source.Length));
            while (from < end)
            {
                Rune.DecodeFromUtf16(source[from..], out var rune, out var units);
                foreach (var b in utf8[..rune.EncodeToUtf8(utf8)])
                {
                    characters[to++] = CharacterOf[b];
                }
                from += units;
            }
            words.Add(characters.AsMemory(start..to));
        }
    }

    /// <summary>The UTF-16 units of the first match of <see cref="Pattern"/>.</summary>
    /// <param name="text">Not empty; the pattern matches at every place.</param>
    public static int FirstLength(ReadOnlySpan<char> text)
    {
        if (text[0] == '\'' && Contraction(text) is > 0 and var length)
        {
            return length;
        }
        // a space belongs to the word behind it
        var start = text[0] == ' ' && text.Length > 1 && KindAt(text, 1, out _) != UnicodeTables.PatternKind.Space
            ? 1 : 0;
        var kind = KindAt(text, start, out var units);
        int end = start + units, last = start;
        while (end < text.Length && KindAt(text, end, out units) == kind)
        {
            last = end;
            end += units;
        }
        // \s+(?!\S): the last white space before a word is left for it
        return kind == UnicodeTables.PatternKind.Space && end < text.Length && last > start ? last : end;
    }

    /// <summary>The bytes that the characters of tokens stand for.</summary>
    /// <param name="token">A token; what is none of the characters stands for itself.</param>
    /// <param name="bytes">Receives the bytes.</param>
    public static void AddBytes(string token, List<byte> bytes)
    {
        if (token.All(ByteOf.ContainsKey))
        {
            bytes.AddRange(token.Select(c => ByteOf[c]));
        }
        else
        {
            bytes.AddRange(Encoding.UTF8.GetBytes(token));
        }
    }

    private static int Contraction(ReadOnlySpan<char> text) => text[1..] switch
    {
        ['s' or 't' or 'm' or 'd', ..] => 2,
        ['r' or 'v', 'e', ..] or ['l', 'l', ..] => 3,
        _ => 0,
    };

    private static UnicodeTables.PatternKind KindAt(ReadOnlySpan<char> text, int at, out int units)
    {
        Rune.DecodeFromUtf16(text[at..], out var rune, out units);
        return (UnicodeTables.PatternKind)UnicodeTables.PatternKinds[rune.Value];
    }

    private static char[] ComposeCharacters()
    {
        var characters = new char[256];
        var next = 256;
        for (var b = 0; b < 256; b++)
        {
            characters[b] = b is >= '!' and <= '~' or >= '¡' and <= '¬' or >= '®' and <= 'ÿ' ? (char)b : (char)next++;
        }
        return characters;
    }
}
