using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// An encoder that guesses masked tokens, the task that it is pretrained on (Devlin et al. 2019,
/// arXiv 1810.04805): its vector of a masked token goes through a linear layer, the activation and
/// LayerNorm, and its products with the vectors of all words are the logits. The output weight is
/// the table of the word embeddings itself, so that table has two shares in its gradient: from
/// looking words up, and from comparing with them. New models are in evaluation mode; all
/// parameters are trainable.
/// </summary>
internal sealed class EncoderForMaskedLM : Module
{
    private readonly Submodule<EncoderModel> encoder;
    private readonly Submodule<Layer> transform;
    private readonly Submodule<LayerNorm> norm;
    private readonly Parameter outputBias;

    /// <summary>
    /// A model with randomly initialised weights: N(0, initializer_range), positions sines and
    /// cosines of that spread, biases 0, LayerNorm γ 1 and β 0.
    /// </summary>
    /// <param name="config">Sizes and rates; the classes have no meaning here.</param>
    /// <param name="seed">Names the random numbers.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">
    /// A value of the config cannot be, or its family is not pretrained so.
    /// </exception>
    public EncoderForMaskedLM(EncoderConfig config, ulong seed = 0, IBackend? backend = null)
        : this(config, seed, backend, draw: true)
    {
    }

    internal EncoderForMaskedLM(EncoderConfig config, ulong seed, IBackend? backend, bool draw)
    {
        if (((draw ? config.ProblemOfDrawing() : config.Problem()) ?? config.ProblemOfMasking()) is { } problem)
        {
            throw new InputException($"{config.Family.Name} config: {problem}.");
        }
        (Config, Backend) = (config, backend ?? Device.Default);
        var (family, paths) = (config.Family, config.Family.MaskedHead!);
        var root = new RandomStream(seed);
        DropoutStream = new RandomStream(root.NextSeed());
        var random = new RandomStream(root.NextSeed());
        encoder = Add(family.Trunk,
            new EncoderModel(new LayerFactory(config, draw ? random : null, DropoutStream, Backend)));
        var parts = new LayerFactory(config, random, DropoutStream, Backend);
        transform = AddAt<Layer>(paths.Transform, parts.Linear(config.Hidden, config.Hidden));
        norm = AddAt(paths.Norm, parts.LayerNorm(config.Hidden));
        outputBias = ((ModuleGroup)Group(paths.Output)).Hold(parts.Bias(config.VocabularySize));
        LowRankLayers.Apply(this, config, draw ? random : null);
    }

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

    /// <summary>See <see cref="EncoderModel.RecomputesBlocks"/>; off.</summary>
    public bool RecomputesBlocks
    {
        get => encoder.Value.RecomputesBlocks;
        set => encoder.Value.RecomputesBlocks = value;
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
        var inner = Activations.Apply(Config.Activation, transform.Value.Forward(masked));
        return scope.Return(norm.Value.Forward(inner).Linear(encoder.Value.WordTable, outputBias));
    }

    /// <inheritdoc/>
    protected override string Details => $"{Config.Layers} layers, {Config.VocabularySize} tokens";
}
