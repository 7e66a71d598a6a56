using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Guessing masked tokens: the mean cross-entropy of those. The masks of the data change with every
/// epoch, those of held-out texts never.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="masking">What it must guess.</param>
/// <param name="options">Of the run.</param>
internal sealed class MaskedLanguageTask(EncoderForMaskedLM model, TokenMasking masking, TrainingOptions options)
    : ITrainingTask
{
    /// <summary>The model with its head.</summary>
    public EncoderForMaskedLM Masked => model;

    public Module Model => model;

    public IBackend Backend => model.Backend;

    public RandomStream DropoutStream => model.DropoutStream;

    public Action? ForwardDone { get; set; }

    /// <summary>
    /// Each batch's mean weighs as many masked tokens as it has, so that the sum is the mean of the
    /// whole group.
    /// </summary>
    public IReadOnlyList<float> SharesOf(IReadOnlyList<PackedBatch> group, int epoch)
    {
        int[] guesses = [.. group.Select(batch => Mask(batch, epoch).Labels.Length)];
        return [.. guesses.Select(count => (float)count / guesses.Sum())];
    }

    public Tensor AddGradients(PackedBatch batch, float share, int epoch)
    {
        var masked = Mask(batch, epoch);
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(masked.Batch, Backend);
        using var places = new SequenceRows(masked.Positions, tokens.Offsets, Backend);
        using var labels = new Indices(masked.Labels, Backend);
        model.RecomputesBlocks = options.Recompute;
        var loss = model.Forward(tokens, places).CrossEntropy(labels);
        loss = share == 1 ? loss : loss.Scale(share);
        ForwardDone?.Invoke();
        loss.Backward();
        return scope.Return(loss);
    }

    /// <summary>Loss and accuracy on masked tokens, with the same masks each time.</summary>
    /// <param name="examples">At least one.</param>
    /// <param name="processes">Each takes a share of the batches; all get the result.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <exception cref="OperationCanceledException">It was cancelled, in any process.</exception>
    /// <exception cref="InvalidOperationException">Another thread trains the model.</exception>
    public Score Evaluate(IReadOnlyList<EncodedExample> examples, ProcessGroup processes,
        CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        using var use = model.Use.Read("Evaluation");
        using var evaluation = new EvaluationMode();
        PackedBatch[] batches = [.. new BatchSampler(examples, options.BatchSize, shuffle: false).Epoch(0)];
        var (first, end) = processes.ShareOf(batches.Length);
        var mine = new List<Guesses>();
        foreach (var batch in batches[first..end].TakeWhile(_ => !cancellation.IsCancellationRequested))
        {
            mine.Add(Guess(masking.Mask(batch, Seeds.ValidationMasks(options.Seed), epoch: 0)));
        }
        if (processes.Any(cancellation.IsCancellationRequested && mine.Count < end - first))
        {
            throw new OperationCanceledException(cancellation);
        }
        // batch by batch in their order, whoever guessed
        var (count, correct, loss) = (0, 0, 0.0);
        foreach (var guesses in processes.Gather<Guesses>([.. mine]).SelectMany(part => part))
        {
            (count, correct, loss) = (count + guesses.Count, correct + guesses.Right, loss + guesses.Loss);
        }
        if (!double.IsFinite(loss))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"The loss on the held-out texts "
                + $"is {loss}: the training has diverged. Lower option 'lr' (now {options.ResolvedLearningRate}), or "
                + $"clip the gradients (option 'clip' 1)."));
        }
        return new Score(count, correct, loss / count, batches.Sum(batch => (long)batch.Tokens),
            clock.Elapsed.TotalSeconds);
    }

    public IReadOnlyDictionary<string, object?> OptionsByName() =>
        ResolvedOptions.OfPretraining(options, masking.WholeWords);

    private MaskedBatch Mask(PackedBatch batch, int epoch) =>
        masking.Mask(batch, Seeds.Masks(options.Seed), epoch);

    private Guesses Guess(MaskedBatch masked)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var tokens = new PackedTokens(masked.Batch, Backend);
        using var places = new SequenceRows(masked.Positions, tokens.Offsets, Backend);
        using var labels = new Indices(masked.Labels, Backend);
        var logits = model.Forward(tokens, places);
        var losses = logits.CrossEntropyPerRow(labels).ToArray();
        var (values, width, right) = (logits.ToArray(), logits.Shape.Columns, 0);
        for (var i = 0; i < masked.Labels.Length; i++)
        {
            var row = values.AsSpan(i * width, width);                  // logits[i, :]
            right += IsLargest(row, masked.Labels[i]) ? 1 : 0;
        }
        return new Guesses(masked.Labels.Length, right, losses.Sum(loss => (double)loss));
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

    /// <summary>
    /// The guesses of a batch: how many, how many right, and the sum of their losses.
    /// </summary>
    private readonly record struct Guesses(int Count, int Right, double Loss);
}
