namespace LoraScratch.Lora.Families;

/// <summary>
/// DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT with half of the blocks, without token
/// types and pooler.
/// </summary>
internal static class DistilBert
{
    public static EncoderFamily Family { get; } = new()
    {
        ModelType = "distilbert",
        Name = "DistilBERT",
        Architecture = "DistilBert",
        Trunk = "distilbert",
        Blocks = "transformer.layer",
        Block = new("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
            "ffn.lin1", "ffn.lin2", "output_layer_norm"),
        Head = new("pre_classifier", "classifier", "relu") { Modules = ["pre_classifier", "classifier"] },
        MaskedHead = new("vocab_transform", "vocab_layer_norm", "vocab_projector")
        {
            Repeated = ["vocab_projector.weight"],
        },
        Keys = new()
        {
            Hidden = "dim",
            FeedForward = "hidden_dim",
            Layers = "n_layers",
            Heads = "n_heads",
            Activation = "activation",
            Dropout = "dropout",
            AttentionDropout = "attention_dropout",
            ClassifierDropout = "seq_classif_dropout",
            SinusoidalPositions = "sinusoidal_pos_embds",
        },
        Defaults = new(VocabularySize: 30522, Layers: 6) { TokenTypes = 0, ClassifierDropout = 0.2f },
        UnusedKeys = ["qa_dropout"],
        FixedKeys = new Dictionary<string, bool> { ["sinusoidal_pos_embds"] = false, ["tie_weights_"] = true },
        DropsAttentionOutput = false,
        OtherHeads = ["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
        Targets =
        [
            ("query", ["q_lin"]),
            ("key", ["k_lin"]),
            ("value", ["v_lin"]),
            ("projection", ["out_lin"]),
            ("mlp", ["ffn.lin1", "ffn.lin2"]),
            ("embeddings", ["word_embeddings"]),
            ("head", ["pre_classifier", "classifier"]),
        ],
    };
}
