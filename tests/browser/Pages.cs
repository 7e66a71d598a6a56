using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Explaining;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.BrowserTests;

/// <summary>The pages that are tested.</summary>
internal static class Pages
{
    public static LoRAExample Run { get; } = LoRAExample.Run();

    public static LayerPage Example { get; } = LayerPages.Of(Run);

    /// <summary>A layer of the width of DistilBERT's largest, as a model would have it.</summary>
    public static LayerPage Layer(int rows, int inFeatures, int outFeatures, string token = "word")
    {
        var random = new RandomStream(7);
        var layer = new LinearWithLoRA(new Linear(inFeatures, outFeatures, random), new LoRASettings(8, 12), random);
        layer.Lora.B.Set(random.Normal(8 * outFeatures, 0.1f));
        return Of(("encoder.layer.0.ffn", layer), random, rows, token);
    }

    /// <summary>The same on a packed weight.</summary>
    public static LayerPage QuantizedLayer(int rows, int inFeatures, int outFeatures, int groupSize)
    {
        var random = new RandomStream(8);
        var weight = RoundToNearest.Quantize(random.Normal(outFeatures * inFeatures, 0.3f), outFeatures, inFeatures,
            new QuantizationFormat(4, groupSize));
        var layer = new LinearWithQALoRA(new QuantizedLinear(weight, null), new LoRASettings(8, 12), random);
        layer.Lora.B.Set(random.Normal(8 * outFeatures, 0.1f));
        return Of(("encoder.layer.0.q_lin", layer), random, rows, "word");
    }

    private static LayerPage Of((string Path, LayerWithLoRA Layer) adapted, RandomStream random, int rows, string token)
    {
        var linear = adapted.Layer.Base;
        var explained = LayerExplanation.Of(adapted, random.Normal(rows * linear.InFeatures, 1),
            random.Normal(rows * linear.OutFeatures, 0.01f), 0.5, needsGradient: true);
        return LayerPages.Of(explained, [.. Enumerable.Range(0, rows).Select(n =>
            new RowName($"{token} {n}", $"text {n / 8}"))]);
    }
}
