using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Encoders;
using static LoraScratch.Tests.Lora.ReferenceNumbers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Our packed batches against the padded, masked ones of tests/reference/distilbert.py, computed
/// there in float64.
/// </summary>
public class DistilBertParityTests
{
    private static readonly JsonElement Reference = ReferenceNumbers.Load("distilbert.json");

    [Test]
    public void Packed_logits_equal_the_padded_and_masked_ones()
    {
        Assert.That(Logits(TinyDistilBert.Create()), Is.EqualTo(Numbers(Reference.GetProperty("logits"))).Within(1e-5));
    }

    [Test]
    public void Packed_logits_with_LoRA_equal_the_padded_and_masked_ones()
    {
        var model = TinyDistilBert.Create();
        TinyDistilBert.Adapt(model);
        Assert.That(Logits(model), Is.EqualTo(Numbers(Reference.GetProperty("loraLogits"))).Within(1e-5));
    }

    [Test]
    public void Logits_do_not_depend_on_the_other_texts_of_the_batch()
    {
        var model = TinyDistilBert.Create();
        var together = Logits(model);
        var apart = TinyDistilBert.Texts.SelectMany(text => Logits(model, [text])).ToArray();
        Assert.That(apart, Is.EqualTo(together).Within(1e-6));
    }

    [Test]
    public void Gradients_of_every_parameter_equal_the_reference()
    {
        var model = TinyDistilBert.Create();
        Loss(model, backward: true);
        foreach (var (path, parameter) in model.NamedParameters())
        {
            AssertClose(parameter.Gradient!.ToArray(), Reference.GetProperty("gradients").GetProperty(path), path);
        }
    }

    [Test]
    public void Gradients_of_LoRA_equal_the_reference_and_nothing_else_has_one()
    {
        var model = TinyDistilBert.Create();
        var adapter = TinyDistilBert.Adapt(model);
        Assert.That(Loss(model, backward: true),
            Is.EqualTo(Reference.GetProperty("loraLoss").GetDouble()).Within(1e-5));
        foreach (var (path, layer) in adapter.Layers)
        {
            AssertClose(layer.Lora.A.Gradient!.ToArray(),
                Reference.GetProperty("loraGradients").GetProperty($"{path}.A"), $"d{path}.A");
            AssertClose(layer.Lora.B.Gradient!.ToArray(),
                Reference.GetProperty("loraGradients").GetProperty($"{path}.B"), $"d{path}.B");
        }
        Assert.That(model.Parameters().Count(parameter => parameter.Gradient is not null),
            Is.EqualTo(2 * adapter.Layers.Count), "frozen weights must cost no backward work");
    }

    [TestCase("sgd")]
    [TestCase("sgd-momentum")]
    [TestCase("sgd-nesterov")]
    [TestCase("adam")]
    [TestCase("adam-decay")]
    [TestCase("adamw")]
    [TestCase("adamw-decay")]
    public void LoRA_weights_after_six_clipped_and_scheduled_steps_equal_the_reference_with(string name)
    {
        var model = TinyDistilBert.Create();
        var adapter = TinyDistilBert.Adapt(model);
        using var optimizer = Create(name, model.TrainableParameters());
        var (rate, schedule) = (optimizer.LearningRate, new LinearSchedule(WarmupSteps: 2, TotalSteps: 6));
        var expected = Reference.GetProperty("training").GetProperty(name);
        var losses = new List<double>();
        var norms = new List<double>();
        for (var step = 0; step < 6; step++)
        {
            optimizer.ZeroGradient();
            losses.Add(Loss(model, backward: true));
            norms.Add(GradientClipping.ClipNorm(optimizer.Parameters, 0.5f));
            optimizer.LearningRate = rate * schedule.Factor(step);
            optimizer.Step();
        }
        Assert.That(losses, Is.EqualTo(Numbers(expected.GetProperty("losses"))).Within(2e-5));
        Assert.That(norms, Is.EqualTo(Numbers(expected.GetProperty("norms"))).Within(1e-4));
        foreach (var (path, layer) in adapter.Layers)
        {
            Assert.That(Doubles(layer.Lora.A),
                Is.EqualTo(Numbers(expected.GetProperty("weights").GetProperty($"{path}.A"))).Within(1e-4),
                    $"{path}.A");
            Assert.That(Doubles(layer.Lora.B),
                Is.EqualTo(Numbers(expected.GetProperty("weights").GetProperty($"{path}.B"))).Within(1e-4),
                    $"{path}.B");
        }
    }

    private static Optimizer Create(string name, IEnumerable<Parameter> parameters) => name switch
    {
        "sgd" => new Sgd(parameters, 0.2f),
        "sgd-momentum" => new Sgd(parameters, 0.1f, momentum: 0.9f, weightDecay: 0.01f),
        "sgd-nesterov" => new Sgd(parameters, 0.1f, momentum: 0.8f, nesterov: true),
        "adam" => new Adam(parameters, 0.02f),
        "adam-decay" => new Adam(parameters, 0.02f, weightDecay: 0.1f),
        "adamw" => new AdamW(parameters, 0.02f),
        _ => new AdamW(parameters, 0.02f, weightDecay: 0.2f),
    };

    private static double[] Logits(EncoderForSequenceClassification model, int[][]? texts = null)
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = PackedTokens.From(texts ?? TinyDistilBert.Texts);
        return Doubles(model.Forward(tokens));
    }

    private static double Loss(EncoderForSequenceClassification model, bool backward)
    {
        using var scope = new TensorScope();
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        using var labels = new Indices(TinyDistilBert.Labels);
        var loss = model.Forward(tokens).CrossEntropy(labels);
        if (backward)
        {
            loss.Backward();
        }
        return loss.Item();
    }
}
