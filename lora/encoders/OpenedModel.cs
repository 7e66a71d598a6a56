using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The files of a model, open: what they hold is known, and the weights can be loaded, as often as
/// they are wanted, without reading anything twice. From <see cref="ModelSource.Open"/>.
/// </summary>
internal sealed class OpenedModel : IDisposable
{
    private readonly Checkpoint files;
    private readonly string? otherHead;

    /// <param name="source">Where the files are.</param>
    /// <param name="config">Sizes, rates and classes.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="files">The weights; they go with this object.</param>
    internal OpenedModel(ModelSource source, EncoderConfig config, Tokenizer tokenizer, Checkpoint files)
    {
        (Source, Tokenizer, this.files) = (source, tokenizer, files);
        otherHead = HeadOfOtherTask(config, files);
        HasHead = otherHead is null && config.Family.Head.OwnParameters.Any(files.Tensors.ContainsKey);
        // the classes of tokens are none of texts
        Config = otherHead is null ? config
            : config with
            {
                Labels = new EncoderConfig().Labels,
                HasClasses = false,
                IsRegression = false,
                IsMultiLabel = false
            };
    }

    /// <summary>Where the files are.</summary>
    public ModelSource Source { get; }

    /// <summary>Sizes, rates, and the classes of a classifier.</summary>
    public EncoderConfig Config { get; }

    /// <summary>The tokenizer that the model was trained with.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>
    /// Whether there is a head that classifies texts, whose classes are then those of
    /// <see cref="Config"/>. The head of another task is none.
    /// </summary>
    public bool HasHead { get; }

    /// <summary>
    /// Loads a classifier, or an encoder or masked language model that becomes one.
    /// </summary>
    /// <param name="seed">
    /// Initialises a head that the checkpoint lacks, and names the dropout masks.
    /// </param>
    /// <param name="labels">Names of the classes; null: those of <see cref="Config"/>.</param>
    /// <param name="newHead">
    /// Draws a head for these classes, whether the checkpoint has one or not.
    /// </param>
    /// <param name="backend">Where to put it.</param>
    /// <param name="isMultiLabel">
    /// Whether any number of the classes of a new head may hold for a text; null: as
    /// <see cref="Config"/> says.
    /// </param>
    /// <exception cref="InputException">
    /// Tensors are missing, unexpected or mis-shaped, which the message lists; or the head that
    /// there is has other classes than <paramref name="labels"/> names, or is for regression.
    /// </exception>
    public LoadedModel Load(ulong seed = 0, IReadOnlyList<string>? labels = null, bool newHead = false,
        IBackend? backend = null, bool? isMultiLabel = null)
    {
        using var stage = Stages.Begin("read weights");
        var keepsHead = HasHead && !newHead;
        var config = keepsHead ? Config with { Labels = ClassesOfHead(labels) }
            : Config.WithNewHead(labels ?? Config.Labels, isMultiLabel ?? Config.IsMultiLabel);
        var model = new EncoderForSequenceClassification(config, seed, backend, draw: false);
        var report = CheckpointLoader.Load(model, files, withoutHead: !keepsHead);
        return new LoadedModel(model, Tokenizer, report with { OtherHead = otherHead, IsHeadWanted = newHead });
    }

    /// <summary>The classes of the head that there is.</summary>
    /// <param name="labels">Their names; null: those of <see cref="Config"/>.</param>
    /// <exception cref="InputException">
    /// They are not as many as it has classes, or it is for regression.
    /// </exception>
    internal IReadOnlyList<string> ClassesOfHead(IReadOnlyList<string>? labels)
    {
        if (Config.ProblemOfHead() is { } problem)
        {
            throw new InputException($"{Source}: {problem}. To train a classifier on its encoder, give option "
                + "'newHead'.");
        }
        return labels is null || labels.Count == Config.Classes ? labels ?? Config.Labels : throw new InputException(
            $"{Source}: its head has {Config.Classes} classes ({LabelSet.Listed(Config.Labels)}), and {labels.Count} "
            + $"names are given ({LabelSet.Listed(labels)}). To train a head for other classes, give option "
            + "'newHead'.");
    }

    /// <summary>
    /// Loads a masked language model to go on pretraining it, or an encoder or classifier that
    /// becomes one.
    /// </summary>
    /// <param name="seed">
    /// Initialises a head that the checkpoint lacks, and names the dropout masks.
    /// </param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">
    /// Tensors are missing, unexpected or mis-shaped, which the message lists; or layers are
    /// quantised.
    /// </exception>
    public LoadedMaskedLM LoadMaskedLM(ulong seed = 0, IBackend? backend = null)
    {
        if (Config.HasQuantized)
        {
            throw new InputException($"{Source}: {Config.Quantized.Count + Config.DynamicInt8.Count} of its layers "
                + "are quantised, and pretraining changes every weight. Name the model that it was made of.");
        }
        if (Tokenizer is not WordPieceTokenizer pieces)
        {
            throw new InputException($"{Source}: its tokenizer is no WordPiece one, and pretraining knows the words "
                + "and masks of no other. Fine-tune it with 'lora train'.");
        }
        var model = new EncoderForMaskedLM(Config, seed, backend, draw: false);
        return new LoadedMaskedLM(model, pieces, CheckpointLoader.Load(model, files));
    }

    /// <summary>Closes the files.</summary>
    public void Dispose() => files.Dispose();

    /// <summary>
    /// What other task the head is for, which has tensors of a classifier's names: null where it is
    /// a classifier's, or none. A classifier of tokens has an output layer alone, or says what it
    /// is.
    /// </summary>
    private static string? HeadOfOtherTask(EncoderConfig config, Checkpoint files)
    {
        var head = config.Family.Head;
        bool Has(string module) => files.Tensors.Keys.Any(name =>
            CheckpointLoader.ModelPath(config.Family, name).StartsWith(module, StringComparison.Ordinal));
        return !Has($"{head.Modules[^1]}.") ? null
            : config.IsMultipleChoice ? "multiple choice"
            : config.IsTokenClassifier || !Has($"{head.Dense}.") ? "tokens"
            : null;
    }
}
