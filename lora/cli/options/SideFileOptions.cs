using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// Files that a command writes beside what it prints, where they are asked for, each by an option
/// of its own; and whether they may replace what is there: --overwrite.
/// </summary>
/// <param name="files">The options.</param>
internal sealed class SideFileOptions(params Option<string>[] files)
{
    private readonly Option<bool> overwrite = new("--overwrite")
    {
        Description = $"Replaces the file of {Names(files)}; without it that is refused.",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var file in files)
        {
            command.Add(file);
        }
        command.Add(overwrite);
    }

    /// <summary>
    /// Takes a file for this process, and refuses one that could not be written, before the work
    /// begins.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="file">One of the options.</param>
    /// <param name="inputs">What it is made of, by option.</param>
    /// <returns>To be disposed when it is written; null where this process writes none.</returns>
    /// <exception cref="InputException">The message says what to do.</exception>
    public OutputLock? Reserve(ParseResult parsed, Option<string> file,
        params (string Option, string? Path)[] inputs)
    {
        if (parsed.GetValue(overwrite) && files.All(one => parsed.GetValue(one) is null))
        {
            throw new InputException($"--overwrite has no effect without {Names(files)}. Leave it out.");
        }
        if (parsed.GetValue(file) is not { } path)
        {
            return null;
        }
        OutputOptions.RequireOthers(file.Name, path, inputs);
        return Processes.All.IsFirst ? OutputOptions.Tell(AtomicFile.Reserve(path, parsed.GetValue(overwrite))) : null;
    }

    private static string Names(Option<string>[] files) => string.Join(" or ", files.Select(file => file.Name));
}
