using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// An encoder as a text classifier: its vector of each text's first token, [CLS], goes through two
/// layers, DistilBERT's pre_classifier and classifier, BERT's pooler and classifier, RoBERTa's
/// classifier.dense and classifier.out_proj. The paths of its parameters are the keys of a Hugging
/// Face checkpoint: bert.encoder.layer.0.attention.self.query.weight. New models are in evaluation
/// mode; all parameters are trainable.
/// </summary>
public sealed class EncoderForSequenceClassification : Module
{
    private readonly Submodule<EncoderModel> encoder;
    private readonly Submodule<Layer> dense, output;
    private readonly Submodule<Dropout> dropout;

    /// <summary>
    /// A model with randomly initialised weights: N(0, initializer_range), positions sines and
    /// cosines of that spread, biases 0, LayerNorm γ 1 and β 0, the padding token's vector 0.
    /// </summary>
    /// <param name="config">Sizes and rates.</param>
    /// <param name="seed">
    /// Names the random numbers: initial values, and dropout until <see cref="DropoutStream"/> is
    /// restored.
    /// </param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">A value of the config cannot be.</exception>
    internal EncoderForSequenceClassification(EncoderConfig config, ulong seed = 0, IBackend? backend = null)
        : this(config, seed, backend, draw: true)
    {
    }

    internal EncoderForSequenceClassification(EncoderConfig config, ulong seed, IBackend? backend, bool draw)
    {
        if (((draw ? config.ProblemOfDrawing() : config.Problem()) ?? config.ProblemOfHead()) is { } problem)
        {
            throw new InputException($"{config.Family.Name} config: {problem}.");
        }
        Config = config;
        Backend = backend ?? Device.Default;
        var root = new RandomStream(seed);
        // drawn first: the head of a loaded encoder depends on the seed alone
        var headSeed = root.NextSeed();
        DropoutStream = new RandomStream(root.NextSeed());
        var random = draw ? new RandomStream(root.NextSeed()) : null;
        var encoderParts = new LayerFactory(config, random, DropoutStream, Backend);
        encoder = Add(config.Family.Trunk, new EncoderModel(encoderParts));
        var headParts = new LayerFactory(config, new RandomStream(headSeed), DropoutStream, Backend);
        dense = AddAt<Layer>(config.Family.Head.Dense, headParts.Linear(config.Hidden, config.Hidden));
        output = AddAt<Layer>(config.Family.Head.Output, headParts.Linear(config.Hidden, config.Classes));
        dropout = Add("dropout", headParts.Dropout(config.ClassifierDropout));
        LowRankLayers.Apply(this, config, random);
        CheckpointPaths = [.. NamedParameters().Select(entry => entry.Path)];
    }

    private EncoderForSequenceClassification(EncoderForSequenceClassification other, IReadOnlyList<string> labels,
        bool isMultiLabel, ulong seed) : base(other)
    {
        Config = other.Config.WithNewHead(labels, isMultiLabel);
        if (Config.Problem() is { } problem)
        {
            throw new InputException($"{Config.Family.Name} config: {problem}.");
        }
        (Backend, DropoutStream, CheckpointPaths) = (other.Backend, other.DropoutStream, other.CheckpointPaths);
        IsPoolerUntrained = other.IsPoolerUntrained;
        var head = Config.Family.Head;
        encoder = Add(Config.Family.Trunk, other.encoder.Value);
        var headParts = new LayerFactory(Config, new RandomStream(new RandomStream(seed).NextSeed()), DropoutStream,
            Backend);
        var first = headParts.Linear(Config.Hidden, Config.Hidden);
        // the pooler is the encoder's, and so there already
        dense = head.HasPooler ? other.dense : AddAt<Layer>(head.Dense, first);
        output = AddAt<Layer>(head.Output, headParts.Linear(Config.Hidden, Config.Classes));
        dropout = Add("dropout", headParts.Dropout(Config.ClassifierDropout));
    }

    /// <summary>
    /// A model for another task on the very same encoder, with a head of its own: its weights are
    /// those that a model of this seed has. An adapter that is attached to one of the two stands in
    /// the encoder of both, so let them take turns, as <see cref="AdapterSet"/> does.
    /// </summary>
    /// <param name="labels">The classes of the task; at least two.</param>
    /// <param name="isMultiLabel">Whether any number of them may hold for a text.</param>
    /// <param name="seed">Draws the head.</param>
    /// <exception cref="InputException">
    /// The classes are less than two, or have the same name.
    /// </exception>
    internal EncoderForSequenceClassification WithHead(IReadOnlyList<string> labels, bool isMultiLabel = false,
        ulong seed = 0) => new(this, labels, isMultiLabel, seed);

    /// <summary>Sizes and rates.</summary>
    internal EncoderConfig Config { get; private set; }

    /// <summary>Whether it was trained on pairs of texts; its files will say so.</summary>
    internal bool ReadsPairs
    {
        get => Config.ReadsPairs;
        set => Config = Config with { ReadsPairs = value };
    }

    /// <summary>The device that holds it.</summary>
    public IBackend Backend { get; }

    /// <summary>
    /// Where every dropout mask's seed comes from: its seed and position are all the random state
    /// that the model has.
    /// </summary>
    internal RandomStream DropoutStream { get; }

    /// <summary>
    /// The paths that the parameters have without adapters, in order of registration: the keys of a
    /// checkpoint.
    /// </summary>
    internal IReadOnlyList<string> CheckpointPaths { get; }

    /// <summary>See <see cref="EncoderModel.ComputesEveryToken"/>; off.</summary>
    internal bool ComputesEveryToken
    {
        get => encoder.Value.ComputesEveryToken;
        set => encoder.Value.ComputesEveryToken = value;
    }

    /// <summary>See <see cref="EncoderModel.RecomputesBlocks"/>; off.</summary>
    internal bool RecomputesBlocks
    {
        get => encoder.Value.RecomputesBlocks;
        set => encoder.Value.RecomputesBlocks = value;
    }

    /// <summary>The encoder without the head.</summary>
    internal EncoderModel Encoder => encoder.Value;

    /// <summary>
    /// Whether the pooler was randomly initialised, because the checkpoint has none: it is trained
    /// and saved with the head then.
    /// </summary>
    internal bool IsPoolerUntrained { get; set; }

    /// <summary>
    /// The modules of the head, which an adapter is saved with where it is trained: those that no
    /// pretrained encoder brings along.
    /// </summary>
    internal IReadOnlyList<ModulePattern> HeadModules => Modules(withPooler: IsPoolerUntrained);

    /// <summary>The paths of the parameters of <see cref="HeadModules"/>.</summary>
    internal IReadOnlyList<string> HeadPaths =>
        IsPoolerUntrained ? Config.Family.Head.AllParameters : Config.Family.Head.OwnParameters;

    /// <summary>The modules of the last two layers, whichever of them a checkpoint has.</summary>
    internal IReadOnlyList<ModulePattern> LastLayerModules => Modules(withPooler: Config.Family.Head.HasPooler);

    /// <summary>The paths of the parameters of the last two layers.</summary>
    internal IReadOnlyList<string> LastLayerPaths => Config.Family.Head.AllParameters;

    /// <summary>The logits of each text.</summary>
    /// <param name="tokens">The batch.</param>
    /// <returns>[texts, classes]</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A token id is outside the vocabulary, or a text is longer than the model's positions.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or changes its adapter.
    /// </exception>
    internal Tensor Forward(PackedTokens tokens)
    {
        using var use = Use.Read("A forward pass");
        using var scope = new TensorScope();
        return scope.Return(Head(encoder.Value.Forward(tokens, tokens.FirstTokens)));
    }

    /// <summary>How many of the encoder's layers lie below everything that is trained.</summary>
    internal int FrozenBlocks => encoder.Value.FrozenBlocks;

    /// <summary>
    /// The output of the encoder's first layers: of every token, or of all layers that of [CLS].
    /// </summary>
    /// <param name="tokens">The batch.</param>
    /// <param name="blocks">How many layers.</param>
    /// <returns>[tokens, hidden], or [texts, hidden] of all layers</returns>
    internal Tensor ForwardFrozen(PackedTokens tokens, int blocks)
    {
        using var use = Use.Read("A forward pass");
        return encoder.Value.ForwardOfFirst(tokens, blocks);
    }

    /// <summary>The logits of each text, from the output of the first layers on.</summary>
    /// <param name="tokens">The batch.</param>
    /// <param name="frozen">As from <see cref="ForwardFrozen"/>.</param>
    /// <param name="blocks">How many layers those were.</param>
    /// <returns>[texts, classes]</returns>
    internal Tensor Forward(PackedTokens tokens, Tensor frozen, int blocks)
    {
        using var use = Use.Read("A forward pass");
        using var scope = new TensorScope();
        return scope.Return(Head(encoder.Value.Forward(frozen, tokens, tokens.FirstTokens, blocks)));
    }

    /// <param name="first">[texts, hidden]: the rows of [CLS]</param>
    /// <returns>[texts, classes]</returns>
    private Tensor Head(Tensor first)
    {
        using var scope = new TensorScope();
        using var few = IndependentRows.IfOpenAs(IndependentRows.Few);
        first = Config.Family.Head.DropsInput ? dropout.Value.Forward(first) : first;
        var features = Activations.Apply(Config.Family.Head.Activation, dense.Value.Forward(first));
        return scope.Return(output.Value.Forward(dropout.Value.Forward(features)));
    }

    /// <inheritdoc/>
    protected override string Details => $"{Config.Layers} layers, {Config.Classes} classes";

    private IReadOnlyList<ModulePattern> Modules(bool withPooler) =>
        [.. Config.Family.Head.Modules.Concat(withPooler ? [Config.Family.Head.Dense] : [])
            .Select(ModulePattern.Named)];
}
