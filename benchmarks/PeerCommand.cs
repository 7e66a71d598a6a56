using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Engine;

namespace LoraScratch.Benchmarks;

/// <summary>
/// The training step beside another program's: both run in turn, in processes of their own, so that
/// a ratio compares neighbours and not two moods of the machine. The other program takes the
/// options of <see cref="StepCommand"/> and ends with a line of JSON that has at least forward_s,
/// step_s and peak_mib; what it computes is its own affair, so that "same work" is the figure to
/// compare.
/// </summary>
internal static class PeerCommand
{
    private static readonly string[] Shared = ["batch", "seq", "rank", "mode", "layers", "d", "heads", "ffn", "threads",
        "reps"];

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var program = options.Text("program", "");
        if (program.Length == 0)
        {
            throw new InputException("peer needs --program, the command that runs the other program: it is given step "
                + "and the options of step, and prints a line of JSON with forward_s, step_s and peak_mib.");
        }
        var rounds = options.Number("rounds", 5);
        string[] step = ["step", .. Shared.Where(options.Has).SelectMany(name =>
            new[] { $"--{name}", options.Text(name, "") })];
        options.RequireAllUsed();
        var own = (Environment.ProcessPath!, string.Join(' ', [.. OwnAssembly(), .. step, "--json"]));
        var space = program.IndexOf(' ', StringComparison.Ordinal);
        var other = space < 0 ? (program, string.Join(' ', step))
            : (program[..space], $"{program[(space + 1)..]} {string.Join(' ', step)}");
        Measure(own, other, rounds);
        return 0;
    }

    private static void Measure((string, string) own, (string, string) other, int rounds)
    {
        var (ours, theirs) = (new List<Cost>(), new List<Cost>());
        for (var round = 0; round < rounds; round++)
        {
            // another order in every round: whoever comes second has a warmer machine
            if (round % 2 == 0)
            {
                ours.Add(Run(own));
            }
            theirs.Add(Run(other));
            if (round % 2 == 1)
            {
                ours.Add(Run(own));
            }
            Console.Error.WriteLine($"round {round + 1} of {rounds}");
        }
        Console.WriteLine($"medians of {rounds} runs in turn; the ratio is the median of the rounds' ratios");
        Console.WriteLine($"{"",-22}{"here",10}{"peer",10}   peer/here");
        Row("forward, s", cost => cost.Forward);
        Row("step, s", cost => cost.Step);
        Row("step as used, s", cost => cost.UsedStep ?? cost.Step);
        Row("peak memory, MiB", cost => cost.PeakMiB);

        void Row(string name, Func<Cost, double> figure)
        {
            var ratio = Spread.Of(theirs.Zip(ours, (peer, here) => figure(peer) / figure(here)));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-22}{Digits(Statistics.Median(ours.Select(figure))),10}"
                + $"{Digits(Statistics.Median(theirs.Select(figure))),10}   {ratio}"));
        }
    }

    private static string Digits(double value) =>
        value.ToString(value < 10 ? "F4" : "F0", CultureInfo.InvariantCulture);

    private static Cost Run((string Program, string Arguments) command)
    {
        var line = Output(command.Program, command.Arguments).Split('\n')
            .LastOrDefault(line => line.TrimStart().StartsWith('{'))
            ?? throw new InputException($"{command.Program} {command.Arguments} printed no line of JSON.");
        return Cost.Of(line, command.Program);
    }

    /// <summary>What a program prints on standard output.</summary>
    /// <param name="program">Its file, or a name on the path.</param>
    /// <param name="arguments">As they are typed.</param>
    /// <exception cref="InputException">
    /// It cannot be run, or ends with another exit code than 0.
    /// </exception>
    internal static string Output(string program, string arguments)
    {
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
            })!;
        }
        catch (Win32Exception e)
        {
            throw new InputException($"{program} cannot be run: {e.Message}.");
        }
        using (process)
        {
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? output
                : throw new InputException($"{program} {arguments} ended with exit code {process.ExitCode}.");
        }
    }

    /// <summary>What this process runs, where its program is dotnet itself.</summary>
    internal static string[] OwnAssembly() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [typeof(PeerCommand).Assembly.Location] : [];

    /// <param name="Forward">Seconds of a forward pass.</param>
    /// <param name="Step">Seconds of a step, every token of the last block.</param>
    /// <param name="UsedStep">Seconds of a step as training does it; null: not told.</param>
    /// <param name="PeakMiB">Most memory of the process.</param>
    private sealed record Cost(double Forward, double Step, double? UsedStep, double PeakMiB)
    {
        public static Cost Of(string json, string program)
        {
            try
            {
                var figures = JsonDocument.Parse(json).RootElement;
                double Figure(string name) => figures.GetProperty(name).GetDouble();
                return new Cost(Figure("forward_s"), Figure("step_s"),
                    figures.TryGetProperty("used_step_s", out var used) ? used.GetDouble() : null,
                    Figure("peak_mib"));
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
            {
                throw new InputException($"{program} printed '{json}'; a JSON object with the numbers forward_s, "
                    + "step_s and peak_mib is expected.");
            }
        }
    }
}
