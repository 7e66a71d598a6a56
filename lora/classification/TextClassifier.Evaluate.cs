using System.Diagnostics;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Classification;

/// <content>
/// What is asked about labelled texts: the loss of a batch, and how well the model does.
/// </content>
public sealed partial class TextClassifier
{
    /// <summary>Compares the model's classes with the given ones.</summary>
    /// <param name="texts">At least one.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <param name="progress">
    /// Called after every batch with the number of texts done; may be null.
    /// </param>
    /// <param name="frozen">
    /// What the frozen layers give for these texts, where it is kept; null: they are computed.
    /// </param>
    /// <param name="answered">
    /// Called with the number of every text, from 0, and its logits; may be null.
    /// </param>
    /// <param name="processes">
    /// They share the batches, and all get the result; null: this process alone.
    /// </param>
    /// <exception cref="InputException">
    /// There is no text, or a class that the model does not have.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// It was cancelled, in any of the processes.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or changes its adapter.
    /// </exception>
    internal Evaluation Evaluate(IReadOnlyList<EncodedExample> texts, int batchSize = 32,
        CancellationToken cancellation = default, Action<int>? progress = null, FrozenOutputs? frozen = null,
        Action<int, float[]>? answered = null, ProcessGroup? processes = null) => Evaluate(first, texts, batchSize,
            cancellation, progress, frozen, answered, processes ?? ProcessGroup.Alone);

    private Evaluation Evaluate(Head head, IReadOnlyList<EncodedExample> texts, int batchSize,
        CancellationToken cancellation, Action<int>? progress, FrozenOutputs? frozen, Action<int, float[]>? answered,
        ProcessGroup processes)
    {
        RequireLabels(head, texts);
        using var use = Model.Use.Read("Evaluation");
        var counts = new EvaluationCounts(head.Model.Config.Classes, head.Model.Config.IsMultiLabel);
        var clock = Stopwatch.StartNew();
        var logits = LogitsOf(head, texts, batchSize, cancellation, progress, frozen, processes);
        for (var i = 0; i < texts.Count; i++)
        {
            counts.Add(texts[i], logits[i]);
            answered?.Invoke(i, logits[i]);
        }
        return counts.Result(texts.Sum(text => (long)text.TokenIds.Length), clock.Elapsed.TotalSeconds);
    }

    /// <summary>[texts][classes] Every process computes its share of the batches.</summary>
    private float[][] LogitsOf(Head head, IReadOnlyList<EncodedExample> texts, int batchSize,
        CancellationToken cancellation, Action<int>? progress, FrozenOutputs? frozen, ProcessGroup processes)
    {
        List<EncodedExample>[] batches = [.. Batches(texts, text => text.TokenIds.Length, batchSize)];
        var (first, end) = processes.ShareOf(batches.Length);
        var (mine, before) = (new List<float[]>(), batches[..first].Sum(batch => batch.Count));
        foreach (var batch in batches[first..end].TakeWhile(_ => !cancellation.IsCancellationRequested))
        {
            var start = before + mine.Count;
            var logits = Logits(head, batch, frozen is null ? null
                : (tokens, indices) => frozen.Logits(tokens, [.. indices.Select(index => start + index)]));
            Array.ForEach(logits, RequireFinite);
            mine.AddRange(logits);
            progress?.Invoke(Math.Min(texts.Count, processes.Size * mine.Count));
        }
        var isCut = mine.Count < batches[first..end].Sum(batch => batch.Count);
        if (processes.Any(isCut))
        {
            throw new OperationCanceledException(cancellation);
        }
        return !processes.HasOthers ? [.. mine] : [.. processes.Gather<float>([.. mine.SelectMany(row => row)])
            .SelectMany(part => part).Chunk(head.Model.Config.Classes)];
    }

    /// <summary>Compares the model's classes with the given ones.</summary>
    /// <param name="data">At least one text, with the model's classes.</param>
    /// <param name="maxLength">As for <see cref="Encode"/>.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <param name="adapter">The name of the adapter that answers; null: as it was loaded.</param>
    /// <exception cref="InputException">
    /// There is no text, or a class that the model does not have.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public Evaluation Evaluate(TextDataset data, int? maxLength = null, CancellationToken cancellation = default,
        string? adapter = null)
    {
        var head = HeadOf(adapter);
        RequirePairs(head, data.HasPairs, data.Source);
        return Evaluate(head, data.WithClasses(head.Model.Config.Labels).Encode(Tokenizer, MaxTokens(maxLength))
            .Examples, TextsOfBatch, cancellation, null, null, null, ProcessGroup.Alone);
    }

    /// <summary>
    /// Runs the model, in evaluation mode, over encoded examples: for those that listen to its
    /// layers (<see cref="Quantization.Calibration"/>). The last block computes every token, though
    /// [CLS] alone is read: as many vectors as there are texts would be too few to know a layer's
    /// inputs by, which have hundreds of elements.
    /// </summary>
    /// <param name="texts">Their labels are not looked at.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or changes its adapter.
    /// </exception>
    internal void Run(IEnumerable<EncodedExample> texts, int batchSize = 32, CancellationToken cancellation = default)
    {
        using var use = Model.Use.Read("Evaluation");
        Model.ComputesEveryToken = true;
        try
        {
            foreach (var batch in Batches(texts, text => text.TokenIds.Length, batchSize))
            {
                cancellation.ThrowIfCancellationRequested();
                Array.ForEach(Logits(first, batch), RequireFinite);
            }
        }
        finally
        {
            Model.ComputesEveryToken = false;
        }
    }

    internal void RequireLabels(IReadOnlyList<EncodedExample> texts) => RequireLabels(first, texts);

    private static void RequireLabels(Head head, IReadOnlyList<EncodedExample> texts)
    {
        var config = head.Model.Config;
        if (texts.Count == 0)
        {
            throw new InputException("There is no text in the data.");
        }
        if (texts[0].Classes is not null != config.IsMultiLabel)
        {
            throw new InputException(config.IsMultiLabel
                ? "The model answers with any number of classes (multi-label), and the data has one for every text. "
                    + "Give data with sets of labels, or a model for one class."
                : "The data has any number of classes for a text (multi-label), and the model answers with one. Give "
                    + "a model that was trained for several.");
        }
        var wrong = texts.SelectMany(text => text.Classes ?? [text.Label])
            .FirstOrDefault(label => label < 0 || label >= config.Classes);
        if (wrong != 0)
        {
            throw new InputException($"The data has the class {wrong}; the model has {config.Classes} classes: "
                + $"{string.Join(", ", config.Labels.Select((name, id) => $"{id} = {name}"))}.");
        }
    }

    /// <summary>
    /// The loss of a batch: the mean cross-entropy of its examples' classes or, where any number of
    /// classes may hold, the mean binary cross-entropy over examples and classes.
    /// </summary>
    /// <param name="logits">[texts, classes]</param>
    /// <param name="tokens">The batch on the device.</param>
    /// <param name="batch">Its labels.</param>
    /// <param name="classWeights">
    /// [classes] Where each example has one class, the mean is Σ w·l / Σ w, w being that of an
    /// example's class; null: all weigh the same.
    /// </param>
    /// <returns>[]</returns>
    internal Tensor Loss(Tensor logits, PackedTokens tokens, PackedBatch batch, float[]? classWeights = null)
    {
        using var scope = new TensorScope();
        if (!IsMultiLabel && classWeights is not null)
        {
            var sum = batch.Labels.Sum(label => (double)classWeights[label]);
            using var shares = Tensor.From([.. batch.Labels.Select(label => (float)(classWeights[label] / sum))],
                new Shape(batch.Rows), logits.Backend);
            return scope.Return(logits.CrossEntropyPerRow(tokens.Labels).Multiply(shares).Sum());
        }
        if (!IsMultiLabel)
        {
            return scope.Return(logits.CrossEntropy(tokens.Labels));
        }
        var holds = new bool[batch.Rows * Labels.Count];
        for (var row = 0; row < batch.Rows; row++)
        {
            foreach (var label in batch.Classes[row])
            {
                holds[row * Labels.Count + label] = true;
            }
        }
        return scope.Return(logits.BinaryCrossEntropy(holds));
    }
}
