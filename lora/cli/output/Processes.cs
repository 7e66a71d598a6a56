using LoraScratch.Engine;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Cli;

/// <summary>
/// The processes that mpirun or srun started to run this command together. The first speaks to the
/// user and writes files; the others are silent but for an error of their own.
/// </summary>
internal static class Processes
{
    /// <summary>
    /// How long a process leaves the word to the first, which may have the same error and end them
    /// all.
    /// </summary>
    private static readonly TimeSpan Courtesy = TimeSpan.FromSeconds(2);

    private static readonly string[] Shared = ["train", "pretrain", "compare", "sweep", "evaluate", "predict"];

    private static TextWriter? kept;                               // standard error of a process that is silent

    /// <summary>All of them; this process alone where nothing started several.</summary>
    public static ProcessGroup All { get; private set; } = ProcessGroup.Alone;

    /// <summary>Where this process is among them.</summary>
    public static Placement Placement { get; private set; } = new(1, 0, 1, 0);

    /// <summary>The words that start a command as this one was started: "mpirun -n 2".</summary>
    public static IReadOnlyList<string> Words => Launcher.OfThisProcess is { Size: > 1 } launcher
        ? [launcher.Program, "-n", $"{launcher.Size}"] : [];

    private static TextWriter Errors => kept ?? Console.Error;

    private static bool IsOther => Launcher.OfThisProcess is { Rank: > 0, Size: > 1 };

    /// <summary>
    /// A launcher may give every process a terminal of its own, whose output it mixes with that of
    /// the others: no escape codes then. Before anything is printed.
    /// </summary>
    public static void BePlain()
    {
        if (Launcher.OfThisProcess is not null)
        {
            Environment.SetEnvironmentVariable("TERM", "dumb");
        }
    }

    /// <summary>
    /// Why a command cannot be run by the processes that were started; null where it can.
    /// </summary>
    public static string? Refusal(string command) => Launcher.OfThisProcess is { Size: > 1 } launcher
        && command != "devices" && !Shared.Contains(command)
        ? $"error: 'lora {command}' runs in one process, and {launcher.Name} started {launcher.Size}. Start it by "
            + $"itself; {string.Join(", ", Shared)} can be shared." : null;

    /// <summary>
    /// Connects this process with the others that were started with it. From now on what another
    /// than the first prints goes nowhere.
    /// </summary>
    /// <exception cref="InputException">
    /// They cannot be connected.
    /// </exception>
    public static void Join()
    {
        if (Launcher.OfThisProcess is not { Size: > 1 } launcher)
        {
            return;
        }
        if (IsOther)
        {
            kept = Console.Error;
            Console.SetOut(TextWriter.Null);
            Console.SetError(TextWriter.Null);
        }
        All = MpiProcesses.Join(launcher);
        Placement = Placement.Of(All);
    }

    /// <summary>Says who computes.</summary>
    /// <param name="device">What each computes on.</param>
    public static void Say(string device)
    {
        if (All.HasOthers)
        {
            Console.Error.WriteLine($"{All.Size} processes on {Placement.Machines} "
                + $"{(Placement.Machines == 1 ? "machine" : "machines")}, connected by {All.Description}; {device} "
                + "each");
        }
    }

    /// <summary>Writes a line to standard error, whichever process this is.</summary>
    public static void SayOfThis(string line) =>
        Errors.WriteLine(All.HasOthers ? $"[process {All.Rank}] {line}" : line);

    /// <summary>Ends this process for an error that all of them have: the first says it.</summary>
    /// <returns>The exit code.</returns>
    public static int FailAlike(string message)
    {
        if (IsOther)
        {
            Thread.Sleep(Courtesy);                             // a launcher ends all when the first of them ends so
        }
        else
        {
            Console.Error.WriteLine(message);
        }
        return 1;
    }

    /// <summary>Ends this process, and with it the others, for an error.</summary>
    /// <param name="message">For the user.</param>
    /// <param name="code">Exit code.</param>
    /// <returns>The exit code.</returns>
    public static int Fail(string message, int code = 1)
    {
        if (IsOther)
        {
            Thread.Sleep(Courtesy);
        }
        Errors.WriteLine(IsOther ? $"[process {Launcher.OfThisProcess!.Rank}] {message}" : message);
        Errors.Flush();
        Console.Out.Flush();
        All.Abort(code);
        return code;
    }

    /// <summary>Parts with the others at the end of a command.</summary>
    public static void Leave() => All.Dispose();
}
