namespace LoraScratch.Lora.Families;

/// <summary>
/// RoBERTa (Liu et al. 2019, arXiv 1907.11692), and the models that took over its code: XLM-R
/// (Conneau et al. 2020, arXiv 1911.02116) and CamemBERT. As BERT, but positions are counted from
/// the padding token's id + 1 on, and the head has two layers of its own.
/// </summary>
internal static class Roberta
{
    public static EncoderFamily Family { get; } = new()
    {
        ModelType = "roberta",
        Name = "RoBERTa",
        Architecture = "Roberta",
        Trunk = "roberta",
        Blocks = "encoder.layer",
        Block = BlockPaths.Bert,
        Head = new("classifier.dense", "classifier.out_proj", "tanh") { DropsInput = true, Modules = ["classifier"] },
        WhyNotMasked = "pretraining knows the heads of BERT and DistilBERT alone",
        Keys = ConfigKeys.Bert,
        Defaults = new(VocabularySize: 50265) { PadTokenId = 1 },
        CountsPositionsFromPadding = true,
        OtherHeads = ["lm_head.", "roberta.pooler."],
        Targets = Bert.TargetsWith("classifier.dense", "classifier.out_proj"),
    };

    public static EncoderFamily XlmRoberta { get; } = Family with
    {
        ModelType = "xlm-roberta",
        Name = "XLM-RoBERTa",
        Architecture = "XLMRoberta",
        Defaults = new(VocabularySize: 30522) { PadTokenId = 1 },
    };

    public static EncoderFamily Camembert { get; } = Family with
    {
        ModelType = "camembert",
        Name = "CamemBERT",
        Architecture = "Camembert",
        Defaults = new(VocabularySize: 30522) { PadTokenId = 1 },
    };
}
