using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks.Report;

/// <summary>A LoRA step of DistilBERT's size beside the machine's limit.</summary>
internal static class StepQuestion
{
    private const int Repetitions = 5;

    public static Question Ask(Machine machine, int threads)
    {
        using var backend = new CpuBackend(threads);
        var size = new StepSize(Layers: 6, Hidden: 768, Batch: 8, Length: 128, Rank: 8);
        using var bench = size.Bench(backend);
        var same = bench.Cost(Repetitions, everyToken: true);
        var used = bench.Cost(Repetitions, everyToken: false);
        IReadOnlyList<string> Row(string name, double seconds, double flops) =>
        [
            name, Figures.Time(seconds), Figures.Number(flops * 1e-9, 1), Figures.Time(flops / machine.FlopsPerSecond),
            Figures.Percent(flops / machine.FlopsPerSecond / seconds), Figures.Number(size.Tokens / seconds, 0),
        ];
        return new Question("What does a step cost beside the limit?",
            $"A LoRA step of DistilBERT's size on {size.Batch} texts of {size.Length} tokens takes "
                + $"{Figures.Time(used.Step)}, and {Figures.Time(same.Step)} if every token of the last block is "
                + "computed; those operations at the processor's peak would take "
                + $"{Figures.Time(size.StepFlops / machine.FlopsPerSecond)}. The device held at most "
                + $"{backend.Memory.PeakInUse >> 20} MiB, {bench.WeightBytes >> 20} MiB of them weights.",
            [new ReportTable($"6 blocks, d = 768, r = {size.Rank} on query and value, head frozen, medians of "
                + $"{Repetitions}",
                [
                    ("work", "forward alone keeps nothing; a step is forward, backward and SGD"),
                    ("time", "measured"),
                    ("GFLOP", "operations if every token of every block is computed"),
                    ("at the peak", "these operations at the machine's peak"),
                    ("share", "of the peak; as used the last block is computed for [CLS] alone, so that less is done"),
                    ("tokens/s", "of the batch"),
                ],
                [
                    Row("forward, every token", same.Forward, size.ForwardFlops),
                    Row("step, every token", same.Step, size.StepFlops),
                    Row("forward, as used", used.Forward, size.ForwardFlops),
                    Row("step, as used", used.Step, size.StepFlops),
                ])],
            []);
    }
}
