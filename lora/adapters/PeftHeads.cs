namespace LoraScratch.Lora.Adapters;

/// <summary>
/// What PEFT saves with an adapter for the task SEQ_CLS: the parameters of the base model's classification head.
/// </summary>
internal static class PeftHeads
{
    /// <summary>Of DistilBERT, whose adapted layers have paths that begin with "distilbert.".</summary>
    public static IReadOnlyList<string> DistilBert { get; } =
        ["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"];
}
