using System.Collections.ObjectModel;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The sizes and rates of a DistilBERT classifier: the contents of a Hugging Face config.json,
/// which <see cref="Load"/> reads and <see cref="ToJson"/> writes. The defaults are those of
/// distilbert-base-uncased. LayerNorm's ε is not among them: DistilBERT fixes it at 1e-12.
/// </summary>
internal sealed partial record EncoderConfig
{
    /// <summary>Entries of the vocabulary (vocab_size).</summary>
    public int VocabularySize { get; init; } = 30522;

    /// <summary>Tokens of the longest text (max_position_embeddings).</summary>
    public int MaxPositions { get; init; } = 512;

    /// <summary>Width of a token's vector (dim).</summary>
    public int Hidden { get; init; } = 768;

    /// <summary>Width of the feed-forward layers' inner vector (hidden_dim).</summary>
    public int FeedForward { get; init; } = 3072;

    /// <summary>Blocks of the encoder (n_layers).</summary>
    public int Layers { get; init; } = 6;

    /// <summary>Heads of an attention layer; they divide <see cref="Hidden"/> (n_heads).</summary>
    public int Heads { get; init; } = 12;

    /// <summary>
    /// Function between the feed-forward layers: "gelu" (the exact one) or "relu" (activation).
    /// </summary>
    public string Activation { get; init; } = "gelu";

    /// <summary>Dropout on the embeddings and after each feed-forward layer (dropout).</summary>
    public float Dropout { get; init; } = 0.1f;

    /// <summary>Dropout on the attention probabilities (attention_dropout).</summary>
    public float AttentionDropout { get; init; } = 0.1f;

    /// <summary>Dropout before the classifier (seq_classif_dropout).</summary>
    public float ClassifierDropout { get; init; } = 0.2f;

    /// <summary>Standard deviation of initial weights (initializer_range).</summary>
    public float InitializerRange { get; init; } = 0.02f;

    /// <summary>Id of the padding token; its vector starts at zero (pad_token_id).</summary>
    public int PadTokenId { get; init; }

    /// <summary>Names of the classes in the order of the logits (id2label, label2id).</summary>
    public IReadOnlyList<string> Labels { get; init; } = ["LABEL_0", "LABEL_1"];

    /// <summary>
    /// Whether <see cref="Load"/> found the classes in the file (id2label, label2id or num_labels),
    /// and did not fall back on the default two.
    /// </summary>
    public bool HasClasses { get; init; }

    /// <summary>
    /// Whether the head is one of regression, with a number for an answer (problem_type, or one
    /// output alone). There is no such model here; what is read is an encoder.
    /// </summary>
    public bool IsRegression { get; init; }

    /// <summary>
    /// Whether any number of classes may hold for a text, each with a probability of its own
    /// (problem_type "multi_label_classification"): σ of its logit.
    /// </summary>
    public bool IsMultiLabel { get; init; }

    /// <summary>
    /// Whether it was trained on pairs of texts (text_pair, a key of this library's own that other
    /// programs pass over).
    /// </summary>
    public bool ReadsPairs { get; init; }

    /// <summary>
    /// Whether the table of positions began as sines and cosines of size 1 that training leaves
    /// alone (sinusoidal_pos_embds). A checkpoint has the table, so that this says nothing about
    /// one; where weights are drawn it is refused.
    /// </summary>
    public bool HasSinusoidalPositions { get; init; }

    /// <summary>
    /// Linear layers in low-rank form: path → rank (low_rank, in files of model_type
    /// <see cref="OwnModelType"/>). Empty in a model as it was trained.
    /// </summary>
    public IReadOnlyDictionary<string, int> LowRank { get; init; } = ReadOnlyDictionary<string, int>.Empty;

    /// <summary>
    /// Linear layers, or factors of low-rank ones, whose weights are quantised: path → bits and
    /// group size (quantized, in files of model_type <see cref="OwnModelType"/>).
    /// </summary>
    public IReadOnlyDictionary<string, QuantizationFormat> Quantized { get; init; } =
        ReadOnlyDictionary<string, QuantizationFormat>.Empty;

    /// <summary>
    /// Paths of linear layers, or of factors of low-rank ones, that compute on whole numbers of 8
    /// bits, for prediction (dynamic_int8, in files of model_type <see cref="OwnModelType"/>).
    /// </summary>
    public IReadOnlyList<string> DynamicInt8 { get; init; } = [];

    /// <summary>Whether every layer is as transformers has it.</summary>
    public bool IsPlain => LowRank.Count == 0 && !HasQuantized;

    /// <summary>Whether any weights are rounded.</summary>
    internal bool HasQuantized => Quantized.Count > 0 || DynamicInt8.Count > 0;

    /// <summary>
    /// Keys of the file that this class does not read; <see cref="ToJson"/> writes them back.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> OtherKeys { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>
    /// What <see cref="Load"/> wants the user to know: the keys that it does not read. Empty when
    /// there is nothing to say.
    /// </summary>
    public IReadOnlyList<string> Notices { get; init; } = [];

    /// <summary>
    /// Whether the head chooses one of several texts (architectures), and is none of a classifier.
    /// </summary>
    internal bool IsMultipleChoice { get; init; }

    /// <summary>Number of classes.</summary>
    public int Classes => Labels.Count;

    /// <summary>
    /// As <see cref="Problem"/>, and why no weights can be drawn as the config asks.
    /// </summary>
    internal string? ProblemOfDrawing() => Problem() ?? (HasSinusoidalPositions
        ? "sinusoidal_pos_embds is true, and the positions of a new model are learned: set it to false" : null);

    /// <summary>What keeps its head from telling classes apart.</summary>
    internal string? ProblemOfHead() => IsRegression
        ? "problem_type is regression (or there is one output): the head gives a number and no class, which is not "
            + "supported"
        : null;

    /// <summary>The config with a head of the given classes, as new models have it.</summary>
    /// <param name="labels">Names of the classes.</param>
    /// <param name="isMultiLabel">See <see cref="IsMultiLabel"/>.</param>
    internal EncoderConfig WithNewHead(IReadOnlyList<string> labels, bool isMultiLabel)
    {
        bool OfHead(string path) => path.StartsWith("pre_classifier", StringComparison.Ordinal)
            || path.StartsWith("classifier", StringComparison.Ordinal);
        return this with
        {
            Labels = labels,
            IsRegression = false,
            IsMultiLabel = isMultiLabel,
            LowRank = LowRank.Where(entry => !OfHead(entry.Key)).ToDictionary(),
            Quantized = Quantized.Where(entry => !OfHead(entry.Key)).ToDictionary(),
            DynamicInt8 = [.. DynamicInt8.Where(path => !OfHead(path))],
        };
    }

    /// <summary>The functions that <see cref="Activation"/> may name.</summary>
    internal static readonly string[] Activations = ["gelu", "relu"];

    /// <summary>
    /// Says which value cannot be, under the name that the file has for it; null when all is well.
    /// </summary>
    internal string? Problem()
    {
        (string Key, int Value)[] sizes =
        [
            ("vocab_size", VocabularySize), ("max_position_embeddings", MaxPositions), ("dim", Hidden),
                ("hidden_dim", FeedForward),
            ("n_layers", Layers), ("n_heads", Heads),
        ];
        foreach (var (key, value) in sizes)
        {
            if (value < 1)
            {
                return $"{key} is {value}, it must be at least 1";
            }
        }
        (string Key, float Value)[] rates =
            [("dropout", Dropout), ("attention_dropout", AttentionDropout), ("seq_classif_dropout", ClassifierDropout)];
        foreach (var (key, value) in rates)
        {
            if (!(value >= 0 && value < 1))
            {
                return FormattableString.Invariant($"{key} is {value}, a probability in [0, 1) is expected");
            }
        }
        if (Hidden % Heads != 0)
        {
            return $"n_heads is {Heads} and does not divide dim, {Hidden}: every head needs the same width";
        }
        if ((long)Hidden * new[] { VocabularySize, MaxPositions, FeedForward, Hidden, Classes }.Max() > int.MaxValue)
        {
            return $"dim {Hidden} with vocab_size {VocabularySize}, hidden_dim {FeedForward}, "
                + $"max_position_embeddings {MaxPositions} and {Classes} classes makes a matrix of more than "
                + $"{int.MaxValue} elements";
        }
        if (MaxPositions < 2)
        {
            return "max_position_embeddings is 1: [CLS] and [SEP] need 2 positions";
        }
        if (!(InitializerRange >= 0 && float.IsFinite(InitializerRange)))
        {
            return FormattableString.Invariant(
                $"initializer_range is {InitializerRange}, a standard deviation of at least 0 is expected");
        }
        if (PadTokenId < 0 || PadTokenId >= VocabularySize)
        {
            return $"pad_token_id is {PadTokenId}, ids of vocab_size {VocabularySize} go from 0 to "
                + $"{VocabularySize - 1}";
        }
        if (LowRank.FirstOrDefault(entry => entry.Value < 1) is { Key: { } path, Value: var rank })
        {
            return $"low_rank gives '{path}' the rank {rank}, at least 1 is expected";
        }
        if (Quantized.Select(entry => (entry.Key, Problem: entry.Value.Problem()))
            .FirstOrDefault(entry => entry.Problem is not null) is { Problem: { } wrong } format)
        {
            return $"quantized gives '{format.Key}' a form that there is not: {wrong}";
        }
        if (DynamicInt8.FirstOrDefault(path => Quantized.ContainsKey(path)
            || DynamicInt8.Count(other => other == path) > 1) is { } twice)
        {
            return $"dynamic_int8 names '{twice}', which "
                + $"{(Quantized.ContainsKey(twice) ? "quantized names too" : "it names before")}: a layer has one form";
        }
        if (!Activations.Contains(Activation))
        {
            return $"activation is {Describe.Name(Activation)}, supported are "
                + $"{string.Join(" and ", Activations.Select(name => $"'{name}'"))}";
        }
        if (Labels.Count < 2)
        {
            return $"id2label names {Labels.Count} classes, a classifier needs at least 2";
        }
        if (Labels.Distinct(StringComparer.Ordinal).Count() != Labels.Count)
        {
            return $"id2label names '{Labels.GroupBy(label => label).First(group => group.Count() > 1).Key}' twice, "
                + "the names of classes must differ";
        }
        return null;
    }
}
