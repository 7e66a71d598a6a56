using System.Text;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// Extended grapheme clusters (Unicode Standard Annex 29), as far as they decide ids: only those of
/// less than six bytes are ever looked at as a whole, so that flags, which have eight, need no
/// rule.
/// </summary>
internal static class Graphemes
{
    private const int Joiner = 0x200D;

    /// <summary>The UTF-16 units of the first cluster of a text.</summary>
    /// <param name="text">Not empty, without half surrogate pairs.</param>
    public static int FirstLength(ReadOnlySpan<char> text)
    {
        Rune.DecodeFromUtf16(text, out var first, out var length);
        var before = first.Value;
        // "\r\n" is one; what else is a control character is alone
        if (before == '\r' && length < text.Length && text[length] == '\n')
        {
            return 2;
        }
        if (before < 0x80 && (length == text.Length || text[length] < 0x80) || UnicodeTables.Control.Contains(before))
        {
            return length;
        }
        bool isLinked = UnicodeTables.Linked.Contains(before), hasLinker = false;
        bool isPictograph = UnicodeTables.Pictograph.Contains(before), hasJoiner = false;
        while (length < text.Length)
        {
            Rune.DecodeFromUtf16(text[length..], out var rune, out var units);
            var c = rune.Value;
            if (UnicodeTables.Control.Contains(c))
            {
                return length;
            }
            if (UnicodeTables.Extend.Contains(c))
            {
                hasLinker |= IsLinker(c);
                hasJoiner = c == Joiner;
            }
            else if (UnicodeTables.Prepend.Contains(before) || IsHangul(before, c)
                || isLinked && hasLinker && UnicodeTables.Linked.Contains(c)
                || isPictograph && hasJoiner && UnicodeTables.Pictograph.Contains(c))
            {
                (hasLinker, hasJoiner) = (false, false);
                (isLinked, isPictograph) = (UnicodeTables.Linked.Contains(c), UnicodeTables.Pictograph.Contains(c));
            }
            else
            {
                return length;
            }
            length += units;
            before = c;
        }
        return length;
    }

    /// <summary>The viramas that link consonants.</summary>
    private static bool IsLinker(int c) => c is 0x94D or 0x9CD or 0xACD or 0xB4D or 0xC4D or 0xD4D;

    /// <summary>
    /// Lead before lead, vowel or syllable; vowel before vowel or tail; tail before tail.
    /// </summary>
    private static bool IsHangul(int before, int c)
    {
        bool isVowel = c is >= 0x1160 and <= 0x11A7 or >= 0xD7B0 and <= 0xD7C6;
        bool isTail = c is >= 0x11A8 and <= 0x11FF or >= 0xD7CB and <= 0xD7FB;
        bool isSyllable = c is >= 0xAC00 and <= 0xD7A3;
        return before switch
        {
            >= 0x1100 and <= 0x115F or >= 0xA960 and <= 0xA97C =>
                c is >= 0x1100 and <= 0x115F or >= 0xA960 and <= 0xA97C || isVowel || isSyllable,
            >= 0xAC00 and <= 0xD7A3 => isTail || isVowel && (before - 0xAC00) % 28 == 0,
            >= 0x1160 and <= 0x11A7 or >= 0xD7B0 and <= 0xD7C6 => isVowel || isTail,
            >= 0x11A8 and <= 0x11FF or >= 0xD7CB and <= 0xD7FB => isTail,
            _ => false,
        };
    }
}
