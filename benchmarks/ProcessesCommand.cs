using System.Globalization;
using System.Text.Json;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Benchmarks;

/// <summary>
/// What several processes make of the cores that one process has: a LoRA step of DistilBERT's size
/// by one process with all threads, as a whole batch and in micro-batches, and by as many processes
/// of one thread as mpirun starts, in turn, each in processes of its own.
/// </summary>
internal static class ProcessesCommand
{
    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var (count, rounds, repetitions) =
            (options.Number("processes", 2), options.Number("rounds", 5), options.Number("reps", 5));
        var (batch, length, part) =
            (options.Number("batch", 8), options.Number("seq", 128), options.Number("micro-batch", 4));
        var mpirun = options.Text("mpirun", "mpirun");
        var isWorker = options.Flag("worker");
        var threads = options.Number("threads", count);
        var (head, json) = (options.Flag("head"), options.Flag("json"));
        options.RequireAllUsed();
        if (isWorker)
        {
            Work(batch, length, part, threads, repetitions, head);
            return 0;
        }
        string[] shape = ["processes", "--worker", "--batch", $"{batch}", "--seq", $"{length}", "--reps",
            $"{repetitions}", .. head ? (string[])["--head"] : []];
        string[] micro = [.. shape, "--micro-batch", $"{part}"];
        (string Name, string Program, string Arguments)[] ways =
        [
            ($"1 process × {threads} threads, whole batch", Own,
                Line([.. shape, "--micro-batch", $"{batch}", "--threads", $"{threads}"])),
            ($"1 process × {threads} threads", Own, Line([.. micro, "--threads", $"{threads}"])),
            ($"{count} processes × {threads / count} threads", Word(mpirun), string.Join(' ',
                [.. mpirun.Split(' ')[1..], "-n", $"{count}", Own, Line([.. micro, "--threads",
                    $"{Math.Max(1, threads / count)}"])])),
        ];
        var costs = ways.Select(_ => new List<Cost>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < ways.Length; i++)
            {
                var way = (i + round) % ways.Length;            // another order in every round
                costs[way].Add(Cost.Of(PeerCommand.Output(ways[way].Program, ways[way].Arguments)));
            }
            Console.Error.WriteLine($"round {round + 1} of {rounds}");
        }
        Print(ways.Select(way => way.Name).ToArray(), costs, json);
        return 0;
    }

    private static string Own => Environment.ProcessPath!;

    private static string Word(string line) => line.Split(' ')[0];

    private static string Line(string[] words) => string.Join(' ', [.. PeerCommand.OwnAssembly(), .. words]);

    private static void Print(string[] names, List<Cost>[] costs, bool json)
    {
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(names.Zip(costs, (name, all) => new { name, costs = all })));
            return;
        }
        Console.WriteLine($"medians of {costs[0].Count} runs in turn; the ratio is the median of the rounds' ratios");
        for (var i = 0; i < names.Length; i++)
        {
            var ratio = Spread.Of(costs[0].Zip(costs[i], (alone, here) => alone.Seconds / here.Seconds));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{names[i],-40}{Statistics.Median(costs[i].Select(cost => cost.Seconds)),8:F4} s   speed {ratio}"));
        }
        var shared = costs[^1];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"each process sends {shared[0].Bytes / 1e6:F2} MB a step, in {Milliseconds(shared):F2} ms"));
    }

    private static double Milliseconds(List<Cost> costs) =>
        1e3 * Statistics.Median(costs.Select(cost => cost.Exchange));

    private static void Work(int batch, int length, int part, int threads, int repetitions, bool head)
    {
        using var processes = MpiProcesses.Join(Launcher.OfThisProcess);
        using var backend = new CpuBackend(threads);
        var config = new EncoderConfig { Dropout = 0, AttentionDropout = 0, ClassifierDropout = 0 };
        using var bench = new StepBench(backend, config, new TrainingOptions
        {
            Lora = new LoRASettings(8, Alpha: 16),
            Targets = ["query", "value"],
            TrainHead = head,
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 1e-3f,
            BatchSize = batch,
            MicroBatch = part < batch ? part : null,
        }, batch, length);
        var cost = bench.CostShared(repetitions, part, processes);
        if (processes.IsFirst)
        {
            Console.WriteLine(JsonSerializer.Serialize(cost));
        }
    }

    /// <param name="Seconds">Median of a step.</param>
    /// <param name="Bytes">That a process sends in it.</param>
    /// <param name="Exchange">Seconds of it in which gradients travel, without waiting.</param>
    internal sealed record Cost(double Seconds, double Bytes, double Exchange)
    {
        /// <summary>The line of JSON in what was printed; mpirun may have printed more.</summary>
        public static Cost Of(string output) => JsonSerializer.Deserialize<Cost>(
            output[output.LastIndexOf('{')..(output.LastIndexOf('}') + 1)])!;
    }
}
