namespace LoraScratch.Lora.Families;

/// <summary>
/// ELECTRA's discriminator (Clark et al. 2020, arXiv 2003.10555): as BERT, but the embeddings may
/// be narrower than the encoder and are projected to its width then, there is no pooler, and the
/// head has two layers of its own.
/// </summary>
internal static class Electra
{
    public static EncoderFamily Family { get; } = new()
    {
        ModelType = "electra",
        Name = "ELECTRA",
        Architecture = "Electra",
        Trunk = "electra",
        Blocks = "encoder.layer",
        Block = BlockPaths.Bert,
        Head = new("classifier.dense", "classifier.out_proj", "gelu") { DropsInput = true, Modules = ["classifier"] },
        WhyNotMasked = "its discriminator tells replaced tokens from others, and guesses none",
        Keys = ConfigKeys.Bert with { EmbeddingWidth = "embedding_size" },
        Defaults = new(VocabularySize: 30522, Hidden: 256, FeedForward: 1024, Heads: 4) { EmbeddingWidth = 128 },
        UnusedKeys = ["summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj"],
        OtherHeads = ["discriminator_predictions.", "generator_predictions.", "generator_lm_head."],
        Targets = Bert.TargetsWith("classifier.dense", "classifier.out_proj"),
    };
}
