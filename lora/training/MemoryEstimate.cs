using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The memory of the device at the moment of a run at which most of it is in use, in bytes: the
/// tensors, without the kernels' own working memory and without what .NET holds on the host.
/// </summary>
/// <param name="Weights">The model and its adapter, trained or frozen.</param>
/// <param name="Gradients">Of what is trained, as far as they are there at that moment.</param>
/// <param name="Optimizer">What it keeps for each trained element.</param>
/// <param name="Activations">What the forward pass holds for the backward pass.</param>
/// <param name="Workspace">All else: the gradients of intermediate results, dropout masks.</param>
internal sealed record MemoryEstimate(long Weights, long Gradients, long Optimizer, long Activations, long Workspace)
{
    /// <summary>Tokens of the batch in which it is so much.</summary>
    public int Tokens { get; init; }

    /// <summary>What runs at that moment.</summary>
    public MemoryMoment Moment { get; init; }

    /// <summary>All together.</summary>
    public long Total => Weights + Gradients + Optimizer + Activations + Workspace;
}

/// <summary>When a run needs most memory.</summary>
internal enum MemoryMoment
{
    /// <summary>In a step.</summary>
    Step,

    /// <summary>In a validation.</summary>
    Validation,

    /// <summary>While the frozen layers' output is computed, before the first step.</summary>
    Keeping,
}

/// <summary>
/// Foretells the memory of a run by going through its largest batch without computing anything:
/// every buffer is lent as in the run, and no kernel runs (<see cref="KernelTrace"/>), so that what
/// is in use at every moment is known to the byte, in milliseconds.
/// </summary>
/// <param name="task">In training mode; afterwards it is as it was.</param>
/// <param name="options">Batch size, order, optimizer.</param>
/// <param name="train">What the run trains on; at least one.</param>
/// <param name="validation">Held out; null: none.</param>
internal sealed class MemoryEstimator(ITrainingTask task, TrainingOptions options,
    IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation)
{
    /// <summary>Batches that are looked at for the largest, and held-out examples.</summary>
    private const int MaxBatches = 20_000, MaxExamples = 2_000;

    /// <summary>Tokens of the batches in which frozen layers' output is computed, about.</summary>
    private const int KeptTokens = 4096;

    private readonly IBackend backend = task.Backend;
    private long weights, optimizerBytes;

    /// <summary>Goes through the run's phases.</summary>
    public MemoryEstimate Measure()
    {
        var states = task.RandomStreams().Select(stream => (Stream: stream, stream.Seed, stream.Position)).ToArray();
        try
        {
            weights = backend.Memory.InUse;
            return new[] { OfKeeping(), OfStep(LargestBatch()), OfValidation() }.OfType<MemoryEstimate>()
                .MaxBy(estimate => estimate.Total)!;
        }
        finally
        {
            task.ForwardDone = null;
            task.Model.ZeroGradient();
            foreach (var (stream, seed, position) in states)
            {
                stream.Restore(seed, position);
            }
        }
    }

    /// <summary>A step as all but the first are: the optimizer has its state already.</summary>
    private MemoryEstimate OfStep(PackedBatch batch)
    {
        var (activations, peak, gradients) = (0L, 0L, 0L);
        using var optimizer = TrainingSetup.CreateOptimizer(task.Model, options);
        using (new KernelTrace(runsKernels: false) { TakesUploads = true })
        {
            using var kept = Keep(batch.RowIndices);
            task.AddGradients([batch], epoch: 1).Dispose();
            var before = backend.Memory.InUse;
            optimizer.Step();
            optimizerBytes = backend.Memory.InUse - before;
            optimizer.ZeroGradient();
        }
        using (new KernelTrace(runsKernels: false) { TakesUploads = true, Noted = Look })
        {
            using var kept = Keep(batch.RowIndices);
            task.ForwardDone = () => activations = backend.Memory.InUse - weights - optimizerBytes;
            task.AddGradients([batch], epoch: 1).Dispose();
        }
        var rest = peak - weights - optimizerBytes - gradients;
        var held = Math.Min(activations, rest);
        return new MemoryEstimate(weights, gradients, optimizerBytes, held, rest - held) { Tokens = batch.Tokens };

        void Look()
        {
            if (backend.Memory.InUse is var now && now > peak)
            {
                (peak, gradients) = (now, BytesOfGradients());
            }
        }
    }

    /// <summary>Null without held-out examples.</summary>
    private MemoryEstimate? OfValidation()
    {
        if (validation is null)
        {
            return null;
        }
        EncodedExample[] some = [.. validation.Take(MaxExamples)];
        var peak = PeakOf(() => task.Evaluate(some, ProcessGroup.Alone, CancellationToken.None)) + optimizerBytes;
        return new MemoryEstimate(weights, 0, optimizerBytes, 0, peak - weights - optimizerBytes)
        {
            Tokens = some.Max(example => example.TokenIds.Length),
            Moment = MemoryMoment.Validation,
        };
    }

    /// <summary>Null where no output of frozen layers is kept.</summary>
    private MemoryEstimate? OfKeeping()
    {
        var (rows, tokens) = (new List<int>(), 0);
        foreach (var i in Enumerable.Range(0, train.Count).OrderByDescending(i => train[i].TokenIds.Length))
        {
            rows.Add(i);
            tokens += train[i].TokenIds.Length;
            if (tokens > KeptTokens)
            {
                break;
            }
        }
        var isKept = false;
        var peak = PeakOf(() =>
        {
            using var kept = Keep(rows);
            isKept = kept is not null;
        });
        return !isKept ? null : new MemoryEstimate(weights, 0, 0, 0, peak - weights)
        {
            Tokens = tokens,
            Moment = MemoryMoment.Keeping,
        };
    }

    /// <summary>The most bytes in use while something is gone through.</summary>
    private long PeakOf(Action work)
    {
        var peak = weights;
        using (new KernelTrace(runsKernels: false)
        {
            TakesUploads = true,
            Noted = () => peak = Math.Max(peak, backend.Memory.InUse),
        })
        {
            work();
        }
        return peak;
    }

    private IDisposable? Keep(IReadOnlyList<int> rows) => FrozenLayers.Repeats(train, options)
        ? task.Keep(train, rows, null, CancellationToken.None) : null;

    private long BytesOfGradients() => task.Trainable().Sum(entry =>
        entry.Parameter.Gradient is null ? 0L : sizeof(float) * (long)entry.Parameter.Shape.Count);

    /// <summary>That of the run with the most tokens.</summary>
    private PackedBatch LargestBatch()
    {
        var sampler = new BatchSampler(train, options.ExamplesAtOnce, options.Seed, options.Shuffle);
        var steps = RunLength.Of(train.Count, options);
        var batches = Math.Min((long)steps.Steps * options.PartsOfStep, MaxBatches);
        return Enumerable.Range(0, options.Epochs).SelectMany(epoch => sampler.Epoch(epoch)).Take((int)batches)
            .MaxBy(batch => batch.Tokens)!;
    }
}
