using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The state of one run of a <see cref="TrainingLoop"/>. What the rest of the run depends on: the
/// parameters, the optimizer, the random streams, the steps and looks so far, the best state. A
/// checkpoint holds all of it, and only between two steps, so that no gradient is ever half added
/// up in it.
/// </summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly TrainingLoop loop;
    private readonly TrainingOptions options;
    private readonly IReadOnlyList<EncodedExample>? validation;
    private readonly CancellationToken cancellation;
    private readonly CheckpointOptions? checkpoint;
    private readonly RunIdentity? identity;         // null without a checkpoint
    private readonly BatchSampler sampler;
    private readonly Optimizer optimizer;
    private readonly Parameter[] trainable;
    private readonly RandomStream[] random;
    private readonly LinearSchedule schedule;
    private readonly int stepsOfEpoch, steps;
    private readonly List<StepMetrics> metrics = [];
    private readonly List<ValidationMetrics> validations = [];
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly double secondsBefore;          // of the run that this one goes on with
    private double stepSeconds;                     // of all steps together
    private float[][]? bestState;                   // null while the model itself holds the best state
    private bool stopped;

    public TrainingRun(TrainingLoop loop, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation, CancellationToken cancellation, CheckpointOptions? checkpoint)
    {
        (this.loop, options, this.validation, this.cancellation, this.checkpoint) =
            (loop, loop.Options, validation, cancellation, checkpoint);
        sampler = new BatchSampler(train, options.BatchSize, options.Seed, options.Shuffle);
        (steps, stepsOfEpoch) = TrainingLoop.Length(sampler, options);
        schedule = Schedule(steps, options);
        trainable = [.. loop.Trainable.Select(entry => entry.Parameter)];
        random = loop.RandomStreams();
        identity = checkpoint is null
            ? null : RunIdentity.Of(loop.Model, loop.Backend, loop.IdentifyingOptions(), ("to train on", train),
                ("laid aside for validation", validation ?? []));
        optimizer = TrainingSetup.CreateOptimizer(loop.Model, options);
        if (checkpoint is { Resume: true })
        {
            ResumeFrom(checkpoint.Path);
        }
        secondsBefore = metrics.Count > 0 ? metrics[^1].Seconds : 0;
        stepSeconds = metrics.Sum(step => step.StepSeconds);
    }

    private int StepsUntilLastValidation => validations.Count > 0 ? validations[^1].Step : 0;

    /// <summary>The last step asks for a look, and none was taken since.</summary>
    private bool IsValidationDue => metrics.Count > StepsUntilLastValidation
        && (metrics.Count == steps || metrics.Count % stepsOfEpoch == 0 || options.ValidateEvery > 0
            && metrics.Count % options.ValidateEvery == 0);

    private ValidationMetrics? Best => validations.FindLast(look => look.IsBest);

    public TrainingResult Run()
    {
        stopped = cancellation.IsCancellationRequested;
        if (checkpoint is { Every: > 0, Resume: false } && !stopped)
        {
            Save();
        }
        if (IsValidationDue && !stopped)                  // a run that was stopped in the middle of it
        {
            ValidateNow();
        }
        while (!stopped && metrics.Count < steps)
        {
            Epoch(metrics.Count / stepsOfEpoch);
        }
        return Finish();
    }

    public void Dispose() => optimizer.Dispose();

    /// <summary>What is left of an epoch, or of the run within it.</summary>
    /// <param name="epoch">From 0.</param>
    private void Epoch(int epoch)
    {
        foreach (var group in sampler.Epoch(epoch,
            firstBatch: (metrics.Count - epoch * stepsOfEpoch) * options.Accumulate).Chunk(options.Accumulate))
        {
            SetBestAside();
            Step(group, epoch + 1);
            stopped = cancellation.IsCancellationRequested;
            if (stopped || checkpoint is { Every: > 0 } && metrics.Count % checkpoint.Every == 0)
            {
                Save();
            }
            if (stopped || IsValidationDue)
            {
                ValidateNow();
            }
            if (stopped || metrics.Count == steps)
            {
                return;
            }
        }
    }

    private void Step(PackedBatch[] group, int epoch)
    {
        var start = clock.Elapsed.TotalSeconds;
        var loss = loop.AddGradients(group, epoch);
        var norm = GradientClipping.ClipNorm(trainable, options.Clip > 0 ? options.Clip : float.MaxValue);
        if (!float.IsFinite(loss) || !float.IsFinite(norm))
        {
            throw Diverged(loss, norm);
        }
        optimizer.LearningRate = options.ResolvedLearningRate * schedule.Factor(metrics.Count);
        optimizer.Step();
        optimizer.ZeroGradient();

        var end = clock.Elapsed.TotalSeconds;
        stepSeconds += end - start;
        var left = stepSeconds / (metrics.Count + 1) * (steps - metrics.Count - 1);
        metrics.Add(new StepMetrics(metrics.Count + 1, steps, epoch, loss, optimizer.LearningRate, norm,
            group.Sum(batch => batch.Tokens), end - start, secondsBefore + end, left));
        loop.Report(metrics[^1]);
    }

    /// <summary>
    /// Validates, and takes the result down. A stopped run has been saved without it: the one that
    /// goes on takes the look when it is due.
    /// </summary>
    private void ValidateNow()
    {
        var result = stopped ? null : Validate();
        // Steps have different numbers of tokens but, the last one of an epoch apart, equally many texts.
        var loss = metrics.Skip(StepsUntilLastValidation).Average(step => step.Loss);
        var isBest = result is not null && (Best is null || result.IsBetterThan(Best.Validation!));
        if (isBest)
        {
            bestState = null;
        }
        validations.Add(new ValidationMetrics(metrics[^1].Epoch, metrics.Count, loss, result, isBest));
        loop.Report(validations[^1]);
        if (!stopped)
        {
            stopped = cancellation.IsCancellationRequested;
            if (stopped || checkpoint is { Every: > 0 })
            {
                Save();
            }
        }
    }

    /// <summary>Null without validation texts, and where the run is cancelled meanwhile.</summary>
    private Score? Validate()
    {
        try
        {
            return validation is null ? null : loop.Validate(validation, cancellation);
        }
        catch (OperationCanceledException)
        {
            stopped = true;
            Save();
            return null;
        }
    }

    /// <summary>
    /// Copies the best state before the next step overwrites it; that of the last step needs no
    /// copy.
    /// </summary>
    private void SetBestAside()
    {
        if (bestState is null && Best is { } best && best.Step == metrics.Count)
        {
            bestState = [.. trainable.Select(parameter => parameter.ToArray())];
        }
    }

    private void Save()
    {
        if (checkpoint is null)
        {
            return;
        }
        TrainingCheckpoint.Write(checkpoint.Path, loop.Trainable, optimizer, bestState,
            new RunProgress(identity!, [.. random.Select(stream => new StreamState(stream.Seed, stream.Position))],
                optimizer.StepsOf, metrics, validations));
        loop.ReportSaved(metrics.Count);
    }

    private void ResumeFrom(string path)
    {
        using var saved = TrainingCheckpoint.Open(path);
        var progress = saved.Progress;
        identity!.RequireSame(progress.Identity, path);
        bestState = saved.Restore(loop.Trainable, optimizer);
        foreach (var (stream, state) in random.Zip(progress.Random))
        {
            stream.Restore(state.Seed, state.Position);
        }
        metrics.AddRange(progress.Steps);
        validations.AddRange(progress.Validations);
    }

    private TrainingResult Finish()
    {
        if (bestState is not null)
        {
            foreach (var (parameter, values) in trainable.Zip(bestState))
            {
                parameter.Set(values);
            }
        }
        RequireNumbers();
        var isWhole = metrics.Count == steps
            && (validation is null || validations is [.., { Validation: not null } last] && last.Step == steps);
        return new TrainingResult(metrics.Count, steps, Best?.Step ?? metrics.Count, Best?.Validation, !isWhole,
            loop.TrainableParameters,
            secondsBefore + clock.Elapsed.TotalSeconds, metrics, validations);
    }

    /// <summary>
    /// The last step of all is followed by no loss that would show that it went astray.
    /// </summary>
    private void RequireNumbers()
    {
        foreach (var (path, parameter) in loop.Trainable)
        {
            if (Array.Exists(parameter.ToArray(), value => !float.IsFinite(value)))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"After step {metrics.Count} '{path}' holds values that are no numbers: the training has "
                        + $"diverged, and nothing is saved. Lower option 'lr' (now {options.ResolvedLearningRate}), "
                        + $"or clip the gradients (option 'clip' 1)."));
            }
        }
    }

    private static LinearSchedule Schedule(int steps, TrainingOptions options)
    {
        if (options.Warmup >= steps && options.Warmup >= 1)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'warmup' is "
                + $"{options.Warmup} steps, and the run has {steps}: the learning rate would never reach option "
                + $"'lr'. Warm up for fewer steps, or name a share below 1."));
        }
        // A share never takes the whole run: its only step would have the learning rate 0.
        var warmup = options.Warmup < 1 ? Math.Min(steps - 1, Math.Ceiling(options.Warmup * steps)) : options.Warmup;
        return new LinearSchedule((int)warmup, steps, options.Schedule == ScheduleKind.Linear);
    }

    private InputException Diverged(float loss, float norm) => new(string.Create(CultureInfo.InvariantCulture,
        $"Step {metrics.Count + 1}: the loss is {loss} and the gradient norm {norm}: the training has diverged. "
            + $"Lower option 'lr' (now {options.ResolvedLearningRate}), or clip the gradients (option 'clip' 1)."));
}
