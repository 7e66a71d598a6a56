using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// Makes the parts of a model with their initial values: weights N(0, initializer_range), positions
/// sines and cosines, biases 0, LayerNorm γ 1 and β 0. Without random numbers all weights are 0:
/// what a checkpoint fills need not be initialised.
/// </summary>
internal sealed class LayerFactory(EncoderConfig config, RandomStream? random, RandomStream dropouts,
    IBackend? backend)
{
    public EncoderConfig Config => config;

    /// <summary>The stream that every dropout mask's seed comes from.</summary>
    public RandomStream Dropouts => dropouts;

    public Linear Linear(int inFeatures, int outFeatures) =>
        new(Weight(outFeatures, inFeatures), Parameter.Filled("bias", 0, new Shape(outFeatures), backend));

    /// <param name="count">Vectors.</param>
    /// <param name="zeroRow">A vector that starts at 0; null for none.</param>
    public Embedding Embedding(int count, int? zeroRow = null) => new(Weight(count, config.EmbeddingWidth, zeroRow));

    /// <summary>
    /// The vectors of positions before training: sines and cosines of wavelengths from 2π to
    /// 10,000·2π (Vaswani et al. 2017, section 3.5), of which the next position's are the same
    /// rotation everywhere, so that attention to neighbours is learned once and not for each
    /// position; scaled to the spread of the word vectors.
    /// </summary>
    public Embedding Positions()
    {
        var (rows, width) = (config.PositionRows, config.EmbeddingWidth);
        if (random is null)
        {
            return Embedding(rows);
        }
        var values = new float[rows * width];
        var amplitude = Math.Sqrt(2) * config.InitializerRange;
        for (var i = 0; i < values.Length; i++)
        {
            var (position, column) = Math.DivRem(i, width);
            var angle = position * Math.Pow(10_000, -(double)(column - column % 2) / width);
            values[i] = (float)(amplitude * (column % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle)));
        }
        return new(new Parameter("weight", values, new Shape(rows, width), backend));
    }

    /// <summary>A bias without a weight: 0.</summary>
    public Parameter Bias(int count) => Parameter.Filled("bias", 0, new Shape(count), backend);

    public LayerNorm LayerNorm(int width) => new(width, config.Epsilon, backend);

    public Dropout Dropout(float probability) => new(probability, dropouts);

    private Parameter Weight(int rows, int columns, int? zeroRow = null)
    {
        var shape = new Shape(rows, columns);
        if (random is null)
        {
            return Parameter.Filled("weight", 0, shape, backend);
        }
        var values = random.Normal(rows * columns, config.InitializerRange);
        if (zeroRow is { } row)
        {
            values.AsSpan(row * columns, columns).Clear();
        }
        return new Parameter("weight", values, shape, backend);
    }
}

/// <summary>
/// Dropout(LayerNorm(word + type + position)): a vector for each token from what it is, whose text
/// it is of, and where it stands. Families without token types leave the second one out.
/// </summary>
internal sealed class Embeddings : Module
{
    private readonly Submodule<ITokenLayer> words, positions;
    private readonly Submodule<ITokenLayer>? types;
    private readonly Submodule<LayerNorm> norm;
    private readonly Submodule<Dropout> dropout;
    private readonly int firstPosition, knownTypes;

    internal Embeddings(LayerFactory parts)
    {
        var config = parts.Config;
        (firstPosition, knownTypes) = (config.FirstPosition, config.TokenTypes);
        words = Add<ITokenLayer>("word_embeddings", parts.Embedding(config.VocabularySize, zeroRow: config.PadTokenId));
        positions = Add<ITokenLayer>("position_embeddings", parts.Positions());
        types = knownTypes > 0 ? Add<ITokenLayer>("token_type_embeddings", parts.Embedding(knownTypes)) : null;
        norm = Add("LayerNorm", parts.LayerNorm(config.EmbeddingWidth));
        dropout = Add("dropout", parts.Dropout(config.Dropout));
    }

    /// <summary>
    /// The vector of every token [vocabulary, width], which a masked language model reads as its
    /// output weight as well.
    /// </summary>
    internal Parameter WordTable => ((Embedding)words.Value).Weight;

    /// <summary>
    /// E = dropout(LayerNorm(words[ids] + types[types] + positions[place in the text]))
    /// </summary>
    /// <param name="tokens">The batch.</param>
    /// <returns>[tokens, width]</returns>
    public Tensor Forward(PackedTokens tokens)
    {
        using var scope = new TensorScope();
        var sum = words.Value.Forward(tokens.TokenIds);
        if (types is not null)
        {
            sum = sum.Add(types.Value.Forward(tokens.TokenTypes(knownTypes)));
        }
        var places = positions.Value.Forward(tokens.Positions(firstPosition));
        return scope.Return(dropout.Value.Forward(norm.Value.ForwardSum(sum, places)));
    }
}

/// <summary>Modules under the names 0, 1, 2, …</summary>
/// <typeparam name="T">What they are.</typeparam>
internal sealed class ModuleList<T> : Module where T : Module
{
    private readonly Submodule<T>[] submodules;

    /// <summary>A list of modules.</summary>
    public ModuleList(IEnumerable<T> modules) =>
        submodules =
            [.. modules.Select((module, i) => Add(string.Create(CultureInfo.InvariantCulture, $"{i}"), module))];

    /// <summary>The modules in order.</summary>
    public IEnumerable<T> Items => submodules.Select(submodule => submodule.Value);

    /// <summary>How many there are.</summary>
    public int Count => submodules.Length;
}
