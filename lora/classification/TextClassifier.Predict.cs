using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Classification;

/// <content>
/// What a text gets. It does not depend on the texts that are computed with it, nor on how they are
/// asked about: alone, in a list, or by many callers at a time.
/// </content>
public sealed partial class TextClassifier
{
    // A batch of long texts would need memory in proportion.
    private const int TokensOfBatch = 8192, TextsOfBatch = 32;

    /// <summary>Predicts the class of a text.</summary>
    /// <param name="text">Any string.</param>
    /// <param name="adapter">
    /// The name of the adapter that answers, or "base"; null: as <see cref="Load"/> has it.
    /// </param>
    /// <param name="maxLength">As for <see cref="Encode"/>.</param>
    /// <exception cref="InputException">
    /// There is no such adapter, or no trained head; the model has fewer positions, or was trained
    /// on pairs; or its logits are no numbers.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or merges its adapter.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The classifier was disposed.</exception>
    public Prediction Predict(string text, string? adapter = null, int? maxLength = null) =>
        Predict(new TextInput(text, Adapter: adapter), maxLength);

    /// <summary>Predicts the class of a text or a pair of texts.</summary>
    /// <param name="input">It, and who answers.</param>
    /// <param name="maxLength">
    /// At most so many ids of both texts; the longer one is cut first.
    /// </param>
    /// <inheritdoc cref="Predict(string, string?, int?)"/>
    public Prediction Predict(TextInput input, int? maxLength = null)
    {
        var asked = Prepare(input, MaxTokens(maxLength));
        using var use = Model.Use.Read("Prediction");
        return ToPrediction(asked.Head, Logits(asked.Head, [new EncodedExample(asked.Text)])[0],
            asked.Text.IsTruncated);
    }

    /// <summary>
    /// Predicts the class of each text, in order; texts are taken as they come, a batch at a time.
    /// </summary>
    /// <param name="texts">Any number.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="maxLength">As for <see cref="Encode"/>.</param>
    /// <param name="adapter">As for a single text.</param>
    /// <returns>
    /// The predictions, as they are asked for. The model can be neither trained nor changed before
    /// their enumeration ends.
    /// </returns>
    /// <exception cref="InputException">As for a single text.</exception>
    /// <exception cref="InvalidOperationException">
    /// As for a single text; thrown by the enumeration.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The classifier was disposed.</exception>
    public IEnumerable<Prediction> Predict(IEnumerable<string> texts, int batchSize = 32, int? maxLength = null,
        string? adapter = null)
    {
        RequirePairs(HeadOf(adapter), hasPairs: false, "these texts");
        return Predict(texts.Select(text => new TextInput(text, Adapter: adapter)), batchSize, maxLength);
    }

    /// <summary>
    /// The same for texts and pairs of texts, each answered by the adapter that it names: those of
    /// one adapter in a batch are computed together.
    /// </summary>
    /// <param name="inputs">Any number.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="maxLength">As for a single one.</param>
    /// <inheritdoc cref="Predict(IEnumerable{string}, int, int?, string?)"/>
    public IEnumerable<Prediction> Predict(IEnumerable<TextInput> inputs, int batchSize = 32, int? maxLength = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        var longest = MaxTokens(maxLength);
        return PredictEach(Batches(inputs.Select(input => Prepare(input, longest)), asked => asked.Text.Ids.Length,
            batchSize));
    }

    private IEnumerable<Prediction> PredictEach(IEnumerable<List<(Head Head, EncodedText Text)>> batches)
    {
        using var use = Model.Use.Read("Prediction");
        foreach (var batch in batches)
        {
            var logits = new float[batch.Count][];
            foreach (var group in batch.Select((asked, i) => (asked.Head, asked.Text, Index: i))
                .GroupBy(asked => asked.Head))
            {
                foreach (var (asked, row) in group.Zip(Logits(group.Key,
                    [.. group.Select(asked => new EncodedExample(asked.Text))])))
                {
                    logits[asked.Index] = row;
                }
            }
            foreach (var ((head, text), row) in batch.Zip(logits))
            {
                yield return ToPrediction(head, row, text.IsTruncated);
            }
        }
    }

    /// <summary>The head that answers, and the text as its model reads it.</summary>
    private (Head Head, EncodedText Text) Prepare(TextInput input, int maxTokens)
    {
        ArgumentNullException.ThrowIfNull(input.Text, nameof(input));
        var head = HeadOf(input.Adapter);
        RequirePairs(head, input.TextPair is not null, "this text");
        return (head, Tokenizer.EncodeIds(input.Text, input.TextPair, maxTokens));
    }

    /// <summary>Refuses single texts for a model that reads pairs.</summary>
    /// <param name="hasPairs">Whether pairs are given.</param>
    /// <param name="source">What is given, as the beginning of a sentence.</param>
    /// <param name="adapter">As for a single text.</param>
    /// <exception cref="InputException">The message says what to give.</exception>
    internal void RequirePairs(bool hasPairs, string source, string? adapter = null) =>
        RequirePairs(adapter is null ? first : HeadOf(adapter), hasPairs, source);

    private static void RequirePairs(Head head, bool hasPairs, string source)
    {
        if (head.ReadsPairs && !hasPairs)
        {
            throw new InputException($"{source}: the model was trained on pairs of texts, and there is no second one: "
                + "its answers would say nothing. Give pairs; in a table, option 'TextPairColumn' names the column of "
                + "the second text.");
        }
    }

    /// <summary>
    /// Whether a text's tokens are computed as few rows are. Those of one text that are not have
    /// other bits, in which it is so alone as well; so the two are not computed together.
    /// </summary>
    internal static bool IsShort(int tokens) => tokens <= IndependentRows.Few;

    /// <summary>The logits of some texts, in evaluation mode.</summary>
    /// <param name="head">Who answers.</param>
    /// <param name="texts">Any number.</param>
    /// <param name="forward">
    /// Computes those of a batch, given which of the texts are in it; null: the model does.
    /// </param>
    private float[][] Logits(Head head, IReadOnlyList<EncodedExample> texts,
        Func<PackedTokens, IReadOnlyList<int>, Tensor>? forward = null)
    {
        var logits = new float[texts.Count][];
        foreach (var batch in Enumerable.Range(0, texts.Count).GroupBy(i => IsShort(texts[i].TokenIds.Length)))
        {
            int[] indices = [.. batch];
            var rows = callers.Run(() => Compute(head, [.. indices.Select(i => texts[i])],
                tokens => forward is null ? head.Model.Forward(tokens) : forward(tokens, indices)));
            foreach (var (i, row) in indices.Zip(rows))
            {
                logits[i] = row;
            }
        }
        return logits;
    }

    /// <summary>
    /// In one turn on the device: other models on it have theirs between two batches and not
    /// between two kernels.
    /// </summary>
    /// <param name="head">Who answers.</param>
    /// <param name="texts">Short ones, or none of them is.</param>
    /// <param name="forward">Computes their logits.</param>
    private float[][] Compute(Head head, EncodedExample[] texts, Func<PackedTokens, Tensor> forward)
    {
        using var turn = Model.Backend.TakeTurn();
        using var stage = Stages.Begin("predict");
        RequireAlive();
        Activate(head);
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var evaluation = new EvaluationMode();
        using var independent = IndependentRows.As(IsShort(texts[0].TokenIds.Length)
            ? IndependentRows.Few : IndependentRows.Many);
        using var tokens = new PackedTokens(PackedBatch.Of(texts), Model.Backend);
        return [.. forward(tokens).ToArray().Chunk(head.Model.Config.Classes)];
    }

    /// <summary>Refuses logits about which nothing could be said.</summary>
    /// <exception cref="InputException">One of them is not finite.</exception>
    private static void RequireFinite(float[] logits)
    {
        if (Array.FindIndex(logits, logit => !float.IsFinite(logit)) is >= 0 and var wrong)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"The model's logits are {logits[wrong]} where numbers are expected: its training has diverged, or "
                    + $"its weights are damaged. Train with a lower option 'LearningRate', or clip the gradients "
                    + $"(option 'Clip' 1)."));
        }
    }

    private static Prediction ToPrediction(Head head, float[] logits, bool isTruncated)
    {
        RequireFinite(logits);
        var config = head.Model.Config;
        var label = Logit.Largest(logits);
        double[] probabilities = config.IsMultiLabel ? [.. logits.Select(logit => Logit.Sigmoid(logit))]
            : [.. Logit.LogSoftmax(logits).Select(Math.Exp)];
        return new Prediction(label, config.Labels[label], logits, new ClassProbabilities(config.Labels, probabilities),
            isTruncated)
        {
            IsMultiLabel = config.IsMultiLabel,
        };
    }

    /// <summary>Texts as they come, a batch at a time.</summary>
    internal static IEnumerable<List<T>> Batches<T>(IEnumerable<T> texts, Func<T, int> length, int batchSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        var batch = new List<T>();
        var tokens = 0;
        foreach (var text in texts)
        {
            if (batch.Count > 0 && tokens + length(text) > TokensOfBatch)
            {
                yield return batch;
                (batch, tokens) = ([], 0);
            }
            batch.Add(text);
            tokens += length(text);
            if (batch.Count == batchSize)       // at once: the next text may be a while in coming, from a pipe
            {
                yield return batch;
                (batch, tokens) = ([], 0);
            }
        }
        if (batch.Count > 0)
        {
            yield return batch;
        }
    }
}
