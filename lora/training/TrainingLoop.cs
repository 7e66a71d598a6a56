using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>How long a run will take, measured before it begins.</summary>
/// <param name="Steps">Of the whole run.</param>
/// <param name="Tokens">Of all steps together.</param>
/// <param name="TokensPerSecond">Forward and backward.</param>
public sealed record RunEstimate(int Steps, double Tokens, double TokensPerSecond)
{
    /// <summary>Of all steps; validation not included.</summary>
    public double Seconds => Tokens / TokensPerSecond;
}

/// <summary>
/// What all kinds of training have in common: batches in an order drawn by seed, gradients added up
/// over <see cref="TrainingOptions.Accumulate"/> of them, clipped, a step, and now and then a look
/// at the validation texts, whose best state is kept; saving, and going on. Same options, data and
/// model: same weights, bit for bit. A kind of training says what the loss of a batch is.
/// </summary>
public abstract class TrainingLoop
{
    private protected TrainingLoop(Module model, IBackend backend, RandomStream dropoutStream, TrainingOptions options)
    {
        options.Check();
        (Model, Backend, DropoutStream, Options) = (model, backend, dropoutStream, options);
        Trainable = [.. model.NamedParameters().Where(entry => entry.Parameter.IsTrainable)];
        if (Trainable.Count == 0)
        {
            throw new InputException("Nothing in the model is trainable: everything is frozen.");
        }
    }

    /// <summary>After every step.</summary>
    public event Action<StepMetrics>? StepDone;

    /// <summary>
    /// After every look at the validation texts; without any, where there would be one.
    /// </summary>
    public event Action<ValidationMetrics>? Validated;

    /// <summary>After the run has been saved, with the number of steps that it has taken.</summary>
    public event Action<int>? CheckpointSaved;

    /// <summary>Numbers that are trained.</summary>
    public long TrainableParameters => Trainable.Sum(entry => (long)entry.Parameter.Shape.Count);

    internal TrainingOptions Options { get; }

    internal Module Model { get; }

    internal IBackend Backend { get; }

    /// <summary>Where the seeds of the model's dropout masks come from.</summary>
    internal RandomStream DropoutStream { get; }

    internal IReadOnlyList<(string Path, Parameter Parameter)> Trainable { get; }

    /// <summary>What <see cref="Estimate"/> measures with.</summary>
    internal virtual TimeProvider Clock => TimeProvider.System;

    /// <summary>
    /// Forward and backward of the batches of one step; the gradients add to those that are there.
    /// Must depend on nothing but the model, the dropout stream, the batches and the epoch.
    /// </summary>
    /// <param name="group">At least one batch.</param>
    /// <param name="epoch">From 1.</param>
    /// <returns>
    /// The loss: the mean over everything in the group that has one, so that the sizes of the
    /// batches do not matter.
    /// </returns>
    internal abstract float AddGradients(IReadOnlyList<PackedBatch> group, int epoch);

    /// <summary>How the model does on the texts laid aside.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    internal abstract Score Validate(IReadOnlyList<EncodedExample> validation, CancellationToken cancellation);

    /// <summary>Every option that decides the result, by its name.</summary>
    internal abstract IReadOnlyDictionary<string, object?> IdentifyingOptions();

    /// <summary>
    /// Measures batches of one text and of as many of the run's as time allows, and forgets what
    /// they did: the run's results stay the same, bit for bit. After the first text, without which
    /// nothing is known, it takes a hundredth of the time that it foretells, or a fifth of a second
    /// if that is more, so that a short run is not waited for.
    /// </summary>
    /// <param name="train">At least one text.</param>
    /// <exception cref="InvalidOperationException">
    /// The model predicts, or is changed or trained on another thread.
    /// </exception>
    public RunEstimate Estimate(IReadOnlyList<EncodedExample> train)
    {
        const double share = 0.01, worthwhile = 0.2;
        var (steps, stepsOfEpoch) = Length(new BatchSampler(train, Options.BatchSize), Options);
        var tokensOfEpoch = train.Sum(text => (double)text.TokenIds.Length);
        var estimate = new RunEstimate(steps, tokensOfEpoch * steps / stepsOfEpoch, 0);
        var states = RandomStreams().Select(stream => (Stream: stream, stream.Seed, stream.Position)).ToArray();
        return InTrainingMode(() =>
        {
            var spent = 0.0;
            for (var size = 1; size > 0; size = LargestAffordable(size, spent))
            {
                // The first batch of a size fills the memory pool, and on a GPU compiles kernels: it takes time, but
                // says nothing about the batches to come.
                var (_, first) = Measure(train, size);
                var (tokens, second) = Measure(train, size);
                spent += size == 1 ? second : first + second;
                estimate = estimate with { TokensPerSecond = tokens / second };
            }
            foreach (var (stream, seed, position) in states)
            {
                stream.Restore(seed, position);
            }
            return estimate;
        });

        // The run's batch size or the largest power of two below it whose two batches end in time; 0 if there is none
        // above the last size. Larger batches are at least as fast for each token, so that they hardly take longer.
        int LargestAffordable(int last, double spent)
        {
            var secondsPerText = tokensOfEpoch / train.Count / estimate.TokensPerSecond;
            var left = Math.Max(worthwhile, share * estimate.Seconds) - spent;
            return Sizes(Math.Min(Options.BatchSize, train.Count))
                .LastOrDefault(size => size > last && 2 * size * secondsPerText <= left);
        }
    }

    /// <summary>
    /// Forward and backward of the first batch that there would be with another batch size.
    /// </summary>
    private (int Tokens, double Seconds) Measure(IReadOnlyList<EncodedExample> train, int size)
    {
        var batch = new BatchSampler(train, size, Options.Seed, Options.Shuffle).Epoch(0).First();
        var start = Clock.GetTimestamp();
        AddGradients([batch], epoch: 1);
        var seconds = Math.Max(Clock.GetElapsedTime(start).TotalSeconds, 1e-9);
        Model.ZeroGradient();
        return (batch.Tokens, seconds);
    }

    /// <summary>1, 2, 4, … and the full size.</summary>
    private static IEnumerable<int> Sizes(int full)
    {
        for (var size = 1; size < full; size *= 2)
        {
            yield return size;
        }
        yield return full;
    }

    /// <summary>The steps of a run and of an epoch.</summary>
    internal static (int Steps, int StepsOfEpoch) Length(BatchSampler sampler, TrainingOptions options)
    {
        var stepsOfEpoch = (int)(((long)sampler.BatchesPerEpoch + options.Accumulate - 1) / options.Accumulate);
        return ((int)Math.Min(options.MaxSteps ?? int.MaxValue, (long)stepsOfEpoch * options.Epochs), stepsOfEpoch);
    }

    /// <summary>
    /// The streams that dropout masks are drawn from: the model's, and an adapter's own.
    /// </summary>
    internal RandomStream[] RandomStreams() =>
        [.. Model.NamedModules().Select(entry => entry.Module).OfType<Dropout>().Select(dropout => dropout.Random)
            .Prepend(DropoutStream).Distinct()];

    private protected TrainingResult Run(IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation,
        CancellationToken cancellation, CheckpointOptions? checkpoint)
    {
        using var own = checkpoint is null ? null : OutputLock.TakeUnlessHeld(checkpoint.Path);
        checkpoint?.Check();
        DropoutStream.Restore(Seeds.Dropout(Options.Seed));
        return InTrainingMode(() =>
        {
            using var run = new TrainingRun(this, train, validation is { Count: > 0 } ? validation : null, cancellation,
                checkpoint);
            return run.Run();
        });
    }

    internal void Report(StepMetrics step) => StepDone?.Invoke(step);

    internal void Report(ValidationMetrics look) => Validated?.Invoke(look);

    internal void ReportSaved(int steps) => CheckpointSaved?.Invoke(steps);

    private T InTrainingMode<T>(Func<T> work)
    {
        using var use = Model.Use.Train();
        Model.Train();
        try
        {
            return work();
        }
        finally
        {
            Model.Evaluate();
            Model.ZeroGradient();
        }
    }
}
