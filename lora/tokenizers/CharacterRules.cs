using System.Globalization;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>What the tokenizer does with a code point.</summary>
internal enum CharacterKind
{
    /// <summary>Part of a word.</summary>
    Word = 0,
    /// <summary>A word by itself: punctuation and ideographs.</summary>
    Isolated = 1,
    /// <summary>Ends a word and is not part of one.</summary>
    Space = 2,
    /// <summary>Vanishes: control characters and accents.</summary>
    Dropped = 3,
    /// <summary>
    /// Becomes several code points, or takes part in the ordering of combining marks: see
    /// <see cref="CharacterRules.Expand"/>.
    /// </summary>
    Rare = 4,
}

/// <summary>
/// The BERT normalizer and splitter for every code point, in one step: cleaning, spaces around
/// ideographs, canonical decomposition, removal of accents, lower case, punctuation. The tables are
/// those of the Unicode versions that Hugging Face's Rust tokenizer was built with (it mixes an old
/// version for categories and a new one for decomposition), in the embedded file
/// wordpiece-unicode.txt, which tests/lora/tokenizers/oracle.mjs measured and wrote. The runtime's
/// own Unicode data is never asked, so neither its version nor InvariantGlobalization changes an
/// id.
/// </summary>
internal sealed class CharacterRules
{
    /// <summary>Code points in one page of the tables.</summary>
    public const int PageSize = 256;
    /// <summary>Pages of the whole Unicode range.</summary>
    public const int PageCount = 0x110000 / PageSize;

    private const int TargetMask = (1 << 21) - 1;
    private const int FirstSyllable = 0xAC00, LastSyllable = 0xD7A3;    // Hangul

    private static readonly Lazy<CharacterRules> LazyUncased = new(() => new CharacterRules(uncased: true));
    private static readonly Lazy<CharacterRules> LazyCased = new(() => new CharacterRules(uncased: false));

    // kind << 21 | target; a null page keeps its code points as word characters
    private readonly int[]?[] pages = new int[PageCount][];
    // code point → what it becomes, when that is more than one
    private readonly Dictionary<int, int[]> expansions = [];
    private readonly Dictionary<int, int> combiningClasses = [];        // of the marks that are kept
    // accents of class 0: they vanish, but marks do not move across them
    private readonly HashSet<int> strippedStarters = [];

    private CharacterRules(bool uncased)
    {
        foreach (var (section, entry) in Entries())
        {
            switch (section)
            {
                case "drop": SetRange(entry, CharacterKind.Dropped); break;
                case "space": SetRange(entry, CharacterKind.Space); break;
                case "ideograph" or "punctuation": SetRange(entry, CharacterKind.Isolated); break;
                case "accent" when uncased: SetRange(entry, CharacterKind.Dropped); break;
                case "accent-starter" when uncased:
                    strippedStarters.UnionWith(
                    SetRange(entry, CharacterKind.Rare)); break;
                case "map" when uncased: Map(entry); break;
                case "expand" when uncased: AddExpansion(entry); break;
                case var mark when uncased && mark.StartsWith("mark ", StringComparison.Ordinal):
                    foreach (var c in SetRange(entry, CharacterKind.Rare))
                    {
                        combiningClasses[c] = int.Parse(mark.AsSpan(5), CultureInfo.InvariantCulture);
                    }
                    break;
            }
        }
        for (var c = FirstSyllable; uncased && c <= LastSyllable; c++)
        {
            Set(c, CharacterKind.Rare, c);
        }
    }

    /// <summary>
    /// The rules of the uncased models: accents are stripped and letters lowered.
    /// </summary>
    public static CharacterRules Uncased => LazyUncased.Value;

    /// <summary>The rules of the cased models: text is cleaned and split only.</summary>
    public static CharacterRules Cased => LazyCased.Value;

    /// <summary>
    /// Whether some code point of the page is treated otherwise than as a word character that stays
    /// itself.
    /// </summary>
    public bool HasRules(int page) => pages[page] is not null;

    /// <summary>
    /// The kind of a code point of the text and, for words and isolated characters, the code point
    /// that it becomes.
    /// </summary>
    public (CharacterKind Kind, int Target) Of(int codePoint)
    {
        var page = pages[codePoint / PageSize];
        if (page is null)
        {
            return (CharacterKind.Word, codePoint);
        }
        var rule = page[codePoint % PageSize];
        return ((CharacterKind)(rule >> 21), rule & TargetMask);
    }

    /// <summary>
    /// The code points that a <see cref="CharacterKind.Rare"/> one becomes (word characters all),
    /// at most four.
    /// </summary>
    public ReadOnlySpan<int> Expand(int codePoint, Span<int> room)
    {
        if (codePoint is >= FirstSyllable and <= LastSyllable)
        {
            // A Hangul syllable is (lead · 21 + vowel) · 28 + tail, The Unicode Standard 3.12.
            var index = codePoint - FirstSyllable;
            room[0] = 0x1100 + index / (21 * 28);
            room[1] = 0x1161 + index / 28 % 21;
            room[2] = 0x11A7 + index % 28;
            return room[..(index % 28 == 0 ? 2 : 3)];
        }
        if (expansions.TryGetValue(codePoint, out var several))
        {
            return several;
        }
        room[0] = codePoint;
        return room[..1];
    }

    /// <summary>The canonical combining class of a kept mark, 0 for everything else.</summary>
    public int CombiningClass(int codePoint) => combiningClasses.GetValueOrDefault(codePoint);

    /// <summary>
    /// Whether the code point vanishes but keeps the marks before it and after it apart.
    /// </summary>
    public bool IsStrippedStarter(int codePoint) => strippedStarters.Contains(codePoint);

    private void Set(int codePoint, CharacterKind kind, int target)
    {
        ref var page = ref pages[codePoint / PageSize];
        if (page is null)
        {
            page = new int[PageSize];
            for (var i = 0; i < PageSize; i++)
            {
                page[i] = codePoint / PageSize * PageSize + i;          // Word, itself
            }
        }
        page[codePoint % PageSize] = (int)kind << 21 | target;
    }

    private IEnumerable<int> SetRange(string entry, CharacterKind kind)
    {
        var dash = entry.IndexOf('-');
        var first = Hex(dash < 0 ? entry : entry[..dash]);
        var last = dash < 0 ? first : Hex(entry[(dash + 1)..]);
        for (var c = first; c <= last; c++)
        {
            Set(c, kind, c);
        }
        return Enumerable.Range(first, last - first + 1);
    }

    // "A-B+D" and "A-B/2-D": equal distances; "A=T,T,T": neighbours.
    private void Map(string entry)
    {
        var equals = entry.IndexOf('=');
        if (equals > 0)
        {
            var c = Hex(entry[..equals]);
            foreach (var target in entry[(equals + 1)..].Split(','))
            {
                MapOne(c++, Hex(target));
            }
            return;
        }
        var sign = entry.LastIndexOfAny(['+', '-']);
        var distance = Hex(entry[(sign + 1)..]) * (entry[sign] == '-' ? -1 : 1);
        var range = entry[..sign];
        var stride = range.EndsWith("/2", StringComparison.Ordinal) ? 2 : 1;
        var bounds = (stride == 2 ? range[..^2] : range).Split('-');
        for (int c = Hex(bounds[0]), last = Hex(bounds[1]); c <= last; c += stride)
        {
            MapOne(c, c + distance);
        }
    }

    // What the result is decides whether it stands alone: U+037E becomes a semicolon. An ideograph stands alone
    // whatever it becomes.
    private void MapOne(int codePoint, int target)
    {
        var isolated = Of(codePoint).Kind == CharacterKind.Isolated || Of(target).Kind == CharacterKind.Isolated;
        Set(codePoint, isolated ? CharacterKind.Isolated : CharacterKind.Word, target);
    }

    private void AddExpansion(string entry)
    {
        var equals = entry.IndexOf('=');
        var c = Hex(entry[..equals]);
        Set(c, CharacterKind.Rare, c);
        expansions[c] = [.. entry[(equals + 1)..].Split('+').Select(Hex)];
    }

    private static int Hex(string digits) =>
        int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static IEnumerable<(string Section, string Entry)> Entries()
    {
        using var stream = typeof(CharacterRules).Assembly.GetManifestResourceStream("wordpiece-unicode.txt")!;
        using var reader = new StreamReader(stream);
        var section = "";
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }
            if (line.StartsWith('['))
            {
                section = line[1..^1];
            }
            else
            {
                foreach (var entry in line.Split(' '))
                {
                    yield return (section, entry);
                }
            }
        }
    }
}
