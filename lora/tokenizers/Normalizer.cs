using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// One way to change a text before it is cut, as a tokenizer.json names it under "normalizer".
/// ToString says everything about it that changes a text, so that two can be compared.
/// </summary>
internal abstract record Normalizer
{
    private const string Supported = "Sequence, BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, "
        + "Replace, Prepend, Nmt, Precompiled";

    /// <summary>The changed text.</summary>
    /// <param name="text">Without half surrogate pairs.</param>
    public abstract string Apply(string text);

    /// <summary>Reads a normalizer.</summary>
    /// <exception cref="InputException">It is none that is supported.</exception>
    public static Normalizer Read(Setting setting)
    {
        var type = setting["type"];
        switch (type.Text())
        {
            case "Sequence":
                setting.RequireOnly("type", "normalizers");
                return new NormalizerSequence([.. setting["normalizers"].RequiredItems().Select(Read)]);
            case "BertNormalizer":
                setting.RequireOnly("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase");
                var lower = setting["lowercase"].Flag();
                return new BertNormalizer(setting["clean_text"].Flag(), setting["handle_chinese_chars"].Flag(),
                    setting["strip_accents"].Flag(otherwise: lower), lower);
            case "NFC" or "NFD" or "NFKC" or "NFKD":
                setting.RequireOnly("type");
                return new NormalizationForm(type.Text());
            case "Lowercase":
                setting.RequireOnly("type");
                return new Lowercase();
            case "StripAccents":
                setting.RequireOnly("type");
                return new StripAccents();
            case "Nmt":
                setting.RequireOnly("type");
                return new Nmt();
            case "Strip":
                setting.RequireOnly("type", "strip_left", "strip_right");
                return new Strip(setting["strip_left"].Flag(), setting["strip_right"].Flag());
            case "Prepend":
                setting.RequireOnly("type", "prepend");
                return new Prepend(setting["prepend"].Text());
            case "Replace":
                setting.RequireOnly("type", "pattern", "content");
                return new Replace(TextPattern.Read(setting["pattern"]), setting["content"].Text());
            case "Precompiled":
                setting.RequireOnly("type", "precompiled_charsmap");
                return new Precompiled(CharacterMap.Read(setting["precompiled_charsmap"]));
            default:
                throw type.Unsupported(Supported);
        }
    }

    private protected static string Filtered(string text, Func<int, bool> isKept)
    {
        var kept = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (isKept(rune.Value))
            {
                kept.Append(rune.ToString());
            }
        }
        return kept.Length == text.Length ? text : kept.ToString();
    }

    private protected static string Mapped(string text, Func<int, string?> target)
    {
        var mapped = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            mapped.Append(target(rune.Value) ?? rune.ToString());
        }
        return mapped.ToString();
    }
}

/// <summary>One after the other.</summary>
internal sealed record NormalizerSequence(Normalizer[] Steps) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text) => Steps.Aggregate(text, (changed, step) => step.Apply(changed));

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(", ", Steps.Select(step => step.ToString()))}]";
}

/// <summary>BERT's: clean, put ideographs apart, strip accents, lower, each if wanted.</summary>
internal sealed record BertNormalizer(bool Clean, bool Ideographs, bool Accents, bool Lower) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text)
    {
        if (Clean)
        {
            text = Mapped(text, c => UnicodeTables.Dropped.Contains(c) ? ""
                : UnicodeTables.Cleaned.Contains(c) ? " " : null);
        }
        if (Ideographs)
        {
            text = Mapped(text, c => UnicodeTables.Ideograph.Contains(c) ? $" {new Rune(c)} " : null);
        }
        if (Accents)
        {
            text = Filtered(NormalizationForms.Decompose(text, compatible: false),
                c => !UnicodeTables.Accent.Contains(c));
        }
        return Lower ? Mapped(text, UnicodeTables.Lower.Of) : text;
    }
}

/// <summary>NFC, NFD, NFKC or NFKD.</summary>
internal sealed record NormalizationForm(string Form) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text)
    {
        var decomposed = NormalizationForms.Decompose(text, compatible: Form.Length == 4);
        return Form[^1] == 'C' ? NormalizationForms.Compose(decomposed) : decomposed;
    }
}

/// <summary>Lowers every code point by itself.</summary>
internal sealed record Lowercase : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text) => Mapped(text, UnicodeTables.Lower.Of);
}

/// <summary>Takes combining marks away; those of composed letters stay.</summary>
internal sealed record StripAccents : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text) => Filtered(text, c => !UnicodeTables.Mark.Contains(c));
}

/// <summary>Takes white space away at the ends.</summary>
internal sealed record Strip(bool Left, bool Right) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text)
    {
        var (first, last) = (0, text.Length);                           // no white space is a surrogate pair
        while (Left && first < last && UnicodeTables.Space.Contains(text[first]))
        {
            first++;
        }
        while (Right && first < last && UnicodeTables.Space.Contains(text[last - 1]))
        {
            last--;
        }
        return text[first..last];
    }
}

/// <summary>Puts a text before another one that is not empty.</summary>
internal sealed record Prepend(string Prefix) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text) => text.Length == 0 ? text : Prefix + text;
}

/// <summary>Puts a text in the place of others.</summary>
internal sealed record Replace(TextPattern Pattern, string Content) : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text)
    {
        StringBuilder? replaced = null;
        var end = 0;
        for (var at = 0; Pattern.Find(text, at) is { } match; at = match.End)
        {
            replaced ??= new StringBuilder(text.Length);
            replaced.Append(text, end, match.Start - end).Append(Content);
            end = match.End;
        }
        return replaced is null ? text : replaced.Append(text, end, text.Length - end).ToString();
    }
}

/// <summary>
/// SentencePiece's cleaning for machine translation: no control characters, plain spaces.
/// </summary>
internal sealed record Nmt : Normalizer
{
    /// <inheritdoc/>
    public override string Apply(string text) => Mapped(text, c => c switch
    {
        >= 0x01 and <= 0x08 or 0x0B or >= 0x0E and <= 0x1F or 0x7F or 0x8F or 0x9F => "",
        0x09 or 0x0A or 0x0C or 0x0D or 0x1680 or >= 0x200B and <= 0x200F or 0x2028 or 0x2029 or 0x2581 or 0xFEFF
            or 0xFFFD => " ",
        _ => null,
    });
}

/// <summary>SentencePiece's own map of characters.</summary>
internal sealed record Precompiled(CharacterMap Map) : Normalizer
{
    private const int LongestWhole = 5;                                 // bytes

    /// <summary>
    /// A short grapheme cluster becomes what its shortest beginning that is in the map becomes, its
    /// rest included; of a long one every code point what it becomes itself.
    /// </summary>
    public override string Apply(string text)
    {
        var mapped = new StringBuilder(text.Length);
        for (var rest = text.AsSpan(); rest.Length > 0;)
        {
            var cluster = rest[..Graphemes.FirstLength(rest)];
            rest = rest[cluster.Length..];
            if (cluster.Length <= LongestWhole && Encoding.UTF8.GetByteCount(cluster) <= LongestWhole
                && Map.Of(cluster) is { } whole)
            {
                mapped.Append(whole);
                continue;
            }
            while (cluster.Length > 0)
            {
                Rune.DecodeFromUtf16(cluster, out _, out var units);
                if (Map.Of(cluster[..units]) is { } one)
                {
                    mapped.Append(one);
                }
                else
                {
                    mapped.Append(cluster[..units]);
                }
                cluster = cluster[units..];
            }
        }
        return mapped.ToString();
    }
}
