using System.Diagnostics;
using System.Text.Json.Nodes;
using LoraScratch.Benchmarks;
using LoraScratch.Kernels.Gpu;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Check;

/// <summary>
/// Forward pass and LoRA step, r = 8 on query and value: time, the host's share of it, launches,
/// bytes, memory.
/// </summary>
internal static class StepCheck
{
    private const string Section = "steps";

    /// <summary>A model that a simulator trains in seconds.</summary>
    public static EncoderConfig Tiny => TinyDistilBert.Config with { Labels = ["a", "b"] };

    /// <summary>DistilBERT's size.</summary>
    public static EncoderConfig DistilBert => TrainingStep.Dropping(new EncoderConfig());

    /// <summary>Operations of a forward pass.</summary>
    public static double Flops(EncoderConfig config, int batch, int length) =>
        2.0 * batch * length * config.Layers
        * (4.0 * config.Hidden * config.Hidden + 2.0 * config.Hidden * config.FeedForward
            + 2.0 * length * config.Hidden);

    public static void Run(CheckRun run)
    {
        foreach (var (name, config, batches) in new (string, EncoderConfig, (int Batch, int Length)[])[]
        {
            ("tiny", Tiny, [(2, 4)]),
            ("DistilBERT", DistilBert, [(8, 128), (32, 128), (8, 512)]),
        })
        {
            var sizes = batches.Where(size =>
                !run.IsTooMuch(Section, $"{name} {size.Batch} × {size.Length}",
                    2 * Flops(config, size.Batch, size.Length))).ToArray();
            if (sizes.Length == 0)
            {
                continue;
            }
            run.Try(Section, name, () =>
            {
                using var backend = run.Open();
                using var step = new TrainingStep(backend, config, TrainingStep.QueryAndValue());
                foreach (var (batch, length) in sizes)
                {
                    run.Try(Section, $"{name} {batch} × {length}",
                        () => Measure(run, backend, step, name, batch, length));
                }
            });
        }
    }

    private static void Measure(CheckRun run, GpuBackend backend, TrainingStep step, string name, int batch, int length)
    {
        var examples = PackedBatch.Of(step.Texts(batch, length));
        step.Model.Evaluate();
        var forward = CheckRun.Median(run.Seconds(() => step.Forward(examples)));
        step.Model.Train();
        step.Model.ComputesEveryToken = true;
        var everyToken = CheckRun.Median(run.Seconds(() => step.Step(examples)));
        step.Model.ComputesEveryToken = false;
        var seconds = CheckRun.Median(run.Seconds(() => step.Step(examples)));
        backend.ForgetPeak();
        var host = HostSeconds(run, backend, step, examples);
        var (launches, up, down) = Counted(backend, step, examples, out var kernels);
        var peak = backend.Memory.PeakInUse / 1048576.0;
        run.Add(Section, new JsonObject
        {
            ["name"] = name,
            ["batch"] = batch,
            ["length"] = length,
            ["forward_ms"] = Milliseconds(forward),
            ["step_ms"] = Milliseconds(seconds),
            ["step_every_token_ms"] = Milliseconds(everyToken),
            ["host_ms"] = Milliseconds(host),
            ["tokens_per_second"] = Math.Round(batch * length / seconds),
            ["gflops_every_token"] = Math.Round(2e-9 * Flops(step.Model.Config, batch, length) / everyToken, 3),
            ["launches"] = launches,
            ["launches_by_kernel"] = kernels,
            ["bytes_up"] = up,
            ["bytes_down"] = down,
            ["peak_mib"] = Math.Round(peak, 1),
        }, FormattableString.Invariant($"  {$"{name} {batch} × {length}",-20} forward {1e3 * forward:F2} ms, step ")
            + FormattableString.Invariant($"{1e3 * seconds:F2} ms ({1e3 * everyToken:F2} with every token of the last ")
            + FormattableString.Invariant($"block), of which the host {1e3 * host:F2} ms; {launches} launches, ")
            + FormattableString.Invariant($"{up:N0} bytes up, {down:N0} down; {peak:F1} MiB"));
    }

    /// <summary>
    /// How long the host takes to give a step's kernels to a device that waits for them.
    /// </summary>
    private static double HostSeconds(CheckRun run, GpuBackend backend, TrainingStep step, PackedBatch examples)
    {
        var times = new List<double>();
        run.Seconds(() =>
        {
            var clock = Stopwatch.StartNew();
            step.Issue(examples);
            times.Add(clock.Elapsed.TotalSeconds);
            backend.Synchronize();
        });
        return CheckRun.Median([.. times.Skip(1).Order()]);
    }

    private static (long Launches, long Up, long Down) Counted(GpuBackend backend, TrainingStep step,
        PackedBatch examples, out JsonObject kernels)
    {
        var counts = new Dictionary<string, int>();
        var device = backend.Kernels;
        var (launches, (up, down)) = (device.Launches, device.BytesCopied);
        device.BeforeWork = work => counts[work] = counts.GetValueOrDefault(work) + 1;
        step.Step(examples);
        device.BeforeWork = null;
        kernels = new JsonObject([.. counts.OrderByDescending(entry => entry.Value)
            .Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value))]);
        return (device.Launches - launches, device.BytesCopied.Up - up, device.BytesCopied.Down - down);
    }

    private static double Milliseconds(double seconds) => Math.Round(1e3 * seconds, 3);
}
