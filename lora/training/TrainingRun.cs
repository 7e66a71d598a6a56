using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// A run of training that is ready: it can be estimated, watched and made. Same options, data and
/// model: same weights, bit for bit.
/// </summary>
internal sealed class TrainingRun
{
    private readonly ITrainingTask task;
    private readonly IReadOnlyList<EncodedExample> train;
    private readonly IReadOnlyList<EncodedExample>? validation;
    private RunEstimate? estimate;                                  // null: nobody asked for it

    /// <summary>Nothing is computed yet.</summary>
    /// <param name="task">Its model has what is to be trained unfrozen.</param>
    /// <param name="options">Checked.</param>
    /// <param name="train">At least one example.</param>
    /// <param name="validation">Held out; null or empty: the last state is kept.</param>
    /// <exception cref="InputException">Nothing is trainable.</exception>
    public TrainingRun(ITrainingTask task, TrainingOptions options, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation)
    {
        (this.task, Options, this.train, this.validation) =
            (task, options, train, validation is { Count: > 0 } ? validation : null);
        TrainableParameters = task.Trainable().Sum(entry => (long)entry.Parameter.Shape.Count);
        if (TrainableParameters == 0)
        {
            throw new InputException("Nothing in the model is trainable: everything is frozen.");
        }
    }

    /// <summary>After every step.</summary>
    public event Action<StepMetrics>? StepDone;

    /// <summary>
    /// After every validation; without held-out examples, where there would be one.
    /// </summary>
    public event Action<ValidationMetrics>? Validated;

    /// <summary>After the run has been saved, with the number of steps that it has taken.</summary>
    public event Action<int>? CheckpointSaved;

    /// <summary>
    /// While the frozen layers' output is computed, before the first step: the examples done, and
    /// how many there are.
    /// </summary>
    public event Action<int, int>? Kept;

    /// <summary>What the run left; null before it.</summary>
    public TrainingResult? Result { get; private set; }

    /// <summary>What is trained.</summary>
    public ITrainingTask Task => task;

    /// <summary>How it trains.</summary>
    public TrainingOptions Options { get; }

    /// <summary>Elements that are trained.</summary>
    public long TrainableParameters { get; }

    /// <summary>
    /// What its result is a function of: <see cref="RunIdentity.Inputs"/> are the hashes of the
    /// weights and the examples that it begins with. To be asked before the run.
    /// </summary>
    public RunIdentity Identity() => IdentityOf(task, train, validation);

    /// <summary>The identity of a run that begins with the task as it is now.</summary>
    public static RunIdentity IdentityOf(ITrainingTask task, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation) => RunIdentity.Of(task.Model, task.Backend, task.OptionsByName(),
            (RunInputs.Train, train), (RunInputs.Validation, validation ?? []));

    /// <summary>
    /// Measures a few batches to say how long the run will take, and forgets what they did: the
    /// run's results stay the same, bit for bit.
    /// </summary>
    /// <param name="processes">As many share the steps, each as fast as this one.</param>
    /// <exception cref="InvalidOperationException">
    /// The model predicts, or is changed or trained on another thread.
    /// </exception>
    public RunEstimate Estimate(int processes = 1)
    {
        var alone = InTrainingMode(() => new RunEstimator(task, Options, train).Measure()
            with
        { Memory = new MemoryEstimator(task, Options, train, validation).Measure() });
        return estimate = alone with { TokensPerSecond = alone.TokensPerSecond * processes };
    }

    /// <summary>Trains, from the beginning or from where the checkpoint stands.</summary>
    /// <param name="cancellation">
    /// Ends the run after the step in progress; the best validated state is kept, or else the last
    /// one.
    /// </param>
    /// <param name="checkpoint">
    /// Where the run is saved, also when it is cancelled, and whether it is resumed from there;
    /// null: nowhere. The file stays when the run has ended.
    /// </param>
    /// <param name="processes">
    /// They share every step, each with the same model, data and options, and all end with the same
    /// weights; the first one saves. Null: this process alone.
    /// </param>
    /// <returns>The model is in the state that was kept.</returns>
    /// <exception cref="InputException">
    /// The loss stops being a number, or the saved run is another one, or what another process
    /// trains.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The run has been made already; or the model predicts, or is changed or trained on another
    /// thread.
    /// </exception>
    public TrainingResult Run(CancellationToken cancellation = default, CheckpointOptions? checkpoint = null,
        ProcessGroup? processes = null)
    {
        processes ??= ProcessGroup.Alone;
        if (Result is not null)
        {
            throw new InvalidOperationException("This run has been made already; prepare another.");
        }
        using var own = checkpoint is null || !processes.IsFirst ? null : OutputLock.TakeUnlessHeld(checkpoint.Path);
        if (processes.IsFirst)
        {
            checkpoint?.Check();
        }
        task.DropoutStream.Restore(Seeds.Dropout(Options.Seed));
        return InTrainingMode(() =>
        {
            using var loop = new TrainingLoop(task, Options, train, validation, cancellation, checkpoint,
                processes);
            loop.StepDone += step => StepDone?.Invoke(step);
            loop.Validated += result => Validated?.Invoke(result);
            loop.CheckpointSaved += steps => CheckpointSaved?.Invoke(steps);
            task.Backend.ForgetPeak();
            using var kept = Keep(cancellation);
            return Result = loop.Run() with { Estimate = estimate, DeviceMemory = task.Backend.Memory.PeakInUse };
        });
    }

    /// <summary>
    /// Null also where it is cancelled meanwhile: the run ends before its next step then.
    /// </summary>
    private IDisposable? Keep(CancellationToken cancellation)
    {
        if (!FrozenLayers.Repeats(train, Options))
        {
            return null;
        }
        try
        {
            var count = train.Count + (validation?.Count ?? 0);
            return task.Keep(train, null, validation, cancellation, done => Kept?.Invoke(done, count));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    private T InTrainingMode<T>(Func<T> work)
    {
        using var use = task.Model.Use.Train();
        task.Model.Train();
        try
        {
            return work();
        }
        finally
        {
            task.Model.Evaluate();
            task.Model.ZeroGradient();
        }
    }
}

/// <summary>What a run left. The model holds the state that was kept.</summary>
/// <param name="Steps">Steps taken.</param>
/// <param name="TotalSteps">Steps that the run has when it is not ended before.</param>
/// <param name="KeptStep">
/// The step after which the kept state was: the last one, or that of the best validation.
/// </param>
/// <param name="Best">Validation of the kept state; null without any.</param>
/// <param name="WasCancelled">Whether it ended before its time.</param>
/// <param name="TrainableParameters">Elements that were trained.</param>
/// <param name="Seconds">The whole run.</param>
/// <param name="Metrics">Every step.</param>
/// <param name="Validations">Every validation, in order.</param>
public sealed record TrainingResult(
    int Steps, int TotalSteps, int KeptStep, Score? Best, bool WasCancelled, long TrainableParameters, double Seconds,
    IReadOnlyList<StepMetrics> Metrics, IReadOnlyList<ValidationMetrics> Validations)
{
    /// <summary>
    /// Whether <see cref="TrainingOptions.EarlyStopping"/> ended it before its last step.
    /// </summary>
    public bool StoppedEarly { get; init; }

    /// <summary>What travelled between processes; null where there was one.</summary>
    internal ExchangeTotals? Exchange { get; init; }
    /// <summary>What it is a function of.</summary>
    internal RunIdentity? Identity { get; init; }

    /// <summary>What was predicted; null where nobody asked for it.</summary>
    internal RunEstimate? Estimate { get; init; }

    /// <summary>The most bytes that were in use on the device at once.</summary>
    internal long DeviceMemory { get; init; }

    /// <summary>Its losses as a picture shows them.</summary>
    /// <param name="name">For the legend.</param>
    internal LossCurve Curve(string name) => new(name, [.. Metrics.Select(step => step.Loss)])
    {
        Validations = [.. Validations.Where(look => look.Validation is not null).Select(look =>
            new ValidationPoint(look.Step, look.Validation!.Loss, look.Validation.Accuracy))],
    };
}

/// <summary>What the gradients of a run cost that travelled between its processes.</summary>
/// <param name="BytesSent">By each process.</param>
/// <param name="Seconds">Of all steps, without waiting for the others.</param>
internal sealed record ExchangeTotals(long BytesSent, double Seconds);
