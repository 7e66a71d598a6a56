using System.Collections.ObjectModel;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Families;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The sizes and rates of a classifier: the contents of a Hugging Face config.json, which
/// <see cref="Load"/> reads and <see cref="ToJson"/> writes. What the file calls them is the
/// family's (<see cref="ConfigKeys"/>). The defaults are those of distilbert-base-uncased.
/// </summary>
internal sealed partial record EncoderConfig
{
    /// <summary>The architecture (model_type).</summary>
    public EncoderFamily Family { get; init; } = DistilBert.Family;

    /// <summary>Entries of the vocabulary (vocab_size).</summary>
    public int VocabularySize { get; init; } = 30522;

    /// <summary>
    /// Tokens of the longest text: max_position_embeddings less <see cref="FirstPosition"/>.
    /// </summary>
    public int MaxPositions { get; init; } = 512;

    /// <summary>Width of a token's vector.</summary>
    public int Hidden { get; init; } = 768;

    /// <summary>
    /// Width of the embeddings where they are projected to <see cref="Hidden"/>; null where they
    /// have that width.
    /// </summary>
    public int? OwnEmbeddingWidth { get; init; }

    /// <summary>Width of the feed-forward layers' inner vector.</summary>
    public int FeedForward { get; init; } = 3072;

    /// <summary>Blocks of the encoder.</summary>
    public int Layers { get; init; } = 6;

    /// <summary>Heads of an attention layer; they divide <see cref="Hidden"/>.</summary>
    public int Heads { get; init; } = 12;

    /// <summary>
    /// Function between the feed-forward layers, one of <see cref="Activations.Names"/>.
    /// </summary>
    public string Activation { get; init; } = "gelu";

    /// <summary>
    /// Dropout on the embeddings, after the feed-forward layers and, in most families, after the
    /// attention's output layer.
    /// </summary>
    public float Dropout { get; init; } = 0.1f;

    /// <summary>Dropout on the attention probabilities.</summary>
    public float AttentionDropout { get; init; } = 0.1f;

    /// <summary>Dropout in the classification head.</summary>
    public float ClassifierDropout { get; init; } = 0.2f;

    /// <summary>LayerNorm's ε.</summary>
    public float Epsilon { get; init; } = 1e-12f;

    /// <summary>
    /// Token types, rows of a table that is added to the embeddings; 0: there is none.
    /// </summary>
    public int TokenTypes { get; init; }

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
    /// Linear layers in low-rank form: path → rank (low_rank, in files of
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

    /// <summary>Whether the head tells classes of tokens apart (architectures).</summary>
    internal bool IsTokenClassifier { get; init; }

    /// <summary>Width of the embeddings.</summary>
    public int EmbeddingWidth => OwnEmbeddingWidth ?? Hidden;

    /// <summary>
    /// The position of a text's first token: 0, or the padding token's id + 1, where lower ones
    /// have rows of the table but no token.
    /// </summary>
    public int FirstPosition =>
        Family.CountsPositionsFromPadding ? (int)Math.Min(PadTokenId + 1L, int.MaxValue / 2) : 0;

    /// <summary>Rows of the table of positions (max_position_embeddings).</summary>
    public int PositionRows => (int)Math.Clamp((long)MaxPositions + FirstPosition, int.MinValue, int.MaxValue);

    /// <summary>
    /// How many ids a text may have: at most as asked, as many as the model has positions, and
    /// where nothing is asked what the tokenizer's files say.
    /// </summary>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="maxLength">As asked, or null.</param>
    /// <exception cref="InputException">The model has fewer positions.</exception>
    internal int MaxTokens(Tokenizer tokenizer, int? maxLength) => maxLength switch
    {
        < 3 => throw new InputException(
            $"Option 'maxLength' is {maxLength}; expected at least 3: [CLS], one token, [SEP]."),
        _ when maxLength > MaxPositions => throw new InputException($"Option 'maxLength' is {maxLength}; the model "
            + $"has {MaxPositions} positions ({PositionsInWords}). Give at most that."),
        _ => maxLength ?? Math.Min(tokenizer.MaxLength, MaxPositions),
    };

    /// <summary>
    /// What the model has for positions, to be told beside a length that is too large.
    /// </summary>
    internal string PositionsInWords => FirstPosition == 0 ? "max_position_embeddings"
        : $"max_position_embeddings {PositionRows}, and a text's first token is at {FirstPosition}";

    /// <summary>
    /// The sizes that decide how large the model is, under the file's names for them.
    /// </summary>
    internal string SizesInWords => $"vocab_size {VocabularySize}, max_position_embeddings {PositionRows}, "
        + $"{Family.Keys.Hidden} {Hidden}, {Family.Keys.FeedForward} {FeedForward} and {Family.Keys.Layers} {Layers}";

    /// <summary>Number of classes.</summary>
    public int Classes => Labels.Count;

    /// <summary>
    /// As <see cref="Problem"/>, and why no weights can be drawn as the config asks.
    /// </summary>
    internal string? ProblemOfDrawing() => Problem() ?? (HasSinusoidalPositions
        ? "sinusoidal_pos_embds is true, and the positions of a new model are learned: set it to false" : null);

    /// <summary>Why no masked language model can have this config.</summary>
    internal string? ProblemOfMasking() => Family.MaskedHead is null
        ? $"model_type is {Family.ModelType}, which cannot be pretrained: {Family.WhyNotMasked}. Pretraining takes "
            + string.Join(" and ", EncoderFamilies.All.Where(family => family.MaskedHead is not null)
                .Select(family => family.ModelType))
        : null;

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
        bool OfHead(string path) =>
            Family.Head.Modules.Any(module => $"{path}.".StartsWith($"{module}.", StringComparison.Ordinal));
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

    /// <summary>
    /// Says which value cannot be, under the name that the file has for it; null when all is well.
    /// </summary>
    internal string? Problem()
    {
        var keys = Family.Keys;
        (string Key, int Value)[] sizes =
        [
            ("vocab_size", VocabularySize), ("max_position_embeddings", PositionRows), (keys.Hidden, Hidden),
            (keys.FeedForward, FeedForward), (keys.Layers, Layers), (keys.Heads, Heads),
            (keys.EmbeddingWidth ?? keys.Hidden, EmbeddingWidth),
            (keys.TokenTypes ?? "", keys.TokenTypes is null ? 1 : TokenTypes),
        ];
        foreach (var (key, value) in sizes)
        {
            if (value < 1)
            {
                return $"{key} is {value}, it must be at least 1";
            }
        }
        (string Key, float Value)[] rates =
        [
            (keys.Dropout, Dropout), (keys.AttentionDropout, AttentionDropout),
            (keys.ClassifierDropout, ClassifierDropout),
        ];
        foreach (var (key, value) in rates)
        {
            if (!(value >= 0 && value < 1))
            {
                return FormattableString.Invariant($"{key} is {value}, a probability in [0, 1) is expected");
            }
        }
        if (Hidden % Heads != 0)
        {
            return $"{keys.Heads} is {Heads} and does not divide {keys.Hidden}, {Hidden}: every head needs the same "
                + "width";
        }
        int[] rows = [VocabularySize, PositionRows, TokenTypes, FeedForward, Hidden, Classes];
        if ((long)Math.Max(Hidden, EmbeddingWidth) * rows.Max() > int.MaxValue)
        {
            return $"{keys.Hidden} {Hidden} with vocab_size {VocabularySize}, {keys.FeedForward} {FeedForward}, "
                + $"max_position_embeddings {PositionRows} and {Classes} classes makes a matrix of more than "
                + $"{int.MaxValue} elements";
        }
        if (PadTokenId < 0 || PadTokenId >= VocabularySize)
        {
            return $"pad_token_id is {PadTokenId}, ids of vocab_size {VocabularySize} go from 0 to "
                + $"{VocabularySize - 1}";
        }
        if (MaxPositions < 2)
        {
            return $"max_position_embeddings is {PositionRows}: [CLS] and [SEP] need 2 positions"
                + (FirstPosition == 0 ? "" : $", the first of them at {FirstPosition}");
        }
        if (!(Epsilon >= 0 && float.IsFinite(Epsilon)))
        {
            return FormattableString.Invariant($"{keys.Epsilon} is {Epsilon}, a number of at least 0 is expected");
        }
        if (!(InitializerRange >= 0 && float.IsFinite(InitializerRange)))
        {
            return FormattableString.Invariant(
                $"initializer_range is {InitializerRange}, a standard deviation of at least 0 is expected");
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
        if (!Activations.Names.Contains(Activation))
        {
            return $"{keys.Activation} is {Describe.Name(Activation)}, supported are "
                + $"{string.Join(", ", Activations.Names.SkipLast(1).Select(name => $"'{name}'"))} and "
                + $"'{Activations.Names[^1]}'";
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
