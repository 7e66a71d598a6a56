using System.CommandLine;

namespace LoraScratch.Cli;

/// <summary>What was typed, as words that the same or another command line is made of.</summary>
internal static class TypedWords
{
    /// <summary>How words are read: "--text @home" is a text, no file with options.</summary>
    public static ParserConfiguration Rules { get; } =
        new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    /// <summary>The options that were typed, with their values.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="without">Names of options that are left out.</param>
    public static IEnumerable<string> Of(ParseResult parsed, params IReadOnlyList<string> without) =>
        parsed.CommandResult.Command.Options.Where(option => !without.Contains(option.Name)).Select(parsed.GetResult)
        .Where(result => result is { Implicit: false })
            .SelectMany(result => result!.Tokens.Select(token => token.Value).Prepend(result.Option.Name));

    /// <summary>The same words with another value for an option, or with the option.</summary>
    /// <param name="words">Of a command line.</param>
    /// <param name="option">With one value.</param>
    /// <param name="value">Null: the words stay.</param>
    public static IReadOnlyList<string> With(IReadOnlyList<string> words, string option, string? value)
    {
        if (value is null)
        {
            return words;
        }
        var at = words.ToList().IndexOf(option);
        return at < 0 ? [.. words, option, value] : [.. words.Take(at + 1), value, .. words.Skip(at + 2)];
    }
}
