using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The adapter machinery on quantised layers: planning, attaching, merging, PEFT's folder.
/// </summary>
internal sealed class QALoRAAdapterTests
{
    private static readonly QuantizationFormat Format = new(4, 16);

    [Test]
    public void The_plan_counts_a_row_of_A_for_each_group()
    {
        var plan = LoRAPlan.For(Quantized(), new LoRASettings(2, 8), ["wide", "narrow"]);
        Assert.That(plan.Layers.Select(layer => (layer.UpdateInputs, layer.Parameters)),
            Is.EqualTo(new[] { (2, 2L * (2 + 64)), (4, 2L * (4 + 5)) }));
        Assert.That(plan.ModelParameters, Is.EqualTo(plan.Model.CountWeights()).And.GreaterThan(64 * 32),
            "quantised weights count");
        Assert.That(plan.ToString(),
            Does.Contain("W [64, 32] INT4, groups of 16, pooling repository  A [2, 2]  B [2, 64]"));
        Assert.That(LoRAPlan.For(Quantized(), new LoRASettings(3, 8), ["wide"]).Warnings.Single(),
            Does.Contain("rank 3 is more than min(in/g, out) = 2"));
    }

    [Test]
    public void The_folder_has_PEFTs_convention_and_gives_the_same_outputs_on_a_fresh_base([Values]
        QALoRAPooling pooling, [Values] LoRAScaling scaling)
    {
        using var folder = new TemporaryFolder();
        using var scope = new TensorScope();
        var x = Tensor.From(new RandomStream(9).Normal(7 * 32, 1), new Shape(7, 32));
        var model = Quantized();
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 3, scaling) { Pooling = pooling },
            ["wide", "narrow"], new RandomStream(3));
        Train(adapter);
        var expected = model.Forward(x).Doubles();
        PeftAdapter.Save(folder.File("adapter"), adapter);

        var fresh = Quantized();
        var without = fresh.Forward(x).Doubles();
        var loaded = PeftAdapter.Load(folder.File("adapter"), fresh);
        Assert.That(loaded.Warnings, Is.Empty);
        Assert.That(loaded.Config.PooledInputs, Is.EqualTo(16));
        Assert.That(loaded.Config.AlphaPattern, Has.Count.EqualTo(pooling == QALoRAPooling.Peft ? 0 : 1),
            "PEFT's factor depends on the width: the two layers differ in it");
        Assert.That(Maths.RelativeError(fresh.Forward(x).ToArray(), expected), Is.LessThan(1e-6));
        Assert.That(Maths.RelativeError([.. without.Select(value => (float)value)], expected), Is.GreaterThan(1e-2),
            "the update does something");
    }

    [Test]
    public void Merging_moves_zeros_alone_and_unmerging_restores_every_bit()
    {
        using var scope = new TensorScope();
        var x = Tensor.From(new RandomStream(9).Normal(7 * 32, 1), new Shape(7, 32));
        var model = Quantized();
        var (codes, grids) = (Wide(model).Weight.Packed(), Wide(model).Weight.Grids());
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 32), ["wide", "narrow"], new RandomStream(3));
        Train(adapter);
        var expected = model.Forward(x);
        adapter.Merge();
        Assert.That(Maths.RelativeError(model.Forward(x).ToArray(), expected.Doubles()), Is.LessThan(1e-5));
        adapter.Unmerge();
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(expected.Bits()));
        adapter.MergeAndDetach();
        Assert.That(Maths.RelativeError(model.Forward(x).ToArray(), expected.Doubles()), Is.LessThan(1e-5));
        Assert.That(Wide(model).Weight.Packed(), Is.EqualTo(codes));
        Assert.That(Wide(model).Weight.Grids().Select(grid => grid.Scale),
            Is.EqualTo(grids.Select(grid => grid.Scale)));
        Assert.That(Wide(model).Weight.Grids().Select(grid => grid.Zero),
            Is.Not.EqualTo(grids.Select(grid => grid.Zero)));
    }

    [Test]
    public void Other_codes_other_groups_and_float_layers_are_refused()
    {
        using var folder = new TemporaryFolder();
        var adapter = LoRAAdapter.Attach(Quantized(), new LoRASettings(2, 8), ["wide", "narrow"], new RandomStream(3));
        PeftAdapter.Save(folder.File("adapter"), adapter);
        InputException Refusal(Module model) =>
            Assert.Throws<InputException>(() => PeftAdapter.Load(folder.File("adapter"), model))!;
        Assert.That(Refusal(Quantized(seed: 2)).Message,
            Does.Contain("was trained on another base").And.Contain("wide, narrow"));
        Assert.That(Refusal(Quantized(format: new(4, 32))).Message,
            Does.Contain("quantised in groups of 16 (use_qalora), and wide is quantised, INT4, groups of 32"));
        Assert.That(Refusal(Float()).Message, Does.Contain("and wide is not quantised"));

        var mixed = Float();
        ModelQuantizer.Quantize(ModelQuantizer.Find(mixed, ["wide"]), Format);
        var both = LoRAAdapter.Attach(mixed, new LoRASettings(2, 8), ["wide", "narrow"], new RandomStream(3));
        Assert.That(both.Layers.Select(layer => layer.Layer.GetType()),
            Is.EqualTo(new[] { typeof(LinearWithQALoRA), typeof(LinearWithLoRA) }));
        Assert.That(() => PeftAdapter.Save(folder.File("both"), both),
            Throws.TypeOf<InputException>().With.Message.Contains("one qalora_group_size for all layers"));
    }

    [Test]
    public void Both_factors_of_a_low_rank_layer_are_quantised_by_its_name()
    {
        var random = new RandomStream(5);
        var linear = new Linear(32, 32, random);
        var model = new Models.Node().With("q_lin",
            LowRankLinear.Of(linear,
                new LowRankFactors(16, 32, 32, random.Normal(32 * 16, 0.2f), random.Normal(16 * 32, 0.2f))));
        var layers = ModelQuantizer.Find(model, ["q_lin"]);
        Assert.That(layers.Select(layer => layer.Path), Is.EqualTo(new[] { "q_lin.down", "q_lin.up" }));
        using var scope = new TensorScope();
        var x = Tensor.From(random.Normal(9 * 32, 1), new Shape(9, 32));
        var lowRank = (LowRankLinear)model.Children[0].Current;
        var before = lowRank.Forward(x).Doubles();
        ModelQuantizer.Quantize(layers, new(8, 16));
        Assert.That(Maths.RelativeError(lowRank.Forward(x).ToArray(), before), Is.InRange(1e-5, 0.02));
    }

    private static Sequence Float(ulong seed = 1) => new(new RandomStream(seed));

    private static Sequence Quantized(ulong seed = 1, QuantizationFormat? format = null)
    {
        var model = Float(seed);
        ModelQuantizer.Quantize(ModelQuantizer.Find(model, [ModulePattern.AllLinear]), format ?? Format);
        return model;
    }

    private static QuantizedLinear Wide(Sequence model) => (QuantizedLinear)model.Children[0].Current;

    /// <summary>Stands for a training.</summary>
    private static void Train(LoRAAdapter adapter)
    {
        var random = new RandomStream(8);
        foreach (var (_, layer) in adapter.Layers)
        {
            layer.Lora.B.Set(random.Normal(layer.Lora.B.Shape.Count, 0.5f));
        }
    }

    /// <summary>Two layers of different widths, one after the other.</summary>
    private sealed class Sequence : Layer
    {
        private readonly Submodule<Layer> wide, narrow;

        public Sequence(RandomStream random)
        {
            wide = Add<Layer>("wide", new Linear(32, 64, random));
            narrow = Add<Layer>("narrow", new Linear(64, 5, random));
        }

        public override Tensor Forward(Tensor x)
        {
            using var scope = new TensorScope();
            return scope.Return(narrow.Value.Forward(wide.Value.Forward(x).Tanh()));
        }
    }
}
