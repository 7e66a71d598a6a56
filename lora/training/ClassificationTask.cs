using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>Classification of texts: see <see cref="TextClassifier.Loss"/>.</summary>
/// <param name="classifier">The model; what is unfrozen is trained.</param>
/// <param name="adapter">Attached to it; null without.</param>
/// <param name="options">Of the run.</param>
/// <param name="classWeights">[classes] Of the loss; null: all weigh the same.</param>
internal sealed class ClassificationTask(TextClassifier classifier, LoRAAdapter? adapter, TrainingOptions options,
    float[]? classWeights = null) : ITrainingTask
{
    private KeptOutputs? kept;                                      // null: nothing is kept now

    /// <summary>The layers below everything that is trained.</summary>
    public FrozenLayers Frozen { get; } = FrozenLayers.Of(classifier.Model, options);

    /// <summary>The model with its tokenizer.</summary>
    public TextClassifier Classifier => classifier;

    /// <summary>What is trained beside the model's own weights.</summary>
    public LoRAAdapter? Adapter => adapter;

    /// <summary>[classes] How much each weighs in the loss; null: all the same.</summary>
    public IReadOnlyList<float>? ClassWeights => classWeights;

    public Module Model => classifier.Model;

    public IBackend Backend => classifier.Model.Backend;

    public Action? ForwardDone { get; set; }

    public RandomStream DropoutStream => classifier.Model.DropoutStream;

    /// <summary>
    /// Each batch's mean weighs as much as its examples together, so that the sum is the mean of
    /// the whole group even where batches differ in size or in classes.
    /// </summary>
    public IReadOnlyList<float> SharesOf(IReadOnlyList<PackedBatch> group, int epoch)
    {
        var weight = group.Sum(WeightOf);
        return [.. group.Select(batch => (float)(WeightOf(batch) / weight))];
    }

    public Tensor AddGradients(PackedBatch batch, float share, int epoch)
    {
        using var turn = Backend.TakeTurn();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(batch, Backend);
        classifier.Model.RecomputesBlocks = options.Recompute;
        var loss = classifier.Loss(Logits(batch, tokens), tokens, batch, classWeights);
        loss = share == 1 ? loss : loss.Scale(share);
        ForwardDone?.Invoke();
        loss.Backward();
        return scope.Return(loss);
    }

    private double WeightOf(PackedBatch batch) =>
        classWeights is null ? batch.Rows : batch.Labels.Sum(label => (double)classWeights[label]);

    public Score Evaluate(IReadOnlyList<EncodedExample> examples, ProcessGroup processes,
        CancellationToken cancellation) => classifier.Evaluate(examples, cancellation: cancellation,
            frozen: OutputsOf(examples), processes: processes).Score;

    public IDisposable? Keep(IReadOnlyList<EncodedExample> train, IReadOnlyList<int>? some,
        IReadOnlyList<EncodedExample>? validation, CancellationToken cancellation, Action<int>? progress = null)
    {
        if (!Frozen.CanBeKept)
        {
            return null;
        }
        var store = new RowStore(Frozen.MemoryLimit, RowStore.DefaultFile, Frozen.Type);
        try
        {
            var outputs = new FrozenOutputs(classifier.Model, Frozen.Count, train, store);
            var held = validation is null ? null
                : new FrozenOutputs(classifier.Model, Frozen.Count, validation, store, firstNumber: train.Count);
            var numbers = some ?? [.. Enumerable.Range(0, train.Count)];
            outputs.Keep(numbers, cancellation, progress);
            held?.Keep(Enumerable.Range(0, validation!.Count), cancellation,
                done => progress?.Invoke(numbers.Count + done));
            return kept = new KeptOutputs(outputs, held, store);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    public IReadOnlyDictionary<string, object?> OptionsByName() =>
        ResolvedOptions.ForComparison(classifier, options);

    /// <summary>Kept or not; null where the frozen layers are computed with the others.</summary>
    private FrozenOutputs? OutputsOf(IReadOnlyList<EncodedExample> held)
    {
        if (!Frozen.AreConstant)
        {
            return null;
        }
        return kept is { IsDisposed: false, Validation: { } outputs } && ReferenceEquals(outputs.Examples, held)
            ? outputs : new FrozenOutputs(classifier.Model, Frozen.Count, held,
                new RowStore(0, 0, Frozen.Type));
    }

    /// <summary>
    /// Kept or not, the frozen layers give the same where no dropout runs in them.
    /// </summary>
    private Tensor Logits(PackedBatch batch, PackedTokens tokens)
    {
        if (!Frozen.AreConstant)
        {
            return classifier.Model.Forward(tokens);
        }
        return kept is { IsDisposed: false } && batch.RowIndices.Length == batch.Rows
            ? kept.Train.Logits(tokens, batch.RowIndices)
            : classifier.Model.Forward(tokens,
                FrozenOutputs.Compute(classifier.Model, Frozen.Count, Frozen.Type, batch), Frozen.Count);
    }
}
