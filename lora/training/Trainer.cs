using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Lora.Training;

/// <summary>What a run left. The model holds the state that was kept.</summary>
/// <param name="Steps">Steps taken.</param>
/// <param name="TotalSteps">Steps that the run has when it is not ended before.</param>
/// <param name="KeptStep">
/// The step after which the kept state was: the last one, or that of the best validation.
/// </param>
/// <param name="Best">Validation of the kept state; null without any.</param>
/// <param name="WasCancelled">Whether it ended before its time.</param>
/// <param name="TrainableParameters">Numbers that were trained.</param>
/// <param name="Seconds">The whole run.</param>
/// <param name="Metrics">Every step.</param>
/// <param name="Validations">Every look at the validation texts, in order.</param>
public sealed record TrainingResult(
    int Steps, int TotalSteps, int KeptStep, Score? Best, bool WasCancelled, long TrainableParameters, double Seconds,
    IReadOnlyList<StepMetrics> Metrics, IReadOnlyList<ValidationMetrics> Validations);

/// <summary>Fine-tunes a classifier: the mean cross-entropy of the texts' classes.</summary>
public sealed class Trainer : TrainingLoop
{
    /// <summary>
    /// A trainer of everything in the model that is trainable now; see
    /// <see cref="TrainingSetup.Prepare"/>.
    /// </summary>
    /// <param name="classifier">The model and its tokenizer.</param>
    /// <param name="options">How.</param>
    /// <exception cref="InputException">
    /// The options make no sense, or nothing is trainable.
    /// </exception>
    public Trainer(TextClassifier classifier, TrainingOptions options)
        : base(classifier.Model, classifier.Model.Backend, classifier.Model.DropoutStream, options) =>
        Classifier = classifier;

    private TextClassifier Classifier { get; }

    /// <summary>Trains.</summary>
    /// <param name="train">At least one text.</param>
    /// <param name="validation">
    /// Chooses the best epoch; null or empty: the last state is kept.
    /// </param>
    /// <param name="cancellation">
    /// Ends the run after the step in progress; the best validated state is kept, or else the last
    /// one.
    /// </param>
    /// <param name="checkpoint">
    /// Where the run is saved, also when it is cancelled, and whether it goes on from there; null:
    /// nowhere. The file stays when the run has ended.
    /// </param>
    /// <exception cref="InputException">
    /// There is no text, a class is unknown, the loss stops being a number, or the saved run is
    /// another one.
    /// </exception>
    public TrainingResult Train(
        IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation = null,
        CancellationToken cancellation = default, CheckpointOptions? checkpoint = null)
    {
        Classifier.RequireLabels(train);
        return Run(train, validation, cancellation, checkpoint);
    }

    internal override float AddGradients(IReadOnlyList<PackedBatch> group, int epoch)
    {
        var texts = group.Sum(batch => batch.Rows);
        // Each batch's mean weighs as many texts as it has, so that the sum is the mean of the whole group even where
        // batches differ in size.
        return group.Sum(batch => AddGradients(batch, (float)batch.Rows / texts));
    }

    internal override Score Validate(IReadOnlyList<EncodedExample> validation, CancellationToken cancellation) =>
        Classifier.Evaluate(validation, cancellation: cancellation).Score;

    internal override IReadOnlyDictionary<string, object?> IdentifyingOptions() =>
        ResolvedOptions.ForComparison(Classifier, Options);

    /// <summary>Forward and backward of one batch.</summary>
    /// <returns>The batch's share of the loss.</returns>
    private float AddGradients(PackedBatch batch, float weight)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(batch, Backend);
        using var labels = new Indices(batch.Labels, Backend);
        var loss = Classifier.Model.Forward(tokens).CrossEntropy(labels).Scale(weight);
        loss.Backward();
        return loss.Item();
    }
}
