using System.CommandLine;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>The options that let a long command go on after a kill: --checkpoint-every and --resume.</summary>
internal sealed class CheckpointCommandOptions
{
    private readonly Option<int> every = OptionKinds.Whole("--checkpoint-every", "Saves the run after every so many steps, in a file beside --out, so that it can go on after a kill; 0: only on Ctrl-C.", 0);
    private readonly Option<bool> resume = new("--resume") { Description = "Goes on with the saved run of --out; all other options as before. The result is that of a run which was never interrupted, bit for bit." };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(every);
        command.Add(resume);
    }

    /// <summary>What was typed, for a run that ends in a folder. The file lies beside it: the folder itself is written whole, at the end.</summary>
    public CheckpointOptions Parse(ParseResult parsed, string folder) =>
        new($"{Path.TrimEndingDirectorySeparator(folder)}.checkpoint.safetensors", parsed.GetValue(every), parsed.GetValue(resume));

    /// <summary>The words after the command's name with which a saved run goes on: those typed, and --resume.</summary>
    public IEnumerable<string> GoingOn(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.Except([resume]).Select(parsed.GetResult).Where(result => result is { Implicit: false })
            .SelectMany(result => result!.Tokens.Select(token => token.Value).Prepend(result.Option.Name)).Append(resume.Name);
}
