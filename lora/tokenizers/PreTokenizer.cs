using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// One way to cut a text into words, none of whose tokens crosses its ends, as a tokenizer.json
/// names it under "pre_tokenizer". ToString says everything about it that changes a word.
/// </summary>
internal abstract record PreTokenizer
{
    private const string Supported = "Sequence, BertPreTokenizer, ByteLevel, Metaspace, Whitespace, WhitespaceSplit, "
        + "Punctuation, Digits, Split, CharDelimiterSplit";

    /// <summary>Cuts a text.</summary>
    /// <param name="text">Not empty, without half surrogate pairs.</param>
    /// <param name="isFirst">Whether it is the beginning of the whole text.</param>
    /// <param name="words">Receives the words; none is empty.</param>
    public abstract void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words);

    /// <summary>Whether some word depends on being the first of the text.</summary>
    public virtual bool AsksIfFirst => false;

    /// <summary>Reads a pre-tokenizer.</summary>
    /// <exception cref="InputException">It is none that is supported.</exception>
    public static PreTokenizer Read(Setting setting)
    {
        var type = setting["type"];
        switch (type.Text())
        {
            case "Sequence":
                setting.RequireOnly("type", "pretokenizers");
                return new PreTokenizerSequence([.. setting["pretokenizers"].RequiredItems().Select(ReadInSequence)]);
            case "BertPreTokenizer":
                setting.RequireOnly("type");
                return new PreTokenizerSequence([new CharacterSplit("WhitespaceSplit", Delimiter.Removed),
                    new CharacterSplit("Punctuation", Delimiter.Isolated)]);
            case "WhitespaceSplit":
                setting.RequireOnly("type");
                return new CharacterSplit("WhitespaceSplit", Delimiter.Removed);
            case "Whitespace":
                setting.RequireOnly("type");
                return new WordSplit();
            case "Punctuation":
                setting.RequireOnly("type", "behavior");
                return new CharacterSplit("Punctuation", ReadDelimiter(setting["behavior"], Delimiter.Isolated));
            case "Digits":
                setting.RequireOnly("type", "individual_digits");
                return new CharacterSplit("Digits",
                    setting["individual_digits"].Flag() ? Delimiter.Isolated : Delimiter.Contiguous);
            case "CharDelimiterSplit":
                setting.RequireOnly("type", "delimiter");
                return new PatternSplit(new TextPattern($"{setting["delimiter"].Character()}", IsExpression: false),
                    Delimiter.Removed, Invert: false);
            case "Split":
                setting.RequireOnly("type", "pattern", "behavior", "invert");
                return new PatternSplit(TextPattern.Read(setting["pattern"]), ReadDelimiter(setting["behavior"], null),
                    setting["invert"].Flag());
            case "ByteLevel":
                setting.RequireOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                return new ByteLevel(setting["add_prefix_space"].Flag(), setting["use_regex"].Flag(otherwise: true));
            case "Metaspace":
                return Metaspace.Read(setting);
            default:
                throw type.Unsupported(Supported);
        }
    }

    private static PreTokenizer ReadInSequence(Setting setting)
    {
        var step = Read(setting);
        return step.AsksIfFirst
                ? throw setting["prepend_scheme"].Unsupported("'always' or 'never' in a Sequence") : step;
    }

    private static Delimiter ReadDelimiter(Setting setting, Delimiter? otherwise) =>
        setting.Value is null && otherwise is { } value ? value
        : Enum.TryParse<Delimiter>(setting.Text(), out var read) && Enum.GetName(read) == setting.Text() ? read
        : throw setting.Wrong(string.Join(", ", Enum.GetNames<Delimiter>()));
}

/// <summary>One after the other, each on every word of the one before.</summary>
internal sealed record PreTokenizerSequence(PreTokenizer[] Steps) : PreTokenizer
{
    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        List<ReadOnlyMemory<char>> before = [text], after = [];
        foreach (var step in Steps)
        {
            after.Clear();
            foreach (var word in before)
            {
                step.Split(word, isFirst: false, after);
            }
            (before, after) = (after, before);
        }
        words.AddRange(before);
    }

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(", ", Steps.Select(step => step.ToString()))}]";
}

/// <summary>Splits at code points of a class.</summary>
internal sealed record CharacterSplit(string Class, Delimiter Delimiter) : PreTokenizer
{
    private readonly CodePoints delimiters = Class switch
    {
        "Punctuation" => UnicodeTables.Punctuation,
        "Digits" => UnicodeTables.Numeric,
        _ => UnicodeTables.Space,
    };

    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        var splitter = new Splitter(text, Delimiter, words);
        var start = 0;
        for (var i = 0; i < text.Length;)
        {
            Rune.DecodeFromUtf16(text.Span[i..], out var rune, out var units);
            if (delimiters.Contains(rune.Value))
            {
                splitter.Add(start, i, isDelimiter: false);
                splitter.Add(i, i + units, isDelimiter: true);
                start = i + units;
            }
            i += units;
        }
        splitter.Add(start, text.Length, isDelimiter: false);
        splitter.Finish();
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Class} {Delimiter}";
}

/// <summary>
/// Runs of word characters, and of what is neither a word character nor white space.
/// </summary>
internal sealed record WordSplit : PreTokenizer
{
    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        int start = 0, kind = 0;                                        // 0 white space, 1 word, 2 neither
        for (var i = 0; i < text.Length;)
        {
            Rune.DecodeFromUtf16(text.Span[i..], out var rune, out var units);
            var next = UnicodeTables.Word.Contains(rune.Value) ? 1 : UnicodeTables.Space.Contains(rune.Value) ? 0 : 2;
            if (next != kind)
            {
                Add(i);
                (start, kind) = (i, next);
            }
            i += units;
        }
        Add(text.Length);

        void Add(int end)
        {
            if (kind > 0 && end > start)
            {
                words.Add(text[start..end]);
            }
        }
    }
}

/// <summary>Splits at the matches of a pattern, or with Invert at what lies between them.</summary>
internal sealed record PatternSplit(TextPattern Pattern, Delimiter Delimiter, bool Invert) : PreTokenizer
{
    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        var splitter = new Splitter(text, Delimiter, words);
        var end = 0;
        while (Pattern.Find(text.Span, end) is { } match)
        {
            splitter.Add(end, match.Start, isDelimiter: Invert);
            splitter.Add(match.Start, match.End, isDelimiter: !Invert);
            end = match.End;
        }
        splitter.Add(end, text.Length, isDelimiter: Invert);
        splitter.Finish();
    }
}

/// <summary>SentencePiece's: a visible sign for every space, and one before the text.</summary>
internal sealed record Metaspace(char Replacement, string PrependScheme, bool Splits) : PreTokenizer
{
    /// <inheritdoc/>
    public override bool AsksIfFirst => PrependScheme == "first";

    /// <summary>Reads a Metaspace, in old files with add_prefix_space and str_rep.</summary>
    internal static new Metaspace Read(Setting setting)
    {
        setting.RequireOnly("type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep");
        var scheme = setting["prepend_scheme"];
        var name = scheme.Value is null ? "always" : scheme.Text();
        if (name is not ("always" or "first" or "never"))
        {
            throw scheme.Wrong("always, first or never");
        }
        var prefix = setting["add_prefix_space"];
        if (!prefix.IsNothing && !prefix.Flag() && name != "never")
        {
            throw prefix.Unsupported($"true beside the prepend_scheme '{name}'");
        }
        return new Metaspace(setting["replacement"].Character(), name, setting["split"].Flag(otherwise: true));
    }

    /// <inheritdoc/>
    public override void Split(ReadOnlyMemory<char> text, bool isFirst, List<ReadOnlyMemory<char>> words)
    {
        var changed = text.ToString().Replace(' ', Replacement);
        if ((PrependScheme == "always" || PrependScheme == "first" && isFirst) && changed[0] != Replacement)
        {
            changed = Replacement + changed;
        }
        if (Splits)
        {
            new PatternSplit(new TextPattern($"{Replacement}", IsExpression: false), Delimiter.MergedWithNext, false)
                .Split(changed.AsMemory(), isFirst, words);
        }
        else
        {
            words.Add(changed.AsMemory());
        }
    }
}
