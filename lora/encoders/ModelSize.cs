namespace LoraScratch.Lora.Encoders;

/// <summary>What a config asks for, told before a model of its sizes is made.</summary>
internal static class ModelSize
{
    /// <summary>
    /// The parameters of the encoder, in double: sizes from a file may multiply to more than any
    /// integer holds.
    /// </summary>
    public static double EncoderParameters(EncoderConfig config)
    {
        double hidden = config.Hidden, inner = config.FeedForward, width = config.EmbeddingWidth;
        var projections = 4 * (hidden * hidden + hidden);
        var feedForward = 2 * hidden * inner + inner + hidden;
        // γ and β of two LayerNorms
        var block = projections + feedForward + 4 * hidden;
        var rows = (double)config.VocabularySize + config.PositionRows + config.TokenTypes + 2;     // γ and β of one
        var embeddings = rows * width + (width == hidden ? 0 : width * hidden + hidden);
        return embeddings + config.Layers * block - LowRankLayers.Saved(config);
    }
}
