using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using static LoraScratch.Tests.Lora.ReferenceNumbers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Every family's packed batches against the padded, masked ones of tests/reference/families.py,
/// computed there in float64.
/// </summary>
[TestFixtureSource(typeof(TinyFamily), nameof(TinyFamily.Names))]
public class FamilyParityTests(string name)
{
    private readonly TinyFamily family = TinyFamily.Of(name);

    [Test]
    public void The_parameters_are_the_tensors_of_a_checkpoint()
    {
        var expected = family.Reference.GetProperty("shapes").EnumerateObject().Select(tensor =>
            $"{tensor.Name} [{string.Join(", ", tensor.Value.EnumerateArray())}]");
        Assert.That(family.Create().NamedParameters().Select(entry => $"{entry.Path} {entry.Parameter.Shape}"),
            Is.EqualTo(expected));
    }

    [Test]
    public void Hidden_states_equal_the_reference()
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(family.Texts.AsSpan(0, 1)));
        Assert.That(Doubles(family.Create().Encoder.Forward(tokens)), Is.EqualTo(Expected("hidden")).Within(1e-5));
    }

    [Test]
    public void Packed_logits_equal_the_padded_and_masked_ones()
    {
        Assert.That(Logits(family.Create(), family.Texts), Is.EqualTo(Expected("logits")).Within(1e-5));
    }

    [Test]
    public void Packed_logits_with_LoRA_equal_the_padded_and_masked_ones()
    {
        var model = family.Create();
        TinyFamily.Adapt(model);
        Assert.That(Logits(model, family.Texts), Is.EqualTo(Expected("loraLogits")).Within(1e-5));
    }

    [Test]
    public void Logits_do_not_depend_on_the_other_texts_of_the_batch()
    {
        var model = family.Create();
        var apart = family.Texts.SelectMany(text => Logits(model, [text])).ToArray();
        Assert.That(apart, Is.EqualTo(Logits(model, family.Texts)).Within(1e-6));
    }

    [Test]
    public void Gradients_of_every_parameter_equal_the_reference()
    {
        var model = family.Create();
        Loss(model);
        foreach (var (path, parameter) in model.NamedParameters())
        {
            AssertClose(parameter.Gradient!.ToArray(), family.Reference.GetProperty("gradients").GetProperty(path),
                path);
        }
    }

    [Test]
    public void Gradients_of_LoRA_equal_the_reference_and_nothing_else_has_one()
    {
        var model = family.Create();
        var adapter = TinyFamily.Adapt(model);
        var expected = family.Reference.GetProperty("loraGradients");
        Assert.That(Loss(model), Is.EqualTo(family.Reference.GetProperty("loraLoss").GetDouble()).Within(1e-5));
        foreach (var (path, layer) in adapter.Layers)
        {
            AssertClose(layer.Lora.A.Gradient!.ToArray(), expected.GetProperty($"{path}.A"), $"d{path}.A");
            AssertClose(layer.Lora.B.Gradient!.ToArray(), expected.GetProperty($"{path}.B"), $"d{path}.B");
        }
        Assert.That(adapter.Layers, Has.Count.EqualTo(4));
        Assert.That(model.Parameters().Count(parameter => parameter.Gradient is not null), Is.EqualTo(8),
            "frozen weights must cost no backward work");
    }

    [TestCase("sgd")]
    [TestCase("adam")]
    [TestCase("adamw")]
    public void LoRA_weights_after_four_steps_equal_the_reference_with(string optimizerName)
    {
        var model = family.Create();
        var adapter = TinyFamily.Adapt(model);
        using Optimizer optimizer = optimizerName switch
        {
            "sgd" => new Sgd(model.TrainableParameters(), 0.1f),
            "adam" => new Adam(model.TrainableParameters(), 0.01f),
            _ => new AdamW(model.TrainableParameters(), 0.01f, weightDecay: 0.1f),
        };
        var expected = family.Reference.GetProperty("training").GetProperty(optimizerName);
        var losses = new List<double>();
        for (var step = 0; step < 4; step++)
        {
            optimizer.ZeroGradient();
            losses.Add(Loss(model));
            optimizer.Step();
        }
        Assert.That(losses, Is.EqualTo(Numbers(expected.GetProperty("losses"))).Within(2e-5));
        foreach (var (path, layer) in adapter.Layers)
        {
            var weights = expected.GetProperty("weights");
            Assert.That(Doubles(layer.Lora.A), Is.EqualTo(Numbers(weights.GetProperty($"{path}.A"))).Within(1e-4),
                $"{path}.A");
            Assert.That(Doubles(layer.Lora.B), Is.EqualTo(Numbers(weights.GetProperty($"{path}.B"))).Within(1e-4),
                $"{path}.B");
        }
    }

    private static double[] Logits(EncoderForSequenceClassification model, EncodedExample[] texts)
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(texts));
        return Doubles(model.Forward(tokens));
    }

    /// <summary>The loss, after a backward pass.</summary>
    private double Loss(EncoderForSequenceClassification model)
    {
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(family.Texts));
        using var labels = new Indices(family.Labels);
        var loss = model.Forward(tokens).CrossEntropy(labels);
        loss.Backward();
        return loss.Item();
    }

    private double[] Expected(string key) => Numbers(family.Reference.GetProperty(key));
}
