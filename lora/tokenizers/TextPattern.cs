using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// What Replace and Split look for: a text, or one of the regular expressions that tokenizers have,
/// each followed exactly. Others are refused, for no two engines agree about all of them.
/// </summary>
/// <param name="Source">The text or the expression.</param>
/// <param name="IsExpression">Whether it is an expression.</param>
internal sealed record TextPattern(string Source, bool IsExpression)
{
    /// <summary>Two spaces and more, XLM-R's.</summary>
    private const string Spaces = " {2,}";

    /// <summary>White space.</summary>
    private const string WhiteSpace = @"\s+", OneWhiteSpace = @"\s";

    /// <summary>Reads {"String": …} or {"Regex": …}.</summary>
    /// <exception cref="InputException">
    /// It is neither, or an expression that is not known.
    /// </exception>
    public static TextPattern Read(Setting setting)
    {
        setting.RequireOnly("String", "Regex");
        var (text, expression) = (setting["String"], setting["Regex"]);
        if (text.IsNothing)
        {
            return expression.Text() is Spaces or WhiteSpace or OneWhiteSpace or ByteLevel.Pattern
                ? new TextPattern(expression.Text(), IsExpression: true)
                : throw expression.Unsupported($"'{Spaces}', '{WhiteSpace}', '{OneWhiteSpace}' or GPT-2's expression");
        }
        if (!expression.IsNothing)
        {
            throw setting.Wrong("a String or a Regex, not both");
        }
        return text.Text().Length > 0 ? new TextPattern(text.Text(), IsExpression: false) : throw text.Wrong("a text");
    }

    /// <summary>The first match from a place on; it is never empty.</summary>
    /// <returns>Null if there is none.</returns>
    public (int Start, int End)? Find(ReadOnlySpan<char> text, int from)
    {
        var rest = text[from..];
        if (!IsExpression)
        {
            var at = rest.IndexOf(Source, StringComparison.Ordinal);
            return at < 0 ? null : (from + at, from + at + Source.Length);
        }
        switch (Source)
        {
            case Spaces:
                var two = rest.IndexOf("  ", StringComparison.Ordinal);
                if (two < 0)
                {
                    return null;
                }
                var others = rest[two..].IndexOfAnyExcept(' ');
                return (from + two, others < 0 ? text.Length : from + two + others);
            case WhiteSpace or OneWhiteSpace:
                for (var i = from; i < text.Length; i++)
                {
                    if (UnicodeTables.Space.Contains(text[i]))          // none is a surrogate pair
                    {
                        var end = i + 1;
                        while (Source == WhiteSpace && end < text.Length && UnicodeTables.Space.Contains(text[end]))
                        {
                            end++;
                        }
                        return (i, end);
                    }
                }
                return null;
            default:
                return rest.Length == 0 ? null : (from, from + ByteLevel.FirstLength(rest));
        }
    }
}
