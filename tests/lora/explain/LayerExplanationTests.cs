using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Explaining;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Tests.Explaining;

/// <summary>Layers of a model, three ways.</summary>
internal sealed class LayerExplanationTests
{
    [Test]
    public void A_layer_of_a_model_is_explained_as_the_model_had_it()
    {
        var random = new RandomStream(3);
        var model = new Sequential(new Linear(7, 9, random), new Relu(), new Linear(9, 5, random), new Relu(),
            new Linear(5, 3, random));
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 6), [ModulePattern.AllLinear], random);
        foreach (var adapted in adapter.Layers)
        {
            adapted.Layer.Lora.B.Set(random.Normal(adapted.Layer.Lora.B.Shape.Count, 1));
        }
        using var x = Tensor.From(random.Normal(4 * 7, 1), new Shape(4, 7));
        using var labels = new Indices([0, 2, 1, 0]);
        Tensor Loss() => model.Forward(x).CrossEntropy(labels);
        using (new TensorScope())
        {
            Loss().Backward();
        }
        var gradients = adapter.Layers.Select(adapted => (A: adapted.Layer.Lora.A.Gradient!.ToArray(),
            B: adapted.Layer.Lora.B.Gradient!.ToArray())).ToList();
        foreach (var (adapted, expected) in adapter.Layers.Zip(gradients))
        {
            var explained = LayerExplanation.Of(model, adapted, Loss);
            Assert.That(explained.Ways.Select(way => way.Agree), Is.All.True, adapted.Path);
            Assert.That(explained.Tape["A"].Gradient, Is.EqualTo(expected.A).Within(1e-6), "dA of the whole model");
            Assert.That(explained.Tape["B"].Gradient, Is.EqualTo(expected.B).Within(1e-6), "dB of the whole model");
            Assert.That(explained.InputNeedsGradient, Is.EqualTo(adapted != adapter.Layers[0]));
            Assert.That(model.NamedModules().Select(entry => entry.Module), Does.Contain(adapted.Layer),
                "the layer is back in its place");
            Assert.That(adapted.Layer.Lora.A.Gradient, Is.Null);
        }
    }

    [TestCase(QALoRAPooling.Repository)]
    [TestCase(QALoRAPooling.Paper)]
    [TestCase(QALoRAPooling.Peft)]
    public void A_quantised_layer_is_explained_with_its_pooled_input_and_its_merge(QALoRAPooling pooling)
    {
        var random = new RandomStream(5);
        var linear = new Linear(64, 6, random);
        var weight = RoundToNearest.Quantize(linear.Weight.ToArray(), 6, 64, new QuantizationFormat(4, 16));
        var layer = new LinearWithQALoRA(new QuantizedLinear(weight, linear.Bias),
            new LoRASettings(2, 5) { Pooling = pooling }, random);
        layer.Lora.B.Set(random.Normal(12, 1));
        var before = weight.Grids();
        var explained = LayerExplanation.Of(("layer", layer), random.Normal(5 * 64, 1),
            random.Normal(5 * 6, 1), loss: 0, needsGradient: true);
        Assert.That(explained.Ways.Select(way => way.Agree), Is.All.True);
        Assert.That(explained.Tape.Operations.Select(operation => operation.Equation),
            Does.Contain("Z = X·Ŵᵀ + b").And.Contain("H = P·A"));
        Assert.That(explained.Tape.Operations.SelectMany(operation => operation.Constants)
            .Select(constant => constant.Text), Has.Some.Contains("[6, 64]"), "the packed weight is named");
        Assert.That(explained.Merge!.Agrees, $"{explained.Merge}");
        Assert.That(explained.Merge.LargestMove, Is.GreaterThan(0.01));
        Assert.That(weight.Grids(), Is.EqualTo(before), "the zeros are back");
    }

    [Test]
    public void A_wrong_gradient_would_disagree()
    {
        var random = new RandomStream(5);
        var layer = new LinearWithLoRA(new Linear(6, 5, random), new LoRASettings(2, 5), random);
        layer.Lora.B.Set(random.Normal(10, 1));
        var explained = LayerExplanation.Of(("layer", layer), random.Normal(18, 1),
            random.Normal(15, 1), loss: 0, needsGradient: true);
        var results = LayerTape.Results(explained.Tape);
        var off = results with { DA = [.. results.DA.Select(value => value * 1.001f)] };
        var ways = LayerComparison.Of(explained.Numbers, explained.DY, null, off, new ProductLoss(explained.DY),
            new FiniteDifferences(64, 3));
        Assert.That(ways.Where(way => !way.Agree).Select(way => way.Name), Is.EqualTo(new[] { "dA" }),
            "a thousandth is beyond rounding");
    }

    [Test]
    public void Layers_are_found_by_the_end_of_their_path_and_near_misses_are_named()
    {
        var random = new RandomStream(3);
        var inner = new Sequential(new Linear(4, 4, random), new Linear(4, 4, random));
        var model = new Sequential(inner, new Linear(4, 2, random));
        var layers = LoRAAdapter.Attach(model, new LoRASettings(2, 6), [ModulePattern.AllLinear], random).Layers;
        Assert.That(LayerChoice.Find(layers, null).Path, Is.EqualTo("0.0"));
        Assert.That(LayerChoice.Find(layers, "0.1").Path, Is.EqualTo("0.1"));
        Assert.That(LayerChoice.Find(layers, "0").Path, Is.EqualTo("0.0"), "only one path ends so");
        Assert.That(() => LayerChoice.Find(layers, "0.7"), Throws.TypeOf<InputException>().With.Message
            .Contains("has no such layer").And.Message.Contains("Its linear layers are 0, 1 (2)"));
    }
}
