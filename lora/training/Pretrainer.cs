using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Trains a masked language model: the mean cross-entropy of the masked tokens. The masks of the
/// data change with every epoch, those of the texts laid aside never.
/// </summary>
public sealed class Pretrainer : TrainingLoop
{
    private readonly DistilBertForMaskedLM model;
    private readonly TokenMasking masking;

    /// <summary>A trainer of the whole model.</summary>
    /// <param name="model">The model; it is unfrozen.</param>
    /// <param name="masking">What it must guess.</param>
    /// <param name="options">How; the method is <see cref="TrainingMethod.Full"/>.</param>
    /// <exception cref="InputException">The options make no sense.</exception>
    public Pretrainer(DistilBertForMaskedLM model, TokenMasking masking, TrainingOptions options)
        : base(Unfrozen(model), model.Backend, model.DropoutStream, options)
    {
        if (options.Method != TrainingMethod.Full)
        {
            throw new InputException("Pretraining trains every parameter: the method is full.");
        }
        (this.model, this.masking) = (model, masking);
    }

    /// <summary>Trains.</summary>
    /// <param name="data">Pieces of texts.</param>
    /// <param name="cancellation">Ends the run after the step in progress.</param>
    /// <param name="checkpoint">
    /// Where the run is saved, also when it is cancelled, and whether it goes on from there; null:
    /// nowhere. The file stays when the run has ended.
    /// </param>
    /// <exception cref="InputException">
    /// The loss stops being a number, or the saved run is another one.
    /// </exception>
    public TrainingResult Train(PretrainingData data, CancellationToken cancellation = default,
        CheckpointOptions? checkpoint = null) =>
        Run(data.Train, data.Validation, cancellation, checkpoint);

    /// <summary>Loss and accuracy on masked tokens, with the same masks each time.</summary>
    /// <param name="pieces">At least one.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InvalidOperationException">Another thread trains the model.</exception>
    public Score Evaluate(IReadOnlyList<EncodedExample> pieces, CancellationToken cancellation = default)
    {
        var (count, correct, loss, tokens) = (0, 0, 0.0, 0L);
        var clock = Stopwatch.StartNew();
        using var use = model.Use.Read("Evaluation");
        using var evaluation = new EvaluationMode();
        foreach (var batch in new BatchSampler(pieces, Options.BatchSize, shuffle: false).Epoch(0))
        {
            cancellation.ThrowIfCancellationRequested();
            var masked = masking.Mask(batch, Seeds.ValidationMasks(Options.Seed), epoch: 0);
            var (right, sum) = Guess(masked);
            (count, correct, loss, tokens) =
                (count + masked.Labels.Length, correct + right, loss + sum, tokens + batch.Tokens);
        }
        if (!double.IsFinite(loss))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"The loss on the texts laid aside "
                + $"is {loss}: the training has diverged. Lower option 'lr' (now {Options.ResolvedLearningRate}), or "
                + $"clip the gradients (option 'clip' 1)."));
        }
        return new Score(count, correct, loss / count, tokens, clock.Elapsed.TotalSeconds);
    }

    internal override float AddGradients(IReadOnlyList<PackedBatch> group, int epoch)
    {
        var masked = group.Select(batch => masking.Mask(batch, Seeds.Masks(Options.Seed), epoch)).ToList();
        var guesses = masked.Sum(batch => batch.Labels.Length);
        // Each batch's mean weighs as many masked tokens as it has, so that the sum is the mean of the whole group.
        return masked.Sum(batch => AddGradients(batch, (float)batch.Labels.Length / guesses));
    }

    internal override Score Validate(IReadOnlyList<EncodedExample> validation, CancellationToken cancellation) =>
        Evaluate(validation, cancellation);

    internal override IReadOnlyDictionary<string, object?> IdentifyingOptions() =>
        ResolvedOptions.OfPretraining(Options, masking.WholeWords);

    private float AddGradients(MaskedBatch masked, float weight)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(masked.Batch, Backend);
        using var places = new Indices(masked.Places, Backend);
        using var labels = new Indices(masked.Labels, Backend);
        var loss = model.Forward(tokens, places).CrossEntropy(labels).Scale(weight);
        loss.Backward();
        return loss.Item();
    }

    /// <returns>How many guesses are right, and the sum of the losses.</returns>
    private (int Right, double Loss) Guess(MaskedBatch masked)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var tokens = new PackedTokens(masked.Batch, Backend);
        using var places = new Indices(masked.Places, Backend);
        using var labels = new Indices(masked.Labels, Backend);
        var logits = model.Forward(tokens, places);
        var losses = logits.CrossEntropyPerRow(labels).ToArray();
        var (values, width, right) = (logits.ToArray(), logits.Shape.Columns, 0);
        for (var i = 0; i < masked.Labels.Length; i++)
        {
            var row = values.AsSpan(i * width, width);                  // logits[i, :]
            right += IsLargest(row, masked.Labels[i]) ? 1 : 0;
        }
        return (right, losses.Sum(loss => (double)loss));
    }

    /// <summary>Whether no other element is larger, and none before it as large.</summary>
    private static bool IsLargest(ReadOnlySpan<float> row, int place)
    {
        for (var i = 0; i < row.Length; i++)
        {
            if (row[i] > row[place] || i < place && row[i] == row[place])
            {
                return false;
            }
        }
        return true;
    }

    private static DistilBertForMaskedLM Unfrozen(DistilBertForMaskedLM model)
    {
        model.Unfreeze();
        return model;
    }
}
