using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// Where a command's result goes: --out, and whether it may replace what is there: --overwrite.
/// </summary>
/// <param name="kind">DIR, FILE or PATH.</param>
/// <param name="description">What goes there.</param>
/// <param name="required">Whether it must be given.</param>
/// <param name="otherwise">
/// Where the result goes when it is not given; null: then nothing is written.
/// </param>
internal sealed class OutputOptions(string kind, string description, bool required = true, string? otherwise = null)
{
    private readonly Option<string> output = OptionKinds.Path("--out", kind, description, required);
    private readonly Option<bool> overwrite = new("--overwrite")
    {
        Description = kind == "DIR"
            ? "Replaces the result that the folder of --out holds; without it such a folder is refused. "
                + "One with any other file in it is refused all the same."
            : "Replaces what is at --out already; without it that is refused.",
    };

    /// <summary>Of the option that says where.</summary>
    public string Name => output.Name;

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(output);
        command.Add(overwrite);
    }

    /// <summary>What was typed; null where nothing is to be written.</summary>
    public string? Path(ParseResult parsed) => parsed.GetValue(output) ?? otherwise;

    /// <summary>Whether a result may be replaced.</summary>
    public bool MayReplace(ParseResult parsed) => parsed.GetValue(overwrite);

    /// <summary>
    /// Takes --out for this process and refuses what could not be written or must not be replaced,
    /// before the work begins.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="reserve">Does it, with the path and whether a result may be replaced.</param>
    /// <param name="inputs">
    /// What the result is made of, by option: it is not replaced by the result.
    /// </param>
    /// <returns>
    /// To be disposed when the result is written; null where this process writes nothing.
    /// </returns>
    /// <exception cref="InputException">The message says what to do.</exception>
    public OutputLock? Reserve(
        ParseResult parsed, Func<string, bool, OutputLock> reserve, params (string Option, string? Path)[] inputs)
    {
        if (Path(parsed) is not { } path)
        {
            return MayReplace(parsed)
                ? throw new InputException("--overwrite has no effect without --out. Leave it out.")
                : null;
        }
        RequireOthers("--out", path, inputs);
        return Processes.All.IsFirst ? Tell(reserve(path, MayReplace(parsed))) : null;
    }

    /// <summary>Refuses a result that would replace what it is made of.</summary>
    /// <param name="option">Of the result.</param>
    /// <param name="path">Where it goes.</param>
    /// <param name="inputs">What it is made of, by option.</param>
    /// <exception cref="InputException">It is one of them.</exception>
    public static void RequireOthers(string option, string path, params (string Option, string? Path)[] inputs)
    {
        foreach (var (name, input) in inputs)
        {
            if (input is not null && Whole(input) == Whole(path))
            {
                throw new InputException($"{option} and {name} are both {path}: the result would replace what it was "
                    + "made of. Give it a name of its own.");
            }
        }
    }

    /// <summary>Says on standard error where a lock does not hold.</summary>
    public static OutputLock Tell(OutputLock taken)
    {
        if (taken.Warning is { } warning)
        {
            ModelOptions.Notices(taken.Path, [warning]);
        }
        return taken;
    }

    /// <summary>The full path of what a path leads to, through links.</summary>
    private static string Whole(string path)
    {
        var full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        return File.Exists(full) ? File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full
            : Directory.Exists(full) ? Directory.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full
            : full;
    }
}
