using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// A block of the encoder, each half with a residual connection and LayerNorm after it:
/// X ← LayerNorm(attention(X) + X), then X ← LayerNorm(feedForward(X) + X).
/// <para>
/// Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762): every token asks every token
/// of its own text, Q·Kᵀ/√width, and takes the mean of their values weighted by the answers'
/// softmax. The six linear layers are places where LoRA may stand; their paths are the family's
/// (<see cref="Families.BlockPaths"/>).
/// </para>
/// </summary>
internal sealed class TransformerBlock : Module
{
    private readonly Submodule<Layer> query, key, value, projection, expansion, contraction;
    private readonly Submodule<LayerNorm> attentionNorm, outputNorm;
    private readonly Submodule<Dropout> dropout;
    private readonly string activation;
    private readonly bool dropsAttentionOutput;
    private readonly int heads;
    private readonly float attentionDropout;
    private readonly RandomStream dropouts;

    internal TransformerBlock(LayerFactory parts)
    {
        var config = parts.Config;
        var (hidden, inner, paths) = (config.Hidden, config.FeedForward, config.Family.Block);
        query = AddAt<Layer>(paths.Query, parts.Linear(hidden, hidden));
        key = AddAt<Layer>(paths.Key, parts.Linear(hidden, hidden));
        value = AddAt<Layer>(paths.Value, parts.Linear(hidden, hidden));
        projection = AddAt<Layer>(paths.Projection, parts.Linear(hidden, hidden));
        attentionNorm = AddAt(paths.AttentionNorm, parts.LayerNorm(hidden));
        expansion = AddAt<Layer>(paths.Expansion, parts.Linear(hidden, inner));
        contraction = AddAt<Layer>(paths.Contraction, parts.Linear(inner, hidden));
        outputNorm = AddAt(paths.OutputNorm, parts.LayerNorm(hidden));
        dropout = Add("dropout", parts.Dropout(config.Dropout));
        (activation, heads) = (config.Activation, config.Heads);
        (attentionDropout, dropouts) = (config.AttentionDropout, parts.Dropouts);
        dropsAttentionOutput = config.Family.DropsAttentionOutput;
    }

    /// <summary>The block's output.</summary>
    /// <param name="x">[tokens, hidden]</param>
    /// <param name="offsets">Where each text begins.</param>
    /// <param name="rows">
    /// The rows that are asked for: keys and values are computed for every token, all else for
    /// these. Null: all rows.
    /// </param>
    /// <returns>[rows, hidden]</returns>
    public Tensor Forward(Tensor x, SequenceOffsets offsets, SequenceRows? rows = null)
    {
        using var scope = new TensorScope();
        x = AddAttention(x, offsets, rows);
        using var chosen = new ChosenRows(rows);
        return scope.Return(outputNorm.Value.ForwardSum(FeedForward(x), x));
    }

    /// <inheritdoc/>
    protected override string Details =>
        FormattableString.Invariant($"heads={heads}, dropout={attentionDropout}, activation={activation}");

    // A scope of its own: the attention's values are gone, or held by the graph, before the wider feed-forward layers
    // need room.
    private Tensor AddAttention(Tensor x, SequenceOffsets offsets, SequenceRows? rows)
    {
        using var scope = new TensorScope();
        var asking = rows is null ? x : x.Gather(rows);
        return scope.Return(attentionNorm.Value.ForwardSum(Attention(asking, x, offsets, rows), asking));
    }

    /// <summary>Attention within each text.</summary>
    /// <param name="asking">The rows of x that ask: [rows, hidden]; x itself where all do.</param>
    /// <param name="x">[tokens, hidden]</param>
    /// <param name="offsets">Where each text begins.</param>
    /// <param name="rows">Which rows ask; null: all.</param>
    /// <returns>The shape of <paramref name="asking"/>.</returns>
    private Tensor Attention(Tensor asking, Tensor x, SequenceOffsets offsets, SequenceRows? rows)
    {
        using var scope = new TensorScope();
        var drop = IsTraining && attentionDropout > 0;
        var mixed = Ops.Attention(OfRows(query.Value, asking), key.Value.Forward(x), value.Value.Forward(x), offsets,
            rows, heads, drop ? attentionDropout : 0, drop ? dropouts.NextSeed() : 0);
        using var chosen = new ChosenRows(rows);
        var output = projection.Value.Forward(mixed);
        return scope.Return(dropsAttentionOutput ? dropout.Value.Forward(output) : output);

        Tensor OfRows(Layer layer, Tensor input)
        {
            using var chosen = new ChosenRows(rows);
            return layer.Forward(input);
        }
    }

    /// <summary>
    /// dropout(contraction(activation(expansion(x)))), each token on its own.
    /// </summary>
    private Tensor FeedForward(Tensor x)
    {
        using var scope = new TensorScope();
        var inner = Activations.Apply(activation, expansion.Value.Forward(x));
        return scope.Return(dropout.Value.Forward(contraction.Value.Forward(inner)));
    }
}
