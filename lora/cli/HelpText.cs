using System.CommandLine;
using System.CommandLine.Help;
using System.Globalization;

namespace LoraScratch.Cli;

/// <summary>
/// The text of --help, in 80 columns: what the command does, its options, examples.
/// </summary>
internal static class HelpText
{
    private const int Indent = 2, Description = 30;

    /// <summary>Its lines.</summary>
    /// <param name="command">Of which command.</param>
    /// <param name="path">"lora", "train"</param>
    public static IEnumerable<string> Lines(Command command, IEnumerable<string> path)
    {
        var arguments = command.Arguments.Where(argument => !argument.Hidden).ToList();
        var commands = command.Subcommands.Where(child => !child.Hidden).ToList();
        var options = command.Options.Where(option => !option.Hidden).ToList();
        string[] usage = [.. path, .. commands.Count > 0 ? (string[])["[command]"] : [],
            .. arguments.Select(Usage), "[options]"];
        var groups = options.Count - 1 <= HelpGroups.MostInOneList
            ? [("Options", options)]
            : options.Where(option => option is not HelpOption).Select((option, i) => (option, i))
                .GroupBy(entry => HelpGroups.Of(entry.option.Name).Group).OrderBy(group => group.Key)
                .Select(group => (HelpGroups.Title(group.Key), group
                    .OrderBy(entry => (HelpGroups.Of(entry.option.Name).Place, entry.i))
                    .Select(entry => entry.option).ToList()));
        string[] examples = command is ExampleCommand example ? [.. example.Examples] : ["lora demo",
            "lora train --help"];
        return
        [
            "Description:",
            .. Columns.Wrapped(command.Description ?? "", Columns.Screen - Indent).Select(Indented),
            "", "Usage:", Indented(string.Join(' ', usage)),
            .. Section("Arguments", arguments.Select(argument => ($"<{argument.HelpName ?? argument.Name}>",
                argument.Description ?? ""))),
            .. Section("Commands", commands.Select(child => (child.Name, child.Description ?? ""))),
            .. groups.SelectMany(group => Section(group.Item1, group.Item2.Select(Entry))),
            "", "Examples:",
            .. examples.SelectMany(Example),
        ];
    }

    private static string Indented(string line) => new string(' ', Indent) + line;

    private static string Usage(Argument argument)
    {
        var name = $"<{argument.HelpName ?? argument.Name}>{(argument.Arity.MaximumNumberOfValues > 1 ? "…" : "")}";
        return argument.Arity.MinimumNumberOfValues == 0 ? $"[{name}]" : name;
    }

    private static IEnumerable<string> Section(string title, IEnumerable<(string Name, string Text)> entries)
    {
        var all = entries.ToList();
        return all.Count == 0 ? [] : ["", $"{title}:", .. all.SelectMany(entry => Entry(entry.Name, entry.Text))];
    }

    /// <summary>
    /// A name with its description beside it, or beneath it where the name is long.
    /// </summary>
    private static IEnumerable<string> Entry(string name, string text)
    {
        var first = Indented(name);
        if (first.Length > Description - 2)
        {
            yield return first;
            first = "";
        }
        foreach (var line in Columns.Wrapped(text, Columns.Screen - Description))
        {
            yield return $"{first.PadRight(Description)}{line}";
            first = "";
        }
    }

    private static (string Name, string Text) Entry(Option option)
    {
        if (option is HelpOption or VersionOption)
        {
            return (string.Join(", ", option.Aliases.Order().Append(option.Name).Distinct()), option.Description ?? "");
        }
        var value = option.HelpName is { } name ? $" <{name}>" : option.ValueType == typeof(bool) ? "" : " <TEXT>";
        var otherwise = option.HasDefaultValue && option.GetDefaultValue() is { } given && given is not false
            ? $" [default: {Convert.ToString(given, CultureInfo.InvariantCulture)}]" : "";
        return ($"{option.Name}{value}{(option.Required ? " (REQUIRED)" : "")}", option.Description + otherwise);
    }

    /// <summary>A command line is broken as a shell allows, so that it can be copied.</summary>
    private static IEnumerable<string> Example(string command)
    {
        const string more = " \\", further = "    ";
        var lines = Columns.Wrapped(Glued(command), Columns.Screen - Indent - further.Length - more.Length)
            .ToArray();
        for (var i = 0; i < lines.Length; i++)
        {
            yield return Indented($"{(i == 0 ? "" : further)}{lines[i]}{(i == lines.Length - 1 ? "" : more)}");
        }
    }

    /// <summary>Spaces within quotes do not break; Wrapped makes them spaces again.</summary>
    private static string Glued(string command) => string.Join('"', command.Split('"').Select((part, i) =>
        i % 2 == 1 ? part.Replace(' ', '\u00a0') : part));
}
