namespace LoraScratch.Lora.Families;

/// <summary>The architectures that there is code for, and the nearest of them to others.</summary>
internal static class EncoderFamilies
{
    private const string WritesText = "it is a decoder, which writes text";
    private const string Rotates = "its attention rotates queries and keys by their positions";
    private const string NearestBert = "a BERT of its size";

    // model_type, what there is no code for, and what comes nearest
    private static readonly (string[] ModelTypes, string Reason, string Nearest)[] Others =
    [
        (["modernbert", "eurobert", "nomic_bert", "neobert", "roformer"], Rotates, NearestBert),
        (["albert"], "all its blocks have the same weights", "a BERT or an ELECTRA"),
        (["mpnet", "tapas"], "its attention has relative positions", "a BERT, such as all-MiniLM-L12-v2"),
        (["deberta", "deberta-v2"], "its attention has relative positions of its own", "a RoBERTa or an XLM-RoBERTa"),
        (["t5", "mt5", "umt5", "bart", "mbart"], "it has an encoder and a decoder", "a RoBERTa or an XLM-RoBERTa"),
        (["gpt2", "gpt_neo", "gpt_neox", "opt", "bloom"], WritesText, NearestBert),
        (["llama", "mistral", "mixtral", "phi", "phi3", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"], WritesText,
            "a BERT or an XLM-RoBERTa"),
        (["longformer", "big_bird"], "its attention skips most pairs of tokens",
            "an XLM-RoBERTa with long texts, such as bge-m3"),
        (["mobilebert", "squeezebert", "convbert", "funnel", "xlnet"], "its blocks are built in another way",
            NearestBert),
    ];

    /// <summary>Every architecture that there is code for.</summary>
    public static IReadOnlyList<EncoderFamily> All { get; } =
        [DistilBert.Family, Bert.Family, Roberta.Family, Roberta.XlmRoberta, Roberta.Camembert, Electra.Family];

    /// <summary>Their names for people: "DistilBERT, BERT, … and ELECTRA".</summary>
    public static string Names { get; } =
        $"{string.Join(", ", All.SkipLast(1).Select(family => family.Name))} and {All[^1].Name}";

    /// <summary>The family of a model_type.</summary>
    /// <returns>Null where there is none.</returns>
    public static EncoderFamily? Of(string modelType) => All.FirstOrDefault(family => family.ModelType == modelType);

    /// <summary>The family of one of transformers' classes: "BertForMaskedLM".</summary>
    /// <returns>Null where there is none.</returns>
    public static EncoderFamily? OfArchitecture(string architecture) => All.FirstOrDefault(family =>
        architecture.StartsWith(family.Architecture, StringComparison.Ordinal));

    /// <summary>A family that has a parameter or layer of this path.</summary>
    /// <param name="path">A path in a model with a head.</param>
    /// <returns>
    /// Null where no encoder has it. Families that share a path have the same head.
    /// </returns>
    public static EncoderFamily? OfPath(string path) =>
        All.FirstOrDefault(family => path.StartsWith(family.Trunk + ".", StringComparison.Ordinal));

    /// <summary>What is expected of model_type, and what comes nearest to another one.</summary>
    /// <param name="modelType">A model_type of no family; null where it is none at all.</param>
    public static string Expected(string? modelType)
    {
        var names = All.Select(family => $"\"{family.ModelType}\"").ToList();
        var known = $"{string.Join(", ", names.SkipLast(1))} or {names[^1]}";
        return Others.FirstOrDefault(other => other.ModelTypes.Contains(modelType)) is { Reason: { } reason } other
            ? $"{known}. There is no code for this one: {reason}. The nearest that works is {other.Nearest}"
            : $"{known}; other architectures are not supported";
    }
}
