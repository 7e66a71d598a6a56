using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// Where a command's page goes: --html, and whether it may replace one: --overwrite.
/// </summary>
/// <param name="description">What the page shows.</param>
internal sealed class PageOptions(string description)
{
    private readonly Option<string> html = OptionKinds.Path("--html", "FILE", description);
    private readonly Option<bool> overwrite = new("--overwrite")
    {
        Description = "Replaces the file of --html; without it that is refused.",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(html);
        command.Add(overwrite);
    }

    /// <summary>What was typed; null where no page is wanted.</summary>
    public string? Path(ParseResult parsed) => parsed.GetValue(html);

    /// <summary>
    /// Takes the file for this process, and refuses one that could not be written, before the work
    /// begins.
    /// </summary>
    /// <returns>To be disposed when it is written; null where no page is wanted.</returns>
    /// <exception cref="InputException">The message says what to do.</exception>
    public OutputLock? Reserve(ParseResult parsed)
    {
        if (Path(parsed) is { } path)
        {
            return OutputOptions.Tell(AtomicFile.Reserve(path, parsed.GetValue(overwrite)));
        }
        return parsed.GetValue(overwrite)
            ? throw new InputException("--overwrite has no effect without --html. Leave it out.") : null;
    }
}
