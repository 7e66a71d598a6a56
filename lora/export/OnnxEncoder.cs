using System.Globalization;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Export;

/// <summary>
/// An encoder with or without its head as a graph: what <see cref="EncoderModel"/> and
/// <see cref="EncoderForSequenceClassification"/> compute on packed texts, on texts that are padded
/// and masked, for that is how everybody else's programs give them.
/// </summary>
internal sealed class OnnxEncoder
{
    private const string Batch = "batch", Sequence = "sequence";

    private readonly OnnxGraph graph = new();
    private readonly OnnxLayers layers;
    private readonly EncoderConfig config;
    private readonly string ids, mask;
    private readonly string? types;

    private OnnxEncoder(EncoderForSequenceClassification model)
    {
        (config, layers) = (model.Config, new OnnxLayers(graph, model));
        ids = graph.Input(new("input_ids", DType.I64, Batch, Sequence));
        mask = graph.Input(new("attention_mask", DType.I64, Batch, Sequence));
        types = config.TokenTypes > 1 ? graph.Input(new("token_type_ids", DType.I64, Batch, Sequence)) : null;
    }

    private string Trunk => config.Family.Trunk;

    /// <summary>The graph of a model.</summary>
    /// <param name="model">Without an adapter, or with one that is merged.</param>
    /// <param name="withHead">
    /// Whether its output are the logits [batch, classes], or the vectors of all tokens,
    /// last_hidden_state [batch, sequence, hidden].
    /// </param>
    public static OnnxGraph Of(EncoderForSequenceClassification model, bool withHead)
    {
        var encoder = new OnnxEncoder(model);
        var hidden = encoder.Blocks(encoder.Embeddings());
        if (withHead)
        {
            encoder.graph.Output(new("logits", DType.F32, Batch, encoder.config.Classes), encoder.Logits(hidden));
        }
        else
        {
            encoder.graph.Output(new("last_hidden_state", DType.F32, Batch, Sequence, encoder.config.Hidden), hidden);
        }
        return encoder.graph;
    }

    /// <summary>LayerNorm(words + types + positions), projected where it is narrower.</summary>
    /// <returns>[batch, sequence, hidden]</returns>
    private string Embeddings()
    {
        var at = $"{Trunk}.embeddings";
        var sum = graph.Add(at, "Gather", [layers.Table($"{at}.word_embeddings"), ids]);
        if (config.TokenTypes > 0)
        {
            var table = layers.Table($"{at}.token_type_embeddings");
            // of one type the table is a single row
            sum = graph.Add(at, "Add", [sum, types is null ? table : graph.Add(at, "Gather", [table, types])]);
        }
        sum = graph.Add(at, "Add", [sum, Positions(at)]);
        var x = layers.Norm($"{at}.LayerNorm", sum);
        var project = $"{Trunk}.{EncoderFamily.EmbeddingProjection}";
        return layers.Has(project) ? layers.Linear(project, x) : x;
    }

    /// <summary>
    /// The vectors of the positions 0, 1, 2, … for all texts; where they are counted from the
    /// padding token's id + 1, of each text's own tokens, and its padding has that id.
    /// </summary>
    private string Positions(string at)
    {
        var table = layers.Table($"{at}.position_embeddings");
        if (config.FirstPosition > 0)
        {
            var count = graph.Add(at, "CumSum", [mask, graph.Integer(1)]);
            var places = graph.Add(at, "Add", [graph.Add(at, "Mul", [count, mask]),
                graph.Integers(config.PadTokenId)]);
            return graph.Add(at, "Gather", [table, places]);
        }
        var length = graph.Add(at, "Shape", [ids], ("start", 1), ("end", 2));
        return graph.Add(at, "Slice", [table, graph.Integers(0), length, graph.Integers(0)]);
    }

    private string Blocks(string x)
    {
        // 0 for a token, and so low for padding that exp of it is 0
        var at = "attention_mask";
        var real = graph.Add(at, "Cast", [mask], ("to", 1));
        var padding = graph.Add(at, "Sub", [graph.Float(1), graph.Add(at, "Unsqueeze", [real, graph.Integers(1, 2)])]);
        var lowered = graph.Add(at, "Mul", [padding, graph.Float(float.MinValue)]);
        for (var i = 0; i < config.Layers; i++)
        {
            x = Block(string.Create(CultureInfo.InvariantCulture, $"{Trunk}.{config.Family.Blocks}.{i}"), x, lowered);
        }
        return x;
    }

    /// <summary>
    /// As <see cref="TransformerBlock"/>: X ← LayerNorm(attention(X) + X), and so on.
    /// </summary>
    private string Block(string at, string x, string lowered)
    {
        var paths = config.Family.Block;
        var attended = layers.Linear($"{at}.{paths.Projection}", Attention(at, x, lowered));
        x = layers.Norm($"{at}.{paths.AttentionNorm}", graph.Add(at, "Add", [attended, x]));
        var inner = $"{at}.{paths.Expansion}";
        var expanded = layers.Activation(inner, config.Activation, layers.Linear(inner, x));
        var contracted = layers.Linear($"{at}.{paths.Contraction}", expanded);
        return layers.Norm($"{at}.{paths.OutputNorm}", graph.Add(at, "Add", [contracted, x]));
    }

    /// <summary>softmax(Q·Kᵀ/√width + mask)·V, each head on its own.</summary>
    private string Attention(string at, string x, string lowered)
    {
        var (paths, width) = (config.Family.Block, config.Hidden / config.Heads);
        string Heads(string path, params int[] order) => graph.Add($"{at}.{path}", "Transpose",
            [graph.Add($"{at}.{path}", "Reshape", [layers.Linear($"{at}.{path}", x),
                graph.Integers(0, 0, config.Heads, width)])], ("perm", order));
        var query = Heads(paths.Query, 0, 2, 1, 3);                 // [batch, heads, sequence, width]
        var key = Heads(paths.Key, 0, 2, 3, 1);                     // [batch, heads, width, sequence]
        var value = Heads(paths.Value, 0, 2, 1, 3);
        at = $"{at}.attention";
        var scores = graph.Add(at, "Div", [graph.Add(at, "MatMul", [query, key]), graph.Float(MathF.Sqrt(width))]);
        var shares = graph.Add(at, "Softmax", [graph.Add(at, "Add", [scores, lowered])], ("axis", -1));
        var mixed = graph.Add(at, "Transpose", [graph.Add(at, "MatMul", [shares, value])],
            ("perm", new[] { 0, 2, 1, 3 }));
        return graph.Add(at, "Reshape", [mixed, graph.Integers(0, 0, config.Hidden)]);
    }

    /// <summary>output(activation(dense(x))) of the first token's vector.</summary>
    private string Logits(string hidden)
    {
        var head = config.Family.Head;
        var first = graph.Add("head", "Gather", [hidden, graph.Integer(0)], ("axis", 1));
        var features = layers.Activation(head.Dense, head.Activation, layers.Linear(head.Dense, first));
        return layers.Linear(head.Output, features);
    }
}
