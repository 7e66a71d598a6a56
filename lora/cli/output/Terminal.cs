using System.Text.RegularExpressions;
using Spectre.Console;

namespace LoraScratch.Cli;

/// <summary>Where messages for people go, so that standard output stays clean for data.</summary>
internal static partial class Terminal
{
    /// <summary>
    /// The text without control characters: a name in a stranger's file must not be able to steer
    /// the reader's terminal.
    /// </summary>
    public static string Printable(string text) =>
        string.Concat(text.Select(letter => letter != '\n' && char.IsControl(letter)
            ? $"\\u{(int)letter:X4}" : $"{letter}"));

    /// <summary>
    /// A message of the library, which calls an option by its name, as it is typed here: option
    /// 'lr' is --lr.
    /// </summary>
    public static string WithFlags(string message) => OptionName().Replace(message, "--$1");

    [GeneratedRegex("[Oo]ption '([a-z]+(?:-[a-z]+)*)'")]
    private static partial Regex OptionName();

    /// <summary>Standard error, with colours and live bars where it is a terminal.</summary>
    public static IAnsiConsole Error { get; } =
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
}
