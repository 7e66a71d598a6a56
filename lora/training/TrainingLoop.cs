using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// One run of training, whatever the task: batches in an order drawn by seed, gradients added up
/// over <see cref="TrainingOptions.Accumulate"/> of them, clipped, a step, and now and then a
/// validation on held-out examples, whose best state is kept. It owns all that the rest of the run
/// depends on: parameters, optimizer, random streams, steps and validations so far, the best state.
/// A checkpoint holds all of it, and only between two steps, so that no gradient is ever half added
/// up in it. Same options, data and model: same weights, bit for bit.
/// </summary>
internal sealed class TrainingLoop : IDisposable
{
    private readonly ITrainingTask task;
    private readonly TrainingOptions options;
    private readonly IReadOnlyList<EncodedExample>? validation;     // null: none
    private readonly CancellationToken cancellation;
    private readonly CheckpointOptions? checkpoint;                 // null: the run is not saved
    private readonly RunIdentity identity;
    private readonly ProcessGroup processes;
    private readonly MicroBatchGradients? microBatches;             // null: a batch is computed at once
    private readonly BatchSampler sampler;
    private readonly RunLength length;
    private readonly LinearSchedule schedule;
    private readonly IReadOnlyList<(string Path, Parameter Parameter)> trainable;
    private readonly IReadOnlyList<RandomStream> random;
    private readonly Optimizer optimizer;
    private readonly List<StepMetrics> metrics = [];
    private readonly List<ValidationMetrics> validations = [];
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly double secondsBefore;          // of the run that this one resumes
    private double stepSeconds;                     // of all steps together
    private float[][]? bestState;                   // null while the model itself holds the best state
    private bool stopped;

    /// <summary>A run at its beginning, or as it was saved.</summary>
    /// <param name="task">Its model has what is to be trained unfrozen.</param>
    /// <param name="options">Checked.</param>
    /// <param name="train">At least one example.</param>
    /// <param name="validation">Held out; null: the last state is kept.</param>
    /// <param name="cancellation">Ends the run after the step in progress.</param>
    /// <param name="checkpoint">Where it is saved, checked; null: nowhere.</param>
    /// <param name="processes">They share every step; the first saves.</param>
    /// <exception cref="InputException">
    /// The warm-up is longer than the run, or the saved run is another one, or another process
    /// trains something else.
    /// </exception>
    public TrainingLoop(ITrainingTask task, TrainingOptions options, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation, CancellationToken cancellation, CheckpointOptions? checkpoint,
        ProcessGroup processes)
    {
        (this.task, this.options, this.validation, this.cancellation, this.checkpoint, this.processes) =
            (task, options, validation, cancellation, checkpoint, processes);
        sampler = new BatchSampler(train, options.ExamplesAtOnce, options.Seed, options.Shuffle);
        length = RunLength.Of(train.Count, options);
        schedule = LearningRates();
        (trainable, random) = (task.Trainable(), task.RandomStreams());
        identity = TrainingRun.IdentityOf(task, train, validation);
        ProcessAgreement.Require(identity, processes);
        microBatches = options.MicroBatch is null ? null : new MicroBatchGradients(task, processes);
        optimizer = TrainingSetup.CreateOptimizer(task.Model, options);
        if (checkpoint is { Resume: true })
        {
            ProcessAgreement.WithFileOfFirst(checkpoint.Path, processes, ResumeFrom);
        }
        secondsBefore = metrics.Count > 0 ? metrics[^1].Seconds : 0;
        stepSeconds = metrics.Sum(step => step.StepSeconds);
    }

    /// <summary>After every step.</summary>
    public event Action<StepMetrics>? StepDone;

    /// <summary>After every validation, or where there would be one.</summary>
    public event Action<ValidationMetrics>? Validated;

    /// <summary>After the run has been saved, with the number of steps that it has taken.</summary>
    public event Action<int>? CheckpointSaved;

    private int StepsUntilLastValidation => validations.Count > 0 ? validations[^1].Step : 0;

    /// <summary>The last step asks for a validation, and there was none since.</summary>
    private bool IsValidationDue => metrics.Count > StepsUntilLastValidation
        && (metrics.Count == length.Steps || metrics.Count % length.StepsOfEpoch == 0
            || options.ValidateEvery > 0 && metrics.Count % options.ValidateEvery == 0);

    private ValidationMetrics? Best => validations.FindLast(each => each.IsBest);

    /// <summary>
    /// So many validations brought no better state that the options end the run. It follows from
    /// the validations alone, so that a run that is resumed after it has stopped is at its end.
    /// </summary>
    private bool HasStoppedEarly => options.EarlyStopping is { } patience && Best is { } best
        && validations.Count(each => each.Step > best.Step && each.Validation is not null) >= patience;

    private IEnumerable<Parameter> Parameters => trainable.Select(entry => entry.Parameter);

    /// <summary>Whether any of the processes is to stop.</summary>
    private bool IsCancelled => processes.Any(cancellation.IsCancellationRequested);

    /// <summary>Trains to the end, or until it is cancelled.</summary>
    public TrainingResult Run()
    {
        stopped = IsCancelled;
        if (checkpoint is { Every: > 0, Resume: false } && !stopped)
        {
            Save();
        }
        if (IsValidationDue && !stopped)                  // a run that was stopped in the middle of it
        {
            Validate();
        }
        while (!stopped && !HasStoppedEarly && metrics.Count < length.Steps)
        {
            Epoch(metrics.Count / length.StepsOfEpoch);
        }
        return Finish();
    }

    public void Dispose() => optimizer.Dispose();

    /// <summary>What is left of an epoch, or of the run within it.</summary>
    /// <param name="epoch">From 0.</param>
    private void Epoch(int epoch)
    {
        var firstBatch = (metrics.Count - epoch * length.StepsOfEpoch) * options.PartsOfStep;
        foreach (var group in sampler.Epoch(epoch, firstBatch).Chunk(options.PartsOfStep))
        {
            SetBestAside();
            Step(group, epoch + 1);
            stopped = IsCancelled;
            if (stopped || checkpoint is { Every: > 0 } && metrics.Count % checkpoint.Every == 0)
            {
                Save();
            }
            if (stopped || IsValidationDue)
            {
                Validate();
            }
            if (stopped || HasStoppedEarly || metrics.Count == length.Steps)
            {
                return;
            }
        }
    }

    private void Step(PackedBatch[] group, int epoch)
    {
        var start = clock.Elapsed.TotalSeconds;
        var (loss, norm) = AddGradients(group, epoch);
        if (!float.IsFinite(loss) || !float.IsFinite(norm))
        {
            throw Diverged(loss, norm);
        }
        if (options.Clip > 0)
        {
            GradientClipping.Clip(GradientClipping.Gradients(Parameters), norm, options.Clip);
        }
        optimizer.LearningRate = options.ResolvedLearningRate * schedule.Factor(metrics.Count);
        optimizer.Step();
        optimizer.ZeroGradient();

        var end = clock.Elapsed.TotalSeconds;
        stepSeconds += end - start;
        var left = stepSeconds / (metrics.Count + 1) * (length.Steps - metrics.Count - 1);
        metrics.Add(new StepMetrics(metrics.Count + 1, length.Steps, epoch, loss, optimizer.LearningRate, norm,
            group.Sum(batch => batch.Tokens), end - start, secondsBefore + end, left));
        StepDone?.Invoke(metrics[^1]);
    }

    /// <summary>
    /// The loss of a step and the norm of its gradients. Without micro-batches a step waits for its
    /// device here and nowhere else, and before the weights change, so that a step that diverges
    /// leaves them as they were.
    /// </summary>
    private (float Loss, float Norm) AddGradients(PackedBatch[] group, int epoch)
    {
        if (microBatches is not null)
        {
            var sum = microBatches.Add(group, metrics.Count, epoch);
            return (sum, GradientClipping.Norm(GradientClipping.Gradients(Parameters)));
        }
        using var loss = task.AddGradients(group, epoch);
        using var squares = GradientClipping.SumOfSquares(GradientClipping.Gradients(Parameters));
        return squares is not null && Tensor.Items(loss, squares) is [var value, var square]
            ? (value, MathF.Sqrt(square)) : (loss.Item(), 0);
    }

    /// <summary>
    /// Validates, and takes the result down. A stopped run has been saved without it: the one that
    /// resumes it validates when it is due.
    /// </summary>
    private void Validate()
    {
        var score = stopped ? null : Score();
        // Steps have different numbers of tokens but, the last one of an epoch apart, equally many examples.
        var loss = metrics.Skip(StepsUntilLastValidation).Average(step => step.Loss);
        var isBest = score is not null && (Best is null || score.IsBetterThan(Best.Validation!, options.Metric));
        if (isBest)
        {
            bestState = null;
        }
        validations.Add(new ValidationMetrics(metrics[^1].Epoch, metrics.Count, loss, score, isBest));
        Validated?.Invoke(validations[^1]);
        if (!stopped)
        {
            stopped = IsCancelled;
            if (stopped || checkpoint is { Every: > 0 })
            {
                Save();
            }
        }
    }

    /// <summary>Null without held-out examples, and where the run is cancelled meanwhile.</summary>
    private Score? Score()
    {
        try
        {
            return validation is null ? null : task.Evaluate(validation, processes, cancellation);
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
            bestState = [.. Parameters.Select(parameter => parameter.ToArray())];
        }
    }

    private void Save()
    {
        if (checkpoint is null || !processes.IsFirst)
        {
            return;
        }
        TrainingCheckpoint.Write(checkpoint.Path, trainable, optimizer, bestState,
            new RunProgress(identity, [.. random.Select(stream => new StreamState(stream.Seed, stream.Position))],
                optimizer.StepsOf, metrics, validations));
        CheckpointSaved?.Invoke(metrics.Count);
    }

    private void ResumeFrom(string path)
    {
        using var saved = TrainingCheckpoint.Open(path);
        var progress = saved.Progress;
        identity.RequireSame(progress.Identity, path);
        bestState = saved.Restore(trainable, optimizer);
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
            foreach (var (parameter, values) in Parameters.Zip(bestState))
            {
                parameter.Set(values);
            }
        }
        RequireFinite();
        var isWhole = HasStoppedEarly || metrics.Count == length.Steps && (validation is null
            || validations is [.., { Validation: not null } last] && last.Step == length.Steps);
        return new TrainingResult(metrics.Count, length.Steps, Best?.Step ?? metrics.Count, Best?.Validation, !isWhole,
            Parameters.Sum(parameter => (long)parameter.Shape.Count), secondsBefore + clock.Elapsed.TotalSeconds,
            metrics, validations)
        {
            StoppedEarly = HasStoppedEarly && metrics.Count < length.Steps,
            Exchange = microBatches is null || !processes.HasOthers ? null
                : new ExchangeTotals(microBatches.BytesSent, microBatches.ExchangeSeconds),
            Identity = identity,
        };
    }

    /// <summary>
    /// The last step of all is followed by no loss that would show that it went astray.
    /// </summary>
    private void RequireFinite()
    {
        foreach (var (path, parameter) in trainable)
        {
            if (Array.Exists(parameter.ToArray(), value => !float.IsFinite(value)))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"After step {metrics.Count} '{path}' holds values that are no numbers: the training has "
                        + $"diverged, and nothing is saved. Lower option 'LearningRate' (now "
                        + $"{options.ResolvedLearningRate}), or clip the gradients (option 'Clip' 1)."));
            }
        }
    }

    private LinearSchedule LearningRates()
    {
        if (options.Warmup >= length.Steps && options.Warmup >= 1)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'Warmup' is "
                + $"{options.Warmup} steps, and the run has {length.Steps}: the learning rate would never reach option "
                + $"'LearningRate'. Warm up for fewer steps, or name a share below 1."));
        }
        // A share never takes the whole run: its only step would have the learning rate 0.
        var warmup = options.Warmup < 1
            ? Math.Min(length.Steps - 1, Math.Ceiling(options.Warmup * length.Steps)) : options.Warmup;
        return new LinearSchedule((int)warmup, length.Steps, options.Schedule == ScheduleKind.Linear);
    }

    private InputException Diverged(float loss, float norm) => new(string.Create(CultureInfo.InvariantCulture,
        $"Step {metrics.Count + 1}: the loss is {loss} and the gradient norm {norm}: the training has diverged. "
            + $"Lower option 'LearningRate' (now {options.ResolvedLearningRate}), or clip the gradients (option "
            + $"'Clip' 1)."));
}
