using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using LoraScratch.Cli.Demo;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using Spectre.Console;

namespace LoraScratch.Cli;

/// <summary>The command line: its commands, how errors end it, and what --help adds.</summary>
internal static class CommandLine
{
    /// <summary>How long a command may take to save its work after Ctrl-C or SIGTERM.</summary>
    private static readonly TimeSpan SavingTime = TimeSpan.FromMinutes(10);

    /// <summary>In the order in which the help lists them.</summary>
    private static readonly (string Name, Func<Command> Create)[] Commands =
    [
        ("demo", DemoCommand.Create),
        ("data", DataCommand.Create),
        ("train", TrainCommand.Create),
        ("replay", ReplayCommand.Create),
        ("compare", CompareCommand.Create),
        ("sweep", SweepCommand.Create),
        ("plot", PlotCommand.Create),
        ("report", ReportCommand.Create),
        ("evaluate", EvaluateCommand.Create),
        ("predict", PredictCommand.Create),
        ("explain", ExplainCommand.Create),
        ("merge", MergeCommand.Create),
        ("export", ExportCommand.Create),
        ("vocabulary", VocabularyCommand.Create),
        ("pretrain", PretrainCommand.Create),
        ("tokenize", TokenizeCommand.Create),
        ("inspect", InspectCommand.Create),
        ("adapter", AdapterCommand.Create),
        ("extract", ExtractCommand.Create),
        ("truncate", TruncateCommand.Create),
        ("compress", CompressCommand.Create),
        ("quantize", QuantizeCommand.Create),
        ("pull", PullCommand.Create),
        ("cache", CacheCommand.Create),
        ("devices", DevicesCommand.Create),
    ];

    /// <summary>Runs a command.</summary>
    /// <param name="args">As typed; none means the demo.</param>
    /// <returns>
    /// The exit code: 0 when the command did what was asked, 1 for a mistake in the input or a
    /// failure, 130 after Ctrl-C, SIGTERM or SIGHUP.
    /// </returns>
    public static async Task<int> Run(string[] args)
    {
        var parsed = Parse(args);
        if (parsed.Action is ParseErrorAction)
        {
            return Processes.FailAlike($"error: {Terminal.Printable(Mistake(parsed))} See "
                + $"'{string.Join(' ', CommandPath(parsed.CommandResult.Command))} --help'.");
        }
        var hangup = new CancellationTokenSource();             // never disposed: a signal may come while all else ends
        using var listener = parsed.Action is AsynchronousCommandLineAction ? StopAtHangup(hangup) : null;
        try
        {
            if (parsed.Action is not PrintHelp)
            {
                if (Processes.Refusal(parsed.CommandResult.Command.Name) is { } refusal)
                {
                    return Processes.FailAlike(refusal);
                }
                Processes.Join();
            }
            var code = await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = SavingTime,
            }, hangup.Token);
            Processes.Leave();
            return code;
        }
        catch (OperationCanceledException)
        {
            return Processes.Fail("Stopped; nothing was written.", 130);
        }
        catch (OutOfMemoryException)
        {
            return Processes.Fail("error: there is not enough memory for this. Take smaller batches "
                + "(--batch-size), shorter texts (--max-length) or a smaller model.");
        }
        catch (Exception e) when (e is InputException or DeviceException or IOException or UnauthorizedAccessException
            or RegexMatchTimeoutException)
        {
            // What the user can mend: the message says all there is to say.
            return Processes.Fail($"error: {Terminal.Printable(Terminal.WithFlags(e.Message))}");
        }
    }

    /// <summary>
    /// A closed terminal or a lost connection stops a command as Ctrl-C does. What nohup starts
    /// ignores the signal; .NET leaves it so.
    /// </summary>
    private static PosixSignalRegistration StopAtHangup(CancellationTokenSource hangup) =>
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;                               // the end of the process at once
            hangup.Cancel();
        });

    /// <summary>Reads a command line without running it.</summary>
    /// <param name="args">As typed; none means the demo.</param>
    public static ParseResult Parse(string[] args) =>
        Root(args.FirstOrDefault()).Parse(args.Length == 0 ? ["demo"] : args, TypedWords.Rules);

    /// <summary>
    /// All commands; where the first word names one, that alone: the options of the others would
    /// take longer to make than a prediction.
    /// </summary>
    private static RootCommand Root(string? firstWord)
    {
        var root = new RootCommand("LoRA fine-tuning from scratch: train, evaluate, merge and inspect low-rank "
            + "adapters of text classifiers (DistilBERT, BERT, RoBERTa, ELECTRA). With no command: the demo.");
        var named = Commands.Where(command => command.Name == firstWord).ToArray();
        foreach (var (_, create) in named.Length > 0 ? named : Commands)
        {
            root.Add(create());
        }
        root.Options.OfType<HelpOption>().Single().Action = new PrintHelp();
        return root;
    }


    /// <summary>
    /// What is wrong with a command line: the first thing, for the others often follow from it.
    /// </summary>
    private static string Mistake(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        if (parsed.UnmatchedTokens is not [var unknown, ..])
        {
            return parsed.Errors[0].Message.TrimEnd('.') + ".";
        }
        var isOption = unknown.StartsWith('-');
        var known = isOption ? command.Options.Select(option => option.Name)
            : command.Subcommands.Select(child => child.Name);
        var near = NearMisses.Of(unknown, known, most: 1);
        return $"there is no {(isOption ? "option" : command.Subcommands.Count > 0 ? "command" : "argument")} "
            + $"'{unknown}'{(near.Count > 0 ? $"; did you mean {near[0]}?" : ".")}";
    }

    private static IEnumerable<string> CommandPath(Command command) =>
        command is RootCommand ? ["lora"] : CommandPath(command.Parents.OfType<Command>().First()).Append(command.Name);

    /// <summary>Prints the help of a command.</summary>
    private sealed class PrintHelp : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parsed)
        {
            var command = parsed.CommandResult.Command;
            foreach (var line in HelpText.Lines(command, CommandPath(command)))
            {
                Console.WriteLine(line);
            }
            return 0;
        }
    }
}
