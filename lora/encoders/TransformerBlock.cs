using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762): every token asks every token
/// of its own text, Q·Kᵀ/√width, and takes the mean of their values weighted by the answers'
/// softmax. The four projections are places where LoRA may stand.
/// </summary>
internal sealed class MultiHeadSelfAttention : Module
{
    private readonly Submodule<Layer> query, key, value, output;
    private readonly int heads;
    private readonly float dropout;
    private readonly RandomStream dropouts;

    internal MultiHeadSelfAttention(LayerFactory parts)
    {
        var hidden = parts.Config.Hidden;
        query = Add<Layer>("q_lin", parts.Linear(hidden, hidden));
        key = Add<Layer>("k_lin", parts.Linear(hidden, hidden));
        value = Add<Layer>("v_lin", parts.Linear(hidden, hidden));
        output = Add<Layer>("out_lin", parts.Linear(hidden, hidden));
        (heads, dropout, dropouts) = (parts.Config.Heads, parts.Config.AttentionDropout, parts.Dropouts);
    }

    /// <summary>Attention within each text.</summary>
    /// <param name="asking">The rows of x that ask: [rows, hidden]; x itself where all do</param>
    /// <param name="x">[tokens, hidden]</param>
    /// <param name="offsets">Where each text begins.</param>
    /// <param name="rows">Which rows ask; null: all.</param>
    /// <returns>The shape of <paramref name="asking"/>.</returns>
    public Tensor Forward(Tensor asking, Tensor x, SequenceOffsets offsets, SequenceRows? rows)
    {
        using var scope = new TensorScope();
        var drop = IsTraining && dropout > 0;
        var mixed = Ops.Attention(OfRows(query.Value, asking), key.Value.Forward(x), value.Value.Forward(x), offsets,
            rows, heads, drop ? dropout : 0, drop ? dropouts.NextSeed() : 0);
        return scope.Return(OfRows(output.Value, mixed));

        Tensor OfRows(Layer layer, Tensor input)
        {
            using var chosen = new ChosenRows(rows);
            return layer.Forward(input);
        }
    }

    /// <inheritdoc/>
    protected override string Details => FormattableString.Invariant($"heads={heads}, dropout={dropout}");
}

/// <summary>
/// dropout(lin2(activation(lin1(x)))), each token on its own. Both layers are places where LoRA may
/// stand.
/// </summary>
internal sealed class FeedForward : Layer
{
    private readonly Submodule<Layer> first, second;
    private readonly Submodule<Dropout> dropout;
    private readonly string activation;

    internal FeedForward(LayerFactory parts)
    {
        dropout = Add("dropout", parts.Dropout(parts.Config.Dropout));
        first = Add<Layer>("lin1", parts.Linear(parts.Config.Hidden, parts.Config.FeedForward));
        second = Add<Layer>("lin2", parts.Linear(parts.Config.FeedForward, parts.Config.Hidden));
        activation = parts.Config.Activation;
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        var inner = first.Value.Forward(x);
        inner = activation == "relu" ? inner.Relu() : inner.Gelu();
        return scope.Return(dropout.Value.Forward(second.Value.Forward(inner)));
    }

    /// <inheritdoc/>
    protected override string Details => $"activation={activation}";
}

/// <summary>
/// A block of the encoder, each half with a residual connection and LayerNorm after it:
/// X ← LayerNorm(attention(X) + X), then X ← LayerNorm(feedForward(X) + X).
/// </summary>
internal sealed class TransformerBlock : Module
{
    private readonly Submodule<MultiHeadSelfAttention> attention;
    private readonly Submodule<LayerNorm> attentionNorm;
    private readonly Submodule<FeedForward> feedForward;
    private readonly Submodule<LayerNorm> outputNorm;

    internal TransformerBlock(LayerFactory parts)
    {
        attention = Add("attention", new MultiHeadSelfAttention(parts));
        attentionNorm = Add("sa_layer_norm", parts.LayerNorm());
        feedForward = Add("ffn", new FeedForward(parts));
        outputNorm = Add("output_layer_norm", parts.LayerNorm());
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
        return scope.Return(outputNorm.Value.Forward(feedForward.Value.Forward(x).Add(x)));
    }

    // A scope of its own: the attention's values are gone, or held by the graph, before the wider feed-forward layers
    // need room.
    private Tensor AddAttention(Tensor x, SequenceOffsets offsets, SequenceRows? rows)
    {
        using var scope = new TensorScope();
        var asking = rows is null ? x : x.Gather(rows);
        return scope.Return(attentionNorm.Value.Forward(
            attention.Value.Forward(asking, x, offsets, rows).Add(asking)));
    }
}
