using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// A model with its tokenizer: texts in, classes out. Any number of threads may ask it at a time,
/// and each gets the answers that it would get alone, bit for bit; while one of them trains the
/// model or merges its adapter the others are refused.
/// <code>
/// using var classifier = TextClassifier.Load("my-adapter");
/// var prediction = classifier.Predict("Not what I expected, but I like it.");
/// </code>
/// </summary>
public sealed partial class TextClassifier : IDisposable
{
    private readonly CallerQueue callers = new();
    private readonly PredictionQueue queue;
    private readonly Head baseHead;
    private int disposed;

    /// <param name="model">The model, with or without an adapter attached.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    /// <param name="isHeadUntrained">
    /// Whether the head comes from the seed and not from a checkpoint; an adapter then stores it.
    /// </param>
    /// <param name="source">Where the model is from; null: from no files.</param>
    /// <param name="needsAdapter">Whether nobody will train the head: only adapters answer.</param>
    internal TextClassifier(EncoderForSequenceClassification model, Tokenizer tokenizer,
        bool isHeadUntrained = false, ModelSource? source = null, bool needsAdapter = false)
    {
        (Tokenizer, IsBaseHeadUntrained, Source) = (tokenizer, isHeadUntrained, source);
        baseHead = first = new Head(AdapterSet.Base, model, needsAdapter);
        queue = new PredictionQueue(ServeWaiting);
    }

    /// <summary>As it comes from its files.</summary>
    internal TextClassifier(LoadedModel loaded, ModelSource? source = null, bool needsAdapter = false)
        : this(loaded.Model, loaded.Tokenizer, loaded.Report.Initialized.Count > 0, source, needsAdapter)
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
        bool isMultiLabel = false) => new(ModelSource.BuiltIn.Load(seed, labels, backend: backend,
            isMultiLabel: isMultiLabel), ModelSource.BuiltIn);

    /// <summary>
    /// Loads an adapter with the base model that it names, or a model: head, classes and tokenizer
    /// are found in their files.
    /// </summary>
    /// <param name="path">
    /// A folder, or ORG/NAME in the Hugging Face cache (HF_HUB_CACHE, HF_HOME; nothing is
    /// downloaded). An adapter in PEFT's format, as a fine-tuning saves it: with
    /// adapter_config.json, whose base model is the built-in one, a folder (from the working
    /// directory, the adapter's, or the one that the adapter is in), or in the cache. Or a model as
    /// Hugging Face's encoders have them (DistilBERT, BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA),
    /// with config.json, model.safetensors and a tokenizer, merged, quantised or compressed.
    /// </param>
    /// <param name="labels">
    /// Classes of a head that the model lacks, which is randomly initialised then, to be trained.
    /// For a trained head other names of its classes, as many. Null: as the files say; a model
    /// without a trained head then waits for <see cref="AddAdapter"/>.
    /// </param>
    /// <param name="baseModel">
    /// Folder or ORG/NAME of the adapter's base, instead of the one that it names; null: that one.
    /// </param>
    /// <param name="anyBase">Takes another base than the adapter was trained on.</param>
    /// <param name="seed">Initialises a head that the model lacks.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="isMultiLabel">
    /// Whether any number of the classes of a head that the model lacks may hold for a text; null:
    /// as the files say.
    /// </param>
    /// <param name="newHead">
    /// Draws a head for <paramref name="labels"/>, to be trained, though the model has a trained
    /// one.
    /// </param>
    /// <param name="warn">Is told what the files leave open, a sentence each; may be null.</param>
    /// <exception cref="InputException">
    /// There is nothing of that name; a file is missing or wrong, or they do not fit each other;
    /// neither adapter nor model has a trained head.
    /// </exception>
    public static TextClassifier Load(string path, IReadOnlyList<string>? labels = null, string? baseModel = null,
        bool anyBase = false, ulong seed = 0, IBackend? backend = null, bool? isMultiLabel = null,
        bool newHead = false, Action<string>? warn = null) => ClassifierLoader.LoadPath(path, labels, baseModel,
            anyBase, seed, backend, isMultiLabel, newHead, warn);

    /// <summary>What an adapter calls its base: see <see cref="ModelSource.Reference"/>.</summary>
    internal string? Reference => Source?.Reference;

    /// <summary>Where the model is from; null: from no files.</summary>
    internal ModelSource? Source { get; }

    /// <summary>The model.</summary>
    public EncoderForSequenceClassification Model => first.Model;

    /// <summary>The model without adapters.</summary>
    internal EncoderForSequenceClassification BaseModel => baseHead.Model;

    /// <summary>The tokenizer.</summary>
    internal Tokenizer Tokenizer { get; }

    /// <summary>Whether the head comes from the seed and not from a checkpoint.</summary>
    public bool IsHeadUntrained => IsBaseHeadUntrained && first == baseHead;

    /// <summary>Whether that of the model without adapters does.</summary>
    internal bool IsBaseHeadUntrained { get; }

    /// <summary>Names of the classes.</summary>
    public IReadOnlyList<string> Labels => Model.Config.Labels;

    /// <summary>
    /// Whether any number of classes may hold for a text (multi-label), each with a probability of
    /// its own; else exactly one does.
    /// </summary>
    public bool IsMultiLabel => Model.Config.IsMultiLabel;

    /// <summary>Whether it was trained on pairs of texts.</summary>
    public bool ReadsPairs => first.ReadsPairs;

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
    /// Writes a model folder that <see cref="Load"/> and transformers read, whole or not at all.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <exception cref="InputException">
    /// An adapter is attached (<see cref="LoRAAdapter.MergeAndDetach"/> makes it a part of the
    /// model), or the folder cannot be written.
    /// </exception>
    public void Save(string folder, bool overwrite = false)
    {
        RequireNoAdapters("Saving a model");
        ModelFolder.Save(folder, Model, Tokenizer, overwrite: overwrite);
    }

    /// <summary>
    /// Gives the memory of the model and its adapters back, after the batch that is under way.
    /// Whoever waits for an answer, or asks later, gets an <see cref="ObjectDisposedException"/>.
    /// The device stays.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
        {
            return;
        }
        queue.Close();
        callers.Run(() =>
        {
            using var turn = Model.Backend.TakeTurn();
            foreach (var weight in Weights())
            {
                weight.Dispose();
            }
            return true;
        });
    }

    private void RequireAlive() => ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);

    /// <summary>
    /// How many ids a text may have: at most as asked, as many as the model has positions, and
    /// where nothing is asked what the tokenizer's files say.
    /// </summary>
    /// <param name="maxLength">As asked, or null.</param>
    /// <exception cref="InputException">The model has fewer positions.</exception>
    internal int MaxTokens(int? maxLength) => Model.Config.MaxTokens(Tokenizer, maxLength);
}
