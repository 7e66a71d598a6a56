using System.Text;
using Spectre.Console;

namespace LoraScratch.Cli;

/// <summary>
/// Texts in the columns of a terminal: letters of Chinese, Japanese and Korean take two, accents
/// that are characters of their own none.
/// </summary>
internal static class Columns
{
    /// <summary>What every table, list and help page fits into.</summary>
    public const int Screen = 80;

    /// <summary>How many columns a text takes.</summary>
    public static int Of(string text) => text.GetCellWidth();

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
            taken += Of(letter.ToString());
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
}
