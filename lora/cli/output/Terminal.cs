using System.Text.RegularExpressions;
using LoraScratch.Lora.Training;

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
    /// A message of the library, which calls an option as C# does, with the words that are typed
    /// here: option 'BatchSize' is --batch-size, option 'LearningRate' is --lr; and HubModel.Get is
    /// 'lora pull'.
    /// </summary>
    public static string WithFlags(string message) => Download().Replace(
        OptionName().Replace(message, match => $"--{Flag(match.Groups[1].Value)}"),
        match => $"'lora pull {match.Groups[1].Value}{(match.Groups[2].Success ? "@" : "")}{match.Groups[2].Value}'");

    private static string Flag(string name) =>
        TrainingOptionList.OfAdapters.Concat(TrainingOptionList.OfRuns)
            .FirstOrDefault(option => option.Property == name)?.Name ?? name switch
            {
                nameof(TrainingOptions.InitialAdapter) => "init-adapter",
                "baseModel" => "model",
                _ => Capital().Replace(name, "-$0").ToLowerInvariant(),
            };

    [GeneratedRegex("[Oo]ption '([A-Za-z]+(?:[.-][A-Za-z]+)*)'")]
    private static partial Regex OptionName();

    [GeneratedRegex("HubModel\\.Get\\(\"([^\"]+)\"(?:, \"([^\"]+)\")?\\)")]
    private static partial Regex Download();

    [GeneratedRegex("(?<=[a-z])[A-Z]")]
    private static partial Regex Capital();

    /// <summary>
    /// Whether an output gets plain lines alone, without bars, colours and escape codes: a pipe or
    /// a file, a terminal that knows no more (TERM=dumb), or whoever wants it so (NO_COLOR).
    /// </summary>
    /// <param name="isRedirected">Whether it is no terminal.</param>
    public static bool IsPlain(bool isRedirected) => isRedirected
        || Environment.GetEnvironmentVariable("TERM") == "dumb"
        || !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
}
