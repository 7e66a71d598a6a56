using System.Globalization;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// What Hugging Face's Rust tokenizer knows of the code points: the embedded file unicode.txt,
/// which tests/lora/tokenizers/pipeline/oracle-unicode.mjs measured and wrote. The runtime's own
/// Unicode data is never asked, so neither its version nor InvariantGlobalization changes an id.
/// </summary>
internal static class UnicodeTables
{
    private static readonly Lazy<Dictionary<string, List<string>>> Sections = new(ReadSections);
    private static readonly Lazy<byte[]> LazyPatternKinds = new(ComposePatternKinds);
    private static readonly Lazy<Dictionary<int, int>> LazyClasses = new(ReadClasses);

    /// <summary>\p{L}, \p{N} and \s of byte-level BPE's pattern; else Other.</summary>
    internal enum PatternKind : byte { Other, Letter, Number, Space }

    /// <summary>The kind of each code point.</summary>
    public static byte[] PatternKinds => LazyPatternKinds.Value;

    /// <summary>What is taken away, split at or turned into a space as white space.</summary>
    public static CodePoints Space { get; } = new("space");

    /// <summary>\w of the pre-tokenizer Whitespace.</summary>
    public static CodePoints Word { get; } = new("word");

    /// <summary>What BertPreTokenizer and Punctuation put apart.</summary>
    public static CodePoints Punctuation { get; } = new("punctuation");

    /// <summary>What Digits puts apart.</summary>
    public static CodePoints Numeric { get; } = new("numeric");

    /// <summary>What clean_text takes away.</summary>
    public static CodePoints Dropped { get; } = new("dropped");

    /// <summary>What clean_text turns into a space.</summary>
    public static CodePoints Cleaned { get; } = new("cleaned");

    /// <summary>What handle_chinese_chars puts apart.</summary>
    public static CodePoints Ideograph { get; } = new("ideograph");

    /// <summary>What strip_accents takes away, behind NFD.</summary>
    public static CodePoints Accent { get; } = new("accent");

    /// <summary>What StripAccents takes away.</summary>
    public static CodePoints Mark { get; } = new("mark");

    /// <summary>What lower case is, where it is another.</summary>
    public static CodePointMap Lower { get; } = new("lower");

    /// <summary>NFD, but of Hangul syllables.</summary>
    public static CodePointMap Canonical { get; } = new("canonical");

    /// <summary>NFKD where it is not NFD.</summary>
    public static CodePointMap Compatible { get; } = new("compatible");

    /// <summary>What NFC takes apart, too.</summary>
    public static CodePoints Uncomposed { get; } = new("uncomposed");

    /// <summary>What a grapheme cluster goes on with.</summary>
    public static CodePoints Extend { get; } = new("extend");

    /// <summary>What a grapheme cluster goes on behind.</summary>
    public static CodePoints Prepend { get; } = new("prepend");

    /// <summary>What is no part of a longer grapheme cluster.</summary>
    public static CodePoints Control { get; } = new("control");

    /// <summary>Indic consonants that a linker joins.</summary>
    public static CodePoints Linked { get; } = new("linked");

    /// <summary>Pictographs of at most three bytes, which U+200D joins.</summary>
    public static CodePoints Pictograph { get; } = new("pictograph");

    /// <summary>The rank of a mark's combining class, 0 for what is no such mark.</summary>
    public static int CombiningClass(int codePoint) => LazyClasses.Value.GetValueOrDefault(codePoint);

    /// <summary>The code points of a section, from the first to the last of each range.</summary>
    internal static IEnumerable<(int First, int Last)> Ranges(string section)
    {
        foreach (var entry in Sections.Value[section])
        {
            var dash = entry.IndexOf('-');
            yield return dash < 0 ? (Hex(entry), Hex(entry))
                : (Hex(entry.AsSpan(0, dash)), Hex(entry.AsSpan(dash + 1)));
        }
    }

    /// <summary>The pairs of a section, "A=T+T" or "A=T,T" for neighbours.</summary>
    internal static IEnumerable<(int From, string To)> Pairs(string section)
    {
        foreach (var entry in Sections.Value[section])
        {
            var equals = entry.IndexOf('=');
            var from = Hex(entry.AsSpan(0, equals));
            foreach (var target in entry[(equals + 1)..].Split(','))
            {
                yield return (from++, string.Concat(target.Split('+').Select(c => char.ConvertFromUtf32(Hex(c)))));
            }
        }
    }

    private static int Hex(ReadOnlySpan<char> digits) =>
        int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static byte[] ComposePatternKinds()
    {
        var kinds = new byte[0x110000];
        foreach (var (section, kind) in new[]
            { ("letter", PatternKind.Letter), ("number", PatternKind.Number), ("space", PatternKind.Space) })
        {
            foreach (var (first, last) in Ranges(section))
            {
                kinds.AsSpan(first..(last + 1)).Fill((byte)kind);
            }
        }
        return kinds;
    }

    private static Dictionary<int, int> ReadClasses()
    {
        var classes = new Dictionary<int, int>();
        for (var rank = 1; Sections.Value.ContainsKey($"class {rank}"); rank++)
        {
            foreach (var (first, last) in Ranges($"class {rank}"))
            {
                for (var c = first; c <= last; c++)
                {
                    classes.Add(c, rank);
                }
            }
        }
        return classes;
    }

    private static Dictionary<string, List<string>> ReadSections()
    {
        var sections = new Dictionary<string, List<string>>();
        List<string> entries = [];
        using var stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream("unicode.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('['))
            {
                sections.Add(line[1..^1], entries = []);
            }
            else if (!line.StartsWith('#'))
            {
                entries.AddRange(line.Split(' '));
            }
        }
        return sections;
    }
}

/// <summary>A set of code points, read when it is asked first.</summary>
/// <param name="section">Its name in unicode.txt.</param>
internal sealed class CodePoints(string section)
{
    private readonly Lazy<ulong[]> bits = new(() =>
    {
        var bits = new ulong[0x110000 / 64];
        foreach (var (first, last) in UnicodeTables.Ranges(section))
        {
            for (var c = first; c <= last; c++)
            {
                bits[c / 64] |= 1UL << c % 64;
            }
        }
        return bits;
    });

    /// <summary>Whether a code point is in the set.</summary>
    public bool Contains(int codePoint) => (bits.Value[codePoint / 64] >> codePoint % 64 & 1) != 0;
}

/// <summary>What some code points become, read when it is asked first.</summary>
/// <param name="section">Its name in unicode.txt.</param>
internal sealed class CodePointMap(string section)
{
    private readonly Lazy<Dictionary<int, string>> targets =
        new(() => UnicodeTables.Pairs(section).ToDictionary(pair => pair.From, pair => pair.To));

    /// <summary>All pairs, in the order of the code points.</summary>
    public IEnumerable<KeyValuePair<int, string>> Pairs => targets.Value;

    /// <summary>What a code point becomes; null: it stays.</summary>
    public string? Of(int codePoint) => targets.Value.GetValueOrDefault(codePoint);
}
