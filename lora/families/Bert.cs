namespace LoraScratch.Lora.Families;

/// <summary>
/// BERT (Devlin et al. 2019, arXiv 1810.04805), and what is built like it: MiniLM, BGE, E5, Arctic
/// Embed. The pooler, tanh(dense(first token)), belongs to the encoder; the head is one layer on
/// it.
/// </summary>
internal static class Bert
{
    public static EncoderFamily Family { get; } = new()
    {
        ModelType = "bert",
        Name = "BERT",
        Architecture = "Bert",
        Trunk = "bert",
        Blocks = "encoder.layer",
        Block = BlockPaths.Bert,
        Head = new("bert.pooler.dense", "classifier", "tanh") { HasPooler = true, Modules = ["classifier"] },
        MaskedHead = new("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions")
        {
            Repeated = ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"],
        },
        Keys = ConfigKeys.Bert,
        Defaults = new(VocabularySize: 30522),
        UnusedKeys =
        [
            "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
            "pooler_size_per_head", "pooler_type",
        ],
        OtherHeads = ["cls.predictions.", "cls.seq_relationship."],
        Targets = TargetsWith("pooler.dense", "classifier"),
    };

    /// <summary>The names for BERT's layers, and for a head's.</summary>
    public static IReadOnlyList<(string Name, string[] Modules)> TargetsWith(params string[] head) =>
    [
        ("query", ["query"]),
        ("key", ["key"]),
        ("value", ["value"]),
        ("projection", ["attention.output.dense"]),
        ("mlp", ["intermediate.dense", "output.dense"]),
        ("embeddings", ["word_embeddings"]),
        ("head", head),
    ];
}
