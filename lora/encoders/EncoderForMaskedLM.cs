using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// DistilBERT that guesses masked tokens, the task that its encoder is pretrained on (Devlin et al.
/// 2019, arXiv 1810.04805): the encoder's vector of a masked token goes through vocab_transform,
/// the activation and vocab_layer_norm, and its products with the vectors of all words are the
/// logits. The output weight is the table of the word embeddings itself, so that table has two
/// shares in its gradient: from looking words up, and from comparing with them. New models are in
/// evaluation mode; all parameters are trainable.
/// </summary>
internal sealed class EncoderForMaskedLM : Module
{
    private readonly Submodule<EncoderModel> encoder;
    private readonly Submodule<Layer> transform;
    private readonly Submodule<LayerNorm> norm;
    private readonly Submodule<OutputBias> projector;

    /// <summary>
    /// A model with randomly initialised weights: N(0, initializer_range), positions sines and
    /// cosines of that spread, biases 0, LayerNorm γ 1 and β 0.
    /// </summary>
    /// <param name="config">Sizes and rates; the classes have no meaning here.</param>
    /// <param name="seed">Names the random numbers.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">A value of the config cannot be.</exception>
    public EncoderForMaskedLM(EncoderConfig config, ulong seed = 0, IBackend? backend = null)
        : this(config, seed, backend, draw: true)
    {
    }

    internal EncoderForMaskedLM(EncoderConfig config, ulong seed, IBackend? backend, bool draw)
    {
        if ((draw ? config.ProblemOfDrawing() : config.Problem()) is { } problem)
        {
            throw new InputException($"DistilBERT config: {problem}.");
        }
        (Config, Backend) = (config, backend ?? Device.Default);
        var root = new RandomStream(seed);
        DropoutStream = new RandomStream(root.NextSeed());
        var random = new RandomStream(root.NextSeed());
        encoder = Add("distilbert",
            new EncoderModel(new LayerFactory(config, draw ? random : null, DropoutStream, Backend)));
        var parts = new LayerFactory(config, random, DropoutStream, Backend);
        transform = Add<Layer>("vocab_transform", parts.Linear(config.Hidden, config.Hidden));
        norm = Add("vocab_layer_norm", parts.LayerNorm());
        projector = Add("vocab_projector", new OutputBias(parts));
        LowRankLayers.Apply(this, config, draw ? random : null);
    }

    /// <summary>The paths of the head's parameters; the output weight is the encoder's.</summary>
    public static IReadOnlyList<string> HeadPaths { get; } =
        ["vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight", "vocab_layer_norm.bias",
            "vocab_projector.bias"];

    /// <summary>Sizes and rates.</summary>
    public EncoderConfig Config { get; }

    /// <summary>The device that holds it.</summary>
    public IBackend Backend { get; }

    /// <summary>Where every dropout mask's seed comes from.</summary>
    public RandomStream DropoutStream { get; }

    /// <summary>See <see cref="EncoderModel.ComputesEveryToken"/>; off.</summary>
    public bool ComputesEveryToken
    {
        get => encoder.Value.ComputesEveryToken;
        set => encoder.Value.ComputesEveryToken = value;
    }

    /// <summary>
    /// The logits of some tokens: the rows are chosen in the last block, so that the most of it and
    /// the wide product with the vocabulary cost as many rows as there are masked tokens.
    /// </summary>
    /// <param name="tokens">The batch, masked.</param>
    /// <param name="places">[masked]: the rows to guess, of this batch.</param>
    /// <returns>[masked, vocabulary]</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A token id is outside the vocabulary, or a text is longer than the model's positions.
    /// </exception>
    /// <exception cref="InvalidOperationException">Another thread trains the model.</exception>
    public Tensor Forward(PackedTokens tokens, SequenceRows places)
    {
        using var use = Use.Read("A forward pass");
        using var scope = new TensorScope();
        var masked = encoder.Value.Forward(tokens, places);                                     // [masked, hidden]
        var inner = transform.Value.Forward(masked);
        inner = Config.Activation == "relu" ? inner.Relu() : inner.Gelu();
        return scope.Return(norm.Value.Forward(inner).Linear(encoder.Value.WordTable, projector.Value.Bias));
    }

    /// <inheritdoc/>
    protected override string Details => $"{Config.Layers} layers, {Config.VocabularySize} tokens";

    /// <summary>
    /// vocab_projector without its weight, which is the table of the word embeddings.
    /// </summary>
    private sealed class OutputBias : Module
    {
        public OutputBias(LayerFactory parts) => Bias = Add(parts.Bias(parts.Config.VocabularySize));

        /// <summary>[vocabulary]</summary>
        public Parameter Bias { get; }
    }
}
