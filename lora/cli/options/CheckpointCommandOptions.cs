using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// The options that let a long command go on after a kill: --checkpoint-every and --resume.
/// </summary>
/// <param name="steps">Default of --checkpoint-every.</param>
internal sealed class CheckpointCommandOptions(int steps = 0)
{
    private readonly Option<int> every = OptionKinds.Whole("--checkpoint-every", "Saves the run in progress after "
        + "every so many steps, so that it can go on after a kill; 0: only on Ctrl-C.", steps);
    private readonly Option<bool> resume = new("--resume")
    {
        Description = "Goes on with what is saved for --out; all other options as before, --overwrite is not needed. "
            + "The result is that of a command which was never interrupted, bit for bit.",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(every);
        command.Add(resume);
    }

    /// <summary>Steps from one saving to the next.</summary>
    public int Every(ParseResult parsed) =>
        parsed.GetValue(every) is >= 0 and var steps
        ? steps : throw new InputException($"--checkpoint-every is {parsed.GetValue(every)}; expected a number of "
            + "steps, or 0 to save only on Ctrl-C.");

    /// <summary>Whether to go on.</summary>
    public bool Resume(ParseResult parsed) => parsed.GetValue(resume);

    /// <summary>
    /// What was typed, for a run that ends in a folder. The file lies beside it: the folder itself
    /// is written whole, at the end.
    /// </summary>
    public CheckpointOptions Parse(ParseResult parsed, string folder) =>
        new($"{Path.TrimEndingDirectorySeparator(folder)}.checkpoint.safetensors", Every(parsed), Resume(parsed));

    /// <summary>The command line with which a saved run goes on.</summary>
    public string CommandToResume(ParseResult parsed) => ShellWords.Join(
        [.. Processes.Words, "lora", parsed.CommandResult.Command.Name, .. Resuming(parsed)]);

    /// <summary>
    /// Where several processes train, says on the way what a stop means: when one of them has died,
    /// mpirun stops the others, and they may not come to the end of their step.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="checkpoint">Where the run is saved.</param>
    /// <param name="cancellation">Says that it is to stop.</param>
    /// <returns>To be disposed when the training has ended.</returns>
    public IDisposable? SayHowToResume(ParseResult parsed, CheckpointOptions checkpoint,
        CancellationToken cancellation)
    {
        if (!Processes.All.HasOthers || !Processes.All.IsFirst)
        {
            return null;
        }
        return cancellation.Register(() =>
        {
            Console.Error.WriteLine("The processes are to stop: by Ctrl-C, or because one of them has died.");
            if (File.Exists(checkpoint.Path))
            {
                Console.Error.WriteLine($"What was saved last is in {checkpoint.Path}. To resume:\n  "
                    + CommandToResume(parsed));
            }
        });
    }

    /// <summary>
    /// The words after the command's name with which a saved run goes on: those typed, and
    /// --resume.
    /// </summary>
    public IEnumerable<string> Resuming(ParseResult parsed) =>
        TypedWords.Of(parsed, resume.Name).Append(resume.Name);
}
