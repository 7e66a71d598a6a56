using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>A model that no memory could hold is refused from its sizes alone.</summary>
internal sealed class TrainingMemoryTests
{
    private static readonly EncoderConfig[] Configs =
    [
        TinyDistilBert.Config,
        TinyDistilBert.Config with { Layers = 5, FeedForward = 7,
            LowRank = new Dictionary<string, int> { ["distilbert.transformer.layer.1.ffn.lin1"] = 2,
                ["distilbert.transformer.layer.0.attention.q_lin"] = 3 } },
    ];

    [TestCaseSource(nameof(Configs))]
    public void The_parameters_of_an_encoder_are_counted_without_making_it(EncoderConfig config)
    {
        var made = new EncoderForSequenceClassification(config).NamedParameters()
            .Where(entry => entry.Path.StartsWith("distilbert.", StringComparison.Ordinal))
            .Sum(entry => entry.Parameter.Shape.Count);
        Assert.That(ModelSize.EncoderParameters(config), Is.EqualTo(made));
    }

    [TestCase(OptimizerKind.AdamW, 0f, 16)]
    [TestCase(OptimizerKind.Adam, 0f, 16)]
    [TestCase(OptimizerKind.Sgd, 0.9f, 12)]
    [TestCase(OptimizerKind.Sgd, 0f, 8)]
    public void A_model_that_just_fits_is_taken_and_a_byte_less_refuses_it(OptimizerKind optimizer, float momentum,
        int bytesOfParameter)
    {
        var options = new TrainingOptions { Optimizer = optimizer, Momentum = momentum };
        var needed = (long)ModelSize.EncoderParameters(TinyDistilBert.Config) * bytesOfParameter;
        Assert.That(() => TrainingMemory.Require("small.json", TinyDistilBert.Config, options, needed), Throws.Nothing);
        Assert.That(() => TrainingMemory.Require("small.json", TinyDistilBert.Config, options, needed - 1),
            Throws.InstanceOf<InputException>().With.Message
                .StartsWith("small.json: vocab_size 30, max_position_embeddings 16, dim 12"));
    }

    [Test]
    public void Sizes_whose_product_no_integer_holds_are_refused_too()
    {
        var vast = new EncoderConfig { Layers = int.MaxValue, FeedForward = 2_000_000 };
        Assert.That(() => TrainingMemory.Require("vast.json", vast, new TrainingOptions(), long.MaxValue),
            Throws.InstanceOf<InputException>());
    }
}
