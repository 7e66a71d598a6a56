using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>How long a run will take, measured before it begins.</summary>
/// <param name="Steps">Of the whole run.</param>
/// <param name="Tokens">Of all steps together.</param>
/// <param name="TokensPerSecond">Forward and backward.</param>
internal sealed record RunEstimate(int Steps, double Tokens, double TokensPerSecond)
{
    /// <summary>
    /// Before the first step: computing what frozen layers give for every example. The steps begin
    /// with that, and <see cref="TokensPerSecond"/> are theirs.
    /// </summary>
    public double KeepingSeconds { get; init; }

    /// <summary>Steps of an epoch, which the run may end before.</summary>
    public int StepsOfEpoch { get; init; } = Steps;

    /// <summary>Memory of the device; null where it was not asked for.</summary>
    public MemoryEstimate? Memory { get; init; }

    /// <summary>Of all steps, and what comes before them; validation not included.</summary>
    public double Seconds => KeepingSeconds + StepSeconds;

    /// <summary>Of all steps.</summary>
    public double StepSeconds => Tokens / TokensPerSecond;

    /// <summary>Of the steps of an epoch.</summary>
    public double EpochSeconds => StepSeconds * StepsOfEpoch / Steps;
}

/// <summary>
/// Measures batches of one example and of as many of the run's as time allows, and forgets what
/// they did. After the first example, without which nothing is known, it takes a hundredth of the
/// time that it foretells, or a fifth of a second if that is more, so that a short run is not
/// waited for.
/// </summary>
/// <param name="task">In training mode.</param>
/// <param name="options">Batch size, order and length of the run.</param>
/// <param name="examples">What the run trains on; at least one.</param>
/// <param name="time">Tells the time; null: the system's.</param>
internal sealed class RunEstimator(ITrainingTask task, TrainingOptions options, IReadOnlyList<EncodedExample> examples,
    TimeProvider? time = null)
{
    private const double Share = 0.01, Worthwhile = 0.2;

    private readonly TimeProvider time = time ?? TimeProvider.System;
    private readonly double tokensOfEpoch = examples.Sum(example => (double)example.TokenIds.Length);

    /// <summary>Measures; the task is afterwards as it was.</summary>
    public RunEstimate Measure()
    {
        var length = RunLength.Of(examples.Count, options);
        var estimate = new RunEstimate(length.Steps, tokensOfEpoch * length.Steps / length.StepsOfEpoch, 0)
        {
            StepsOfEpoch = length.StepsOfEpoch,
        };
        var states = task.RandomStreams().Select(stream => (Stream: stream, stream.Seed, stream.Position)).ToArray();
        var spent = 0.0;
        for (var size = 1; size > 0; size = LargestAffordable(size, spent, estimate))
        {
            // The first batch of a size fills the memory pool, and on a GPU compiles kernels: it takes time, but says
            // nothing about the batches to come.
            var first = Measure(size);
            var second = Measure(size);
            spent += second.Keeping + second.Seconds + (size == 1 ? 0 : first.Keeping + first.Seconds);
            estimate = estimate with
            {
                TokensPerSecond = second.Tokens / second.Seconds,
                KeepingSeconds = tokensOfEpoch / second.Tokens * second.Keeping,
            };
        }
        foreach (var (stream, seed, position) in states)
        {
            stream.Restore(seed, position);
        }
        return estimate;
    }

    /// <summary>
    /// Forward and backward of the first batch that there would be with another batch size; before
    /// it, where the run does so too, what its frozen layers give.
    /// </summary>
    private (int Tokens, double Keeping, double Seconds) Measure(int size)
    {
        var batch = new BatchSampler(examples, size, options.Seed, options.Shuffle).Epoch(0).First();
        var start = time.GetTimestamp();
        using var kept = FrozenLayers.Repeats(examples, options)
            ? task.Keep(examples, batch.RowIndices, null, CancellationToken.None) : null;
        var keeping = kept is null ? 0 : time.GetElapsedTime(start).TotalSeconds;
        start = time.GetTimestamp();
        using var loss = task.AddGradients([batch], epoch: 1);
        loss.Item();                                        // when the device has done all of it
        var seconds = Math.Max(time.GetElapsedTime(start).TotalSeconds, 1e-9);
        task.Model.ZeroGradient();
        return (batch.Tokens, keeping, seconds);
    }

    /// <summary>
    /// What the run computes at once, or the largest power of two below it whose two batches end in
    /// time; 0 if there is none above the last size. Larger batches are at least as fast for each
    /// token, so that they hardly take longer.
    /// </summary>
    private int LargestAffordable(int last, double spent, RunEstimate estimate)
    {
        var secondsPerExample = tokensOfEpoch / examples.Count / estimate.TokensPerSecond;
        var left = Math.Max(Worthwhile, Share * estimate.Seconds) - spent;
        return Sizes(Math.Min(options.ExamplesAtOnce, examples.Count))
            .LastOrDefault(size => size > last && 2 * size * secondsPerExample <= left);
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
}

/// <summary>The steps of a run and of an epoch.</summary>
internal readonly record struct RunLength(int Steps, int StepsOfEpoch)
{
    /// <summary>Of a run over so many examples.</summary>
    public static RunLength Of(int examples, TrainingOptions options)
    {
        var examplesOfStep = (long)options.BatchSize * options.Accumulate;
        var stepsOfEpoch = (int)((examples + examplesOfStep - 1) / examplesOfStep);
        return new((int)Math.Min(options.MaxSteps ?? int.MaxValue, (long)stepsOfEpoch * options.Epochs), stepsOfEpoch);
    }
}
