using System.Diagnostics;
using System.Globalization;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Engine;

namespace LoraScratch.Benchmarks;

/// <summary>
/// How long a person waits for one answer: the whole life of a process that predicts the class of
/// one text, its files being in the system's cache. Other programs may run in turn with it.
/// </summary>
internal static class StartCommand
{
    /// <summary>Runs it.</summary>
    /// <param name="args">Without the command's name.</param>
    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var programs = options.Text("program", "").Split(';', StringSplitOptions.RemoveEmptyEntries);
        if (programs.Length == 0)
        {
            throw new InputException("start needs --program, a command that ends by itself; several, separated by "
                + "';', run in turn, for example --program \"lora predict --adapter my-adapter --text Fine\".");
        }
        var rounds = options.Number("rounds", 20);
        options.RequireAllUsed();
        var times = programs.ToDictionary(program => program, _ => new List<double>());
        for (var round = -1; round < rounds; round++)
        {
            foreach (var program in programs)
            {
                var time = Measure(program);
                if (round >= 0)                             // the first run brings the files into the cache
                {
                    times[program].Add(time);
                }
            }
        }
        foreach (var (program, taken) in times)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Statistics.Median(taken),6:F0} ms, median of {rounds} ({taken.Min():F0} to {taken.Max():F0})  "
                    + $"{program}"));
        }
        return 0;
    }

    private static double Measure(string command)
    {
        var space = command.IndexOf(' ', StringComparison.Ordinal);
        var clock = Stopwatch.StartNew();
        var output = space < 0 ? PeerCommand.Output(command, "")
            : PeerCommand.Output(command[..space], command[(space + 1)..]);
        return output.Length > 0 ? clock.Elapsed.TotalMilliseconds
            : throw new InputException($"{command} printed nothing.");
    }
}
