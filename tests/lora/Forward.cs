using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Lora;

/// <summary>What a model makes of texts, without a graph.</summary>
internal static class Forward
{
    /// <returns>[texts, classes]</returns>
    public static float[] Logits(EncoderForSequenceClassification model, params EncodedExample[] texts) =>
        Of(model, texts, tokens => model.Forward(tokens));

    /// <returns>[texts, classes]</returns>
    public static float[] Logits(EncoderForSequenceClassification model, int[][] texts) =>
        Logits(model, [.. texts.Select(ids => new EncodedExample(ids, TextExample.NoLabel))]);

    /// <returns>[tokens, hidden]</returns>
    public static float[] Hidden(EncoderForSequenceClassification model, params EncodedExample[] texts) =>
        Of(model, texts, tokens => model.Encoder.Forward(tokens));

    private static float[] Of(EncoderForSequenceClassification model, EncodedExample[] texts,
        Func<PackedTokens, Tensor> compute)
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(texts), model.Backend);
        return compute(tokens).ToArray();
    }
}
