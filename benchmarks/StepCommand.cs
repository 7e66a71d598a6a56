using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Benchmarks;

/// <summary>
/// One training step of a DistilBERT-shaped classifier with random weights, whose values do not
/// change the cost: median seconds of a forward pass and of a whole step (forward, backward, SGD),
/// and the peak memory of the process. Every repetition has fresh random ids, dropout is off and
/// nothing is cached from one step to the next. Twice: "same work" computes every token of the last
/// block, as other programs do, and is what to compare with theirs; "as used" computes there what
/// [CLS] needs, as training does. Where layers are frozen below all that is trained (--lora-layers,
/// last-layers), a third time: "kept" begins with their output, as training does after computing it
/// once. With --recompute the blocks are computed again in the backward pass.
/// </summary>
internal static class StepCommand
{
    private static readonly Dictionary<string, TrainingMethod> Modes = new()
    {
        ["lora"] = TrainingMethod.LoRA,
        ["last-layers"] = TrainingMethod.LastLayers,
        ["full"] = TrainingMethod.Full,
    };

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        Backends.Threads = options.Number("threads", 2);
        using var backend = Backends.Open(options.Text("device", Backends.Cpu));
        Device.Default = backend;
        var mode = options.Text("mode", "lora");
        var method = Modes.TryGetValue(mode, out var known)
            ? known : throw new InputException($"--mode {mode}: the modes are {string.Join(", ", Modes.Keys)}.");
        var config = TrainingStep.Dropping(new EncoderConfig
        {
            Layers = options.Number("layers", 6),
            Hidden = options.Number("d", 768),
            Heads = options.Number("heads", 12),
            FeedForward = options.Number("ffn", 3072),
        });
        var training = new TrainingOptions
        {
            Method = method,
            Lora = new LoRASettings(options.Number("rank", 8), Alpha: 16),
            Targets = options.Text("targets", "query,value").Split(','),
            Layers = options.Text("lora-layers", "") is { Length: > 0 } layers ? layers.Split(',') : [],
            TrainHead = method == TrainingMethod.LoRA ? false : null,           // the tutorial's frozen head
            Recompute = options.Flag("recompute"),
            FrozenPrecision = Precision(options.Text("frozen-precision", "float32")),
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 1e-3f,
        };
        var (batch, length, repetitions) =
            (options.Number("batch", 8), options.Number("seq", 128), options.Number("reps", 5));
        var json = options.Flag("json");
        options.RequireAllUsed();
        Measure(config, training, mode, batch, length, repetitions, json, backend);
        return 0;
    }

    private static FrozenPrecision Precision(string word) => word switch
    {
        "float32" => FrozenPrecision.Float32,
        "float16" => FrozenPrecision.Float16,
        _ => throw new InputException($"--frozen-precision {word}: expected float32 or float16."),
    };

    private static void Measure(EncoderConfig config, TrainingOptions training, string mode, int batch, int length,
        int repetitions, bool json, IBackend backend)
    {
        using var bench = new StepBench(backend, config, training, batch, length);
        var tuning = bench.Tuning;
        var same = bench.Cost(repetitions, everyToken: true);
        // of the same work: the peak of a process never falls
        var (peak, devicePeak, reserved) =
            (PeakMiB(), backend.Memory.PeakInUse >> 20, backend.Memory.Reserved >> 20);
        var activations = bench.ActivationBytes() >> 20;
        var used = bench.Cost(repetitions, everyToken: false);
        double? kept = tuning.Frozen.CanBeKept ? bench.CostOfKept(repetitions) : null;
        var trainable = tuning.TrainableParameters;
        var again = training.Recompute ? ", blocks computed again in the backward pass" : "";
        Console.WriteLine(json
            ? JsonSerializer.Serialize(new Dictionary<string, object>
            {
                ["mode"] = mode,
                ["batch"] = batch,
                ["seq"] = length,
                ["rank"] = training.Lora.Rank,
                ["trainable"] = trainable,
                ["forward_s"] = Math.Round(same.Forward, 4),
                ["step_s"] = Math.Round(same.Step, 4),
                ["used_forward_s"] = Math.Round(used.Forward, 4),
                ["used_step_s"] = Math.Round(used.Step, 4),
                ["kept_step_s"] = Math.Round(kept ?? 0, 4),
                ["recompute"] = training.Recompute,
                ["activations_mib"] = activations,
                ["weights_mib"] = bench.WeightBytes >> 20,
                ["peak_mib"] = peak,
                ["device"] = backend.Description,
                ["device_mib"] = devicePeak,
                ["reserved_mib"] = reserved,
                ["threads"] = (backend as CpuBackend)?.Workers.Threads ?? 0,
            })
            : string.Create(CultureInfo.InvariantCulture,
                $"""
                {backend.Description}: {mode}, {batch} × {length} tokens, {trainable:N0} trainable{again}
                  memory      peak {peak} MiB; of tensors {devicePeak} MiB in {reserved} taken from the system,
                              weights {bench.WeightBytes >> 20} MiB, held for the backward pass {activations} MiB
                  same work   forward {same.Forward:F4} s, step {same.Step:F4} s   every token of the last block
                  as used     forward {used.Forward:F4} s, step {used.Step:F4} s   the last block for [CLS]
                """) + (kept is null ? "" : string.Create(CultureInfo.InvariantCulture, $"""

                  kept        {"",17} step {kept:F4} s   from the output of the {tuning.Frozen.Count} frozen layers
                """)));
    }

    /// <summary>
    /// VmHWM, the most physical memory that the process ever had; where the system does not say,
    /// its peak working set.
    /// </summary>
    internal static long PeakMiB()
    {
        const string status = "/proc/self/status", key = "VmHWM:";
        if (File.Exists(status))
        {
            var line = File.ReadLines(status).First(text => text.StartsWith(key, StringComparison.Ordinal));
            return long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(),
                CultureInfo.InvariantCulture) / 1024;
        }
        return Process.GetCurrentProcess().PeakWorkingSet64 >> 20;
    }
}
