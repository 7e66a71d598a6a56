using System.Globalization;
using System.Text;

namespace LoraScratch.Cli;

/// <summary>
/// Texts in the columns of a terminal: letters of Chinese, Japanese and Korean take two, accents
/// that are characters of their own none.
/// </summary>
internal static class Columns
{
    /// <summary>What every table, list and help page fits into.</summary>
    public const int Screen = 80;

    private static readonly (int First, int Last)[] Wide =
    [
        (0x1100, 0x115f), (0x2e80, 0xa4cf), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfe30, 0xfe6f), (0xff00, 0xff60),
        (0xffe0, 0xffe6), (0x1f300, 0x1faff), (0x20000, 0x3fffd),
    ];

    /// <summary>How many columns a text takes.</summary>
    public static int Of(string text) => text.EnumerateRunes().Sum(Of);

    /// <summary>The text, or its beginning and … where it is too long.</summary>
    public static string Fit(string text, int columns)
    {
        if (Of(text) <= columns)
        {
            return text;
        }
        var (shown, taken) = (new StringBuilder(), 0);
        foreach (var letter in text.EnumerateRunes())
        {
            taken += Of(letter);
            if (taken >= columns)
            {
                break;
            }
            shown.Append(letter);
        }
        return $"{shown}…";
    }

    /// <summary>The text, shortened if need be, with spaces after it.</summary>
    public static string Left(string text, int columns)
    {
        var shown = Fit(text, columns);
        return shown + new string(' ', Math.Max(0, columns - Of(shown)));
    }

    /// <summary>The same with spaces before it.</summary>
    public static string Right(string text, int columns)
    {
        var shown = Fit(text, columns);
        return new string(' ', Math.Max(0, columns - Of(shown))) + shown;
    }

    /// <summary>A text in lines; a word that is longer than a line has one of its own.</summary>
    public static IEnumerable<string> Wrapped(string text, int width)
    {
        var line = "";
        // a number keeps its sign beside it
        foreach (var word in text.Replace(" %", "\u00A0%").Split(' ').Select(word => word.Replace('\u00A0', ' ')))
        {
            if (line.Length > 0 && Of(line) + 1 + Of(word) > width)
            {
                yield return line;
                line = "";
            }
            line = line.Length == 0 ? word : $"{line} {word}";
        }
        yield return line;
    }

    private static int Of(Rune letter) =>
        Rune.GetUnicodeCategory(letter) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.Format ? 0
        : Wide.Any(range => letter.Value >= range.First && letter.Value <= range.Last) ? 2 : 1;
}
