using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>What a run left. The model holds the state that was kept.</summary>
/// <param name="Steps">Steps taken.</param> <param name="TotalSteps">Steps that the run has when it is not ended before.</param>
/// <param name="KeptStep">The step after which the kept state was: the last one, or that of the best validation.</param>
/// <param name="Best">Validation of the kept state; null without any.</param> <param name="WasCancelled">Whether it ended before its time.</param>
/// <param name="TrainableParameters">Numbers that were trained.</param> <param name="Seconds">The whole run.</param>
/// <param name="Metrics">Every step.</param> <param name="Epochs">Every epoch that came to its end, or to the run's.</param>
public sealed record TrainingResult(
    int Steps, int TotalSteps, int KeptStep, Evaluation? Best, bool WasCancelled, long TrainableParameters, double Seconds, IReadOnlyList<StepMetrics> Metrics, IReadOnlyList<EpochMetrics> Epochs);

/// <summary>
/// The training loop: batches in an order drawn by seed, gradients added up over <see cref="TrainingOptions.Accumulate"/> of them, clipped, a step, and after
/// every epoch a look at the validation texts, whose best state is kept. Same options, data and model: same weights, bit for bit.
/// </summary>
public sealed class Trainer
{
    /// <summary>A trainer of everything in the model that is trainable now; see <see cref="TrainingSetup.Prepare"/>.</summary>
    /// <param name="classifier">The model and its tokenizer.</param> <param name="options">How.</param>
    /// <exception cref="InputException">The options make no sense, or nothing is trainable.</exception>
    public Trainer(TextClassifier classifier, TrainingOptions options)
    {
        options.Check();
        (Classifier, Options) = (classifier, options);
        Trainable = [.. classifier.Model.NamedParameters().Where(entry => entry.Parameter.IsTrainable)];
        if (Trainable.Count == 0)
            throw new InputException("Nothing in the model is trainable: everything is frozen.");
    }

    /// <summary>After every step.</summary>
    public event Action<StepMetrics>? StepDone;

    /// <summary>After every epoch, validation included.</summary>
    public event Action<EpochMetrics>? EpochDone;

    /// <summary>After the run has been saved, with the number of steps that it has taken.</summary>
    public event Action<int>? CheckpointSaved;

    /// <summary>Numbers that are trained.</summary>
    public long TrainableParameters => Trainable.Sum(entry => (long)entry.Parameter.Shape.Count);

    internal TextClassifier Classifier { get; }

    internal TrainingOptions Options { get; }

    internal IReadOnlyList<(string Path, Parameter Parameter)> Trainable { get; }

    /// <summary>Trains.</summary>
    /// <param name="train">At least one text.</param> <param name="validation">Chooses the best epoch; null or empty: the last state is kept.</param>
    /// <param name="cancellation">Ends the run after the step in progress; the best validated state is kept, or else the last one.</param>
    /// <param name="checkpoint">Where the run is saved, also when it is cancelled, and whether it goes on from there; null: nowhere. The file stays when the run has ended.</param>
    /// <exception cref="InputException">There is no text, a class is unknown, the loss stops being a number, or the saved run is another one.</exception>
    public TrainingResult Train(
        IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation = null, CancellationToken cancellation = default, CheckpointOptions? checkpoint = null)
    {
        Classifier.RequireLabels(train);
        checkpoint?.Check();
        var model = Classifier.Model;
        model.DropoutStream.Restore(Seeds.Dropout(Options.Seed));
        model.Train();
        try
        {
            using var run = new TrainingRun(this, train, validation is { Count: > 0 } ? validation : null, cancellation, checkpoint);
            return run.Go();
        }
        finally
        {
            model.Evaluate();
            model.ZeroGradient();
        }
    }

    internal void Report(StepMetrics step) => StepDone?.Invoke(step);

    internal void Report(EpochMetrics epoch) => EpochDone?.Invoke(epoch);

    internal void ReportSaved(int steps) => CheckpointSaved?.Invoke(steps);
}
