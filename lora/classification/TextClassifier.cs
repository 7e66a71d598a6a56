using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// A model with its tokenizer: texts in, classes out. Any number of threads may ask it at a time,
/// and each gets the answers that it would get alone; while one of them trains the model or changes
/// its adapter the others are refused.
/// </summary>
public sealed partial class TextClassifier
{
    // A batch of long texts would need memory in proportion; the results do not depend on where batches end.
    private const int TokensOfBatch = 8192;

    private readonly CallerQueue callers = new();

    /// <param name="model">The model, with or without an adapter attached.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    /// <param name="isHeadUntrained">
    /// Whether the head comes from the seed and not from a checkpoint; an adapter then stores it.
    /// </param>
    internal TextClassifier(EncoderForSequenceClassification model, Tokenizer tokenizer,
        bool isHeadUntrained = false) => (Model, Tokenizer, IsHeadUntrained) = (model, tokenizer, isHeadUntrained);

    /// <summary>As it comes from its files.</summary>
    internal TextClassifier(LoadedModel loaded)
        : this(loaded.Model, loaded.Tokenizer, loaded.Report.Initialized.Count > 0)
    {
    }

    /// <summary>
    /// Loads the built-in base model, to be trained: its head is randomly initialised. Its files
    /// are in a package of their own, LoraScratch.Base.
    /// </summary>
    /// <param name="labels">Names of the classes.</param>
    /// <param name="seed">Draws the head, and names the dropout masks.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="isMultiLabel">Whether any number of the classes may hold for a text.</param>
    /// <exception cref="InvalidOperationException">
    /// The program has no package LoraScratch.Base, which holds that model.
    /// </exception>
    public static TextClassifier BuiltIn(IReadOnlyList<string> labels, ulong seed = 0, IBackend? backend = null,
        bool isMultiLabel = false) => Of(ModelSource.BuiltIn, labels, seed, backend, isMultiLabel);

    /// <summary>Loads a model folder.</summary>
    /// <param name="folder">
    /// With config.json, model.safetensors (or several with an index), vocab.txt or tokenizer.json,
    /// as Hugging Face's encoders have them: DistilBERT, BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA.
    /// </param>
    /// <param name="labels">
    /// Classes of a head that the checkpoint lacks, which is randomly initialised then; null: those
    /// of config.json. A checkpoint with a head keeps its own.
    /// </param>
    /// <param name="seed">Initialises a head that the checkpoint lacks.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="isMultiLabel">
    /// Whether any number of the classes of a head that the checkpoint lacks may hold for a text;
    /// null: as config.json says.
    /// </param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or tensors are missing, unexpected or mis-shaped.
    /// </exception>
    public static TextClassifier Load(string folder, IReadOnlyList<string>? labels = null, ulong seed = 0,
        IBackend? backend = null, bool? isMultiLabel = null) =>
        Of(ModelSource.Folder(folder), labels, seed, backend, isMultiLabel);

    /// <summary>Loads a model and attaches an adapter, ready to predict.</summary>
    /// <param name="adapter">The adapter folder, in PEFT's format.</param>
    /// <param name="model">
    /// The folder of its base; null: the built-in base model, of the package LoraScratch.Base.
    /// </param>
    /// <param name="anyBase">Takes another base than it was trained on.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="warn">Is told what is odd but allowed; may be null.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, the adapter does not fit, or neither it nor the model has a
    /// trained head.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// No model is named, and the program has no package LoraScratch.Base.
    /// </exception>
    public static TextClassifier LoadWithAdapter(string adapter, string? model = null, bool anyBase = false,
        IBackend? backend = null, Action<string>? warn = null)
    {
        var loaded = ClassifierLoader.Load(model is null ? ModelSource.BuiltIn : ModelSource.Folder(model), adapter,
            anyBase: anyBase, backend: backend);
        foreach (var notice in loaded.Notices)
        {
            warn?.Invoke(notice);
        }
        return loaded.Classifier;
    }

    private static TextClassifier Of(ModelSource source, IReadOnlyList<string>? labels, ulong seed,
        IBackend? backend, bool? isMultiLabel) =>
        new(source.Load(seed, labels, backend: backend, isMultiLabel: isMultiLabel)) { Reference = source.Reference };

    /// <summary>What an adapter calls its base: see <see cref="ModelSource.Reference"/>.</summary>
    internal string? Reference { get; init; }

    /// <summary>The model.</summary>
    public EncoderForSequenceClassification Model { get; }

    /// <summary>The tokenizer.</summary>
    internal Tokenizer Tokenizer { get; }

    /// <summary>Whether the head comes from the seed and not from a checkpoint.</summary>
    public bool IsHeadUntrained { get; }

    /// <summary>Names of the classes.</summary>
    public IReadOnlyList<string> Labels => Model.Config.Labels;

    /// <summary>
    /// Whether any number of classes may hold for a text (multi-label), each with a probability of
    /// its own; else exactly one does.
    /// </summary>
    public bool IsMultiLabel => Model.Config.IsMultiLabel;

    /// <summary>Whether it was trained on pairs of texts.</summary>
    public bool ReadsPairs => Model.ReadsPairs;

    /// <summary>The token ids of a text.</summary>
    /// <param name="text">Any string.</param>
    /// <param name="maxLength">
    /// At most so many ids; null: as many as the tokenizer's files say, 512 if nothing, and at most
    /// the model's positions.
    /// </param>
    /// <exception cref="InputException">The model has fewer positions.</exception>
    public int[] Encode(string text, int? maxLength = null) =>
        Tokenizer.EncodeIds(text, second: null, MaxTokens(maxLength)).Ids;

    /// <summary>
    /// Predicts the class of each text, in order; texts are taken as they come, a batch at a time.
    /// </summary>
    /// <param name="texts">Any number.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="maxLength">As for <see cref="Encode"/>.</param>
    /// <returns>
    /// The predictions, as they are asked for. The model can be neither trained nor changed before
    /// their enumeration ends.
    /// </returns>
    /// <exception cref="InputException">
    /// The model has fewer positions, or was trained on pairs.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or changes its adapter; thrown by the enumeration.
    /// </exception>
    public IEnumerable<Prediction> Predict(IEnumerable<string> texts, int batchSize = 32, int? maxLength = null)
    {
        RequirePairs(hasPairs: false, "these texts");
        return Predict(texts.Select(text => (text, (string?)null)), batchSize, maxLength);
    }

    /// <summary>As for texts, for pairs of them: a question and an answer, say.</summary>
    /// <param name="pairs">Any number; a pair without a second text is a text alone.</param>
    /// <param name="batchSize">Pairs at a time.</param>
    /// <param name="maxLength">
    /// At most so many ids of both texts; the longer one is cut first.
    /// </param>
    /// <inheritdoc cref="Predict(IEnumerable{string}, int, int?)"/>
    public IEnumerable<Prediction> Predict(IEnumerable<(string Text, string? TextPair)> pairs, int batchSize = 32,
        int? maxLength = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        var longest = MaxTokens(maxLength);
        var encoded = pairs.Select(pair => Tokenizer.EncodeIds(pair.Text, pair.TextPair, longest));
        return PredictEach(Batches(encoded, text => text.Ids.Length, batchSize));
    }

    private IEnumerable<Prediction> PredictEach(IEnumerable<List<EncodedText>> batches)
    {
        using var use = Model.Use.Read("Prediction");
        foreach (var batch in batches)
        {
            foreach (var (logits, text) in Logits([.. batch.Select(text => new EncodedExample(text))]).Zip(batch))
            {
                yield return ToPrediction(logits, text.IsTruncated);
            }
        }
    }

    /// <summary>
    /// Writes a model folder that <see cref="Load"/> and transformers read, whole or not at all.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <exception cref="InputException">
    /// An adapter is attached (<see cref="LoRAAdapter.MergeAndDetach"/> makes it a part of the
    /// model), or the folder cannot be written.
    /// </exception>
    public void Save(string folder, bool overwrite = false) =>
        ModelFolder.Save(folder, Model, Tokenizer, overwrite: overwrite);

    /// <summary>Refuses single texts for a model that reads pairs.</summary>
    /// <exception cref="InputException">The message says what to give.</exception>
    internal void RequirePairs(bool hasPairs, string source)
    {
        if (ReadsPairs && !hasPairs)
        {
            throw new InputException($"{source}: the model was trained on pairs of texts, and these have one each: its "
                + "answers would say nothing. Name the column of the second text with option 'text-pair-column'.");
        }
    }

    /// <summary>
    /// How many ids a text may have: at most as asked, as many as the model has positions, and
    /// where nothing is asked what the tokenizer's files say.
    /// </summary>
    /// <param name="maxLength">As asked, or null.</param>
    /// <exception cref="InputException">The model has fewer positions.</exception>
    internal int MaxTokens(int? maxLength) => Model.Config.MaxTokens(Tokenizer, maxLength);

    /// <summary>The logits of some texts, in evaluation mode.</summary>
    /// <exception cref="InputException">
    /// One of them is not finite: nothing could be said about the text, and no measure of it be
    /// stored.
    /// </exception>
    private float[][] Logits(IReadOnlyList<EncodedExample> texts, Func<PackedTokens, Tensor>? forward = null) =>
        callers.Run(() => Compute(texts, forward ?? Model.Forward));

    /// <summary>
    /// In one turn on the device: other models on it have theirs between two batches and not
    /// between two kernels.
    /// </summary>
    private float[][] Compute(IReadOnlyList<EncodedExample> texts, Func<PackedTokens, Tensor> forward)
    {
        using var turn = Model.Backend.TakeTurn();
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var evaluation = new EvaluationMode();
        using var tokens = new PackedTokens(PackedBatch.Of([.. texts]), Model.Backend);
        var logits = forward(tokens).ToArray();
        if (Array.FindIndex(logits, logit => !float.IsFinite(logit)) is >= 0 and var wrong)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"The model's logits are {logits[wrong]} where numbers are expected: its training has diverged, or "
                    + $"its weights are damaged. Train with a lower option 'lr', or clip the gradients (option "
                    + $"'clip' 1)."));
        }
        return [.. logits.Chunk(Labels.Count)];
    }

    private Prediction ToPrediction(float[] logits, bool isTruncated)
    {
        var label = Logit.Largest(logits);
        double[] probabilities = IsMultiLabel ? [.. logits.Select(logit => Logit.Sigmoid(logit))]
            : [.. Logit.LogSoftmax(logits).Select(Math.Exp)];
        return new Prediction(label, Labels[label], logits, probabilities, isTruncated)
        {
            ClassNames = Labels,
            IsMultiLabel = IsMultiLabel,
        };
    }

    private static IEnumerable<List<T>> Batches<T>(IEnumerable<T> texts, Func<T, int> length, int batchSize)
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
