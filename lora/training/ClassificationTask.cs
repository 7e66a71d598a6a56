using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Training;

/// <summary>Classification of texts: see <see cref="TextClassifier.Loss"/>.</summary>
/// <param name="classifier">The model; what is unfrozen is trained.</param>
/// <param name="adapter">Attached to it; null without.</param>
/// <param name="options">Of the run.</param>
internal sealed class ClassificationTask(TextClassifier classifier, LoRAAdapter? adapter, TrainingOptions options)
    : ITrainingTask
{
    /// <summary>The model with its tokenizer.</summary>
    public TextClassifier Classifier => classifier;

    /// <summary>What is trained beside the model's own weights.</summary>
    public LoRAAdapter? Adapter => adapter;

    public Module Model => classifier.Model;

    public IBackend Backend => classifier.Model.Backend;

    public RandomStream DropoutStream => classifier.Model.DropoutStream;

    public float AddGradients(IReadOnlyList<PackedBatch> group, int epoch)
    {
        var examples = group.Sum(batch => batch.Rows);
        // Each batch's mean weighs as many examples as it has, so that the sum is the mean of the whole group even
        // where batches differ in size.
        return group.Sum(batch => AddGradients(batch, (float)batch.Rows / examples));
    }

    public Score Evaluate(IReadOnlyList<EncodedExample> examples, CancellationToken cancellation) =>
        classifier.Evaluate(examples, cancellation: cancellation).Score;

    public IReadOnlyDictionary<string, object?> IdentifyingOptions() =>
        ResolvedOptions.ForComparison(classifier, options);

    /// <summary>Forward and backward of one batch.</summary>
    /// <returns>The batch's share of the loss.</returns>
    private float AddGradients(PackedBatch batch, float weight)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(batch, Backend);
        var loss = classifier.Loss(tokens, batch).Scale(weight);
        loss.Backward();
        return loss.Item();
    }
}
