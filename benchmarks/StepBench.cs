using System.Diagnostics;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Benchmarks;

/// <summary>What training steps of a classifier cost: seconds and memory.</summary>
internal sealed class StepBench : IDisposable
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1);

    private readonly IBackend backend;
    private readonly int batch, length;
    private readonly TrainingStep step;

    /// <param name="backend">Where it computes.</param>
    /// <param name="config">The model's sizes.</param>
    /// <param name="options">What is trained, and how.</param>
    /// <param name="batch">Texts of a batch.</param>
    /// <param name="length">Tokens of each.</param>
    public StepBench(IBackend backend, EncoderConfig config, TrainingOptions options, int batch, int length)
    {
        (this.backend, this.batch, this.length) = (backend, batch, length);
        step = new TrainingStep(backend, config, options);
    }

    /// <summary>What is measured.</summary>
    public FineTuning Tuning => step.Tuning;

    /// <summary>Bytes of the weights.</summary>
    public long WeightBytes => step.Model.WeightBytes();

    /// <summary>Median seconds of a forward pass that keeps nothing, and of a whole step.</summary>
    /// <param name="repetitions">Of each.</param>
    /// <param name="everyToken">Whether the last block computes every token.</param>
    public (double Forward, double Step) Cost(int repetitions, bool everyToken)
    {
        step.Model.ComputesEveryToken = everyToken;
        step.Model.Evaluate();
        var forward = Seconds(repetitions, () => step.Forward(PackedBatch.Of(Texts())));
        step.Model.Train();
        return (forward, Seconds(repetitions, () => step.Step(PackedBatch.Of(Texts()))));
    }

    /// <summary>
    /// Median seconds of a step that begins with the kept output of the frozen layers.
    /// </summary>
    public double CostOfKept(int repetitions)
    {
        EncodedExample[] examples = [.. Enumerable.Range(0, repetitions + 1).SelectMany(_ => Texts())];
        var batches = new BatchSampler(examples, batch, shuffle: false).Epoch(0).ToArray();
        using var outputs = Tuning.Training.Task.Keep(examples, null, null, CancellationToken.None);
        var next = 0;
        return Seconds(repetitions, () => step.Step(batches[next++ % batches.Length]));
    }

    /// <summary>A step in micro-batches that processes share.</summary>
    /// <param name="repetitions">Steps that count.</param>
    /// <param name="part">
    /// Examples of a micro-batch; all of a batch: at once, by one process.
    /// </param>
    /// <param name="processes">All make the same number of steps.</param>
    public ProcessesCommand.Cost CostShared(int repetitions, int part, ProcessGroup processes)
    {
        const int warmUp = 3;                                       // steps: all processes must make as many
        var task = Tuning.Training.Task;
        step.Model.Train();
        var gradients = new MicroBatchGradients(task, processes);
        var (seconds, bytes, exchange) = (new List<double>(), 0L, 0.0);
        for (var i = 0; i < warmUp + repetitions; i++)
        {
            PackedBatch[] parts = [.. Texts().Chunk(part).Select(some => PackedBatch.Of(some))];
            processes.Wait();
            (bytes, exchange) = i == warmUp ? (gradients.BytesSent, gradients.ExchangeSeconds) : (bytes, exchange);
            var clock = Stopwatch.StartNew();
            step.Optimizer.ZeroGradient();
            if (part < batch)
            {
                gradients.Add(parts, i, epoch: 1);
            }
            else
            {
                task.AddGradients(parts, epoch: 1).Dispose();
            }
            step.Optimizer.Step();
            backend.Synchronize();
            seconds.Add(clock.Elapsed.TotalSeconds);
        }
        return new ProcessesCommand.Cost(Statistics.Median(seconds.Skip(warmUp)),
            (double)(gradients.BytesSent - bytes) / repetitions, (gradients.ExchangeSeconds - exchange) / repetitions);
    }

    /// <summary>
    /// Bytes that a forward pass of training, as the steps before made it, leaves held for its
    /// backward pass: the activations.
    /// </summary>
    public long ActivationBytes()
    {
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(Texts()), backend);
        var before = backend.Memory.InUse;
        Tensor loss;
        using (var forward = new TensorScope())
        {
            loss = forward.Return(step.Model.Forward(tokens).CrossEntropy(tokens.Labels));
        }
        var held = backend.Memory.InUse - before;
        loss.Backward();
        step.Optimizer.ZeroGradient();
        return held;
    }

    public void Dispose() => step.Dispose();

    /// <summary>
    /// After some that do not count: the pool fills, and the runtime compiles the code once more
    /// while it runs, which takes one of the cores away.
    /// </summary>
    private static double Seconds(int repetitions, Action action)
    {
        var warmUp = Stopwatch.StartNew();
        do
        {
            action();
        }
        while (warmUp.Elapsed < WarmUp);
        return Statistics.Median(Enumerable.Range(0, repetitions).Select(_ =>
        {
            var clock = Stopwatch.StartNew();
            action();
            return clock.Elapsed.TotalSeconds;
        }).ToArray());
    }

    private EncodedExample[] Texts() => step.Texts(batch, length);
}
