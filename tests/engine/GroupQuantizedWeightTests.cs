using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Tests.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The packed weight of a layer: what it holds, what it weighs, and what it refuses.
/// </summary>
public class GroupQuantizedWeightTests
{
    private static GroupQuantizedWeight Create(int outFeatures, int inFeatures, int bits, int groupSize,
        out RandomWeight random, IBackend? backend = null)
    {
        random = new RandomWeight(outFeatures, inFeatures, bits, groupSize);
        return new(new(bits, groupSize), outFeatures, inFeatures, random.Codes, random.Grids, backend ?? Backends.Any);
    }

    [Test]
    public void Codes_scales_and_zeros_come_back([Values(2, 3, 4, 8)] int bits, [Values(16, 48, 128)] int groupSize)
    {
        using var weight = Create(5, 3 * groupSize, bits, groupSize, out var random);
        using var again = GroupQuantizedWeight.FromPacked(weight.Format, 5, 3 * groupSize, weight.Packed(),
            weight.Grids(), Backends.Any);
        foreach (var each in new[] { weight, again })
        {
            Assert.That(each.Codes(), Is.EqualTo(random.Codes));
            Assert.That(each.Grids(), Is.EqualTo(random.Grids));
            Values.AssertSameBits(each.Dequantize(),
                [.. random.Codes.Select((code, i) => random.Grids[i / groupSize].Value(code))], "ŵ");
        }
    }

    [TestCase(4, 32, 0.19)]
    [TestCase(4, 64, 0.16)]
    [TestCase(8, 32, 0.32)]
    [TestCase(3, 128, 0.11)]
    [TestCase(2, 16, 0.19)]
    public void A_weight_takes_the_memory_that_the_page_says(int bits, int groupSize, double most)
    {
        using var weight = Create(96, 768, bits, groupSize, out _);
        var share = weight.Bytes / (96 * 768 * 4.0);
        Assert.That(share, Is.EqualTo(weight.Format.BitsPerWeight / 32).Within(1e-12));
        Assert.That(share, Is.LessThanOrEqualTo(most));
        Assert.That(weight.Packed(), Has.Length.EqualTo(96 * 768 * bits / 8));
    }

    [Test]
    public void The_memory_goes_back_to_the_pool()
    {
        using var backend = new LoraScratch.Kernels.Cpu.CpuBackend(threads: 1);
        var weight = Create(8, 64, 4, 32, out _, backend);
        Assert.That(backend.Memory.InUse, Is.GreaterThanOrEqualTo(weight.Bytes));
        weight.Dispose();
        Assert.That(backend.Memory.InUse, Is.Zero);
        Assert.That(() => weight.Codes(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_gradient_of_the_weight_is_refused_in_words()
    {
        using var weight = Create(2, 16, 4, 16, out _);
        Assert.That(() => weight.IsTrainable = true,
            Throws.InvalidOperationException.With.Message.Contains("4 bits has no gradient").And.Message
                .Contains("QALoRALayer"));
        weight.IsTrainable = false;
        Assert.That(weight.IsTrainable, Is.False);
    }

    [Test]
    public void Only_the_bias_of_a_quantised_layer_is_a_parameter()
    {
        using var layer = new QuantizedLinear(Create(3, 32, 4, 16, out _),
            new Parameter("bias", [1, 2, 3], new Shape(3), Backends.Any));
        Assert.That(layer.NamedParameters().Select(entry => entry.Path), Is.EqualTo(new[] { "bias" }));
        Assert.That(layer.ToString(), Does.Contain("in_features=32, out_features=3, bias=True, bits=4, group_size=16"));
        layer.Unfreeze();
        using var scope = new TensorScope();
        using var x = Values.Leaf(Backends.Any, 1, new Shape(2, 32));
        layer.Forward(x).Sum().Backward();
        Assert.That(layer.Bias!.Gradient!.ToArray(), Is.EqualTo(new float[] { 2, 2, 2 }));
    }

    [Test]
    public void Formats_that_do_not_fit_are_refused_in_words()
    {
        void Refused(int bits, int groupSize, int inFeatures, params string[] parts)
        {
            var error = Assert.Throws<InputException>(() =>
                new QuantizationFormat(bits, groupSize).CheckInput("ffn.lin1", inFeatures))!;
            Assert.That(parts, Is.All.Matches<string>(part => error.Message.Contains(part!)), error.Message);
        }
        Refused(5, 32, 64, "5 bits", "2, 3, 4 or 8");
        Refused(4, 24, 48, "group of 24", "multiple of 16 from 16 to 128");
        Refused(4, 256, 512, "group of 256");
        Refused(4, 64, 96, "64", "96 inputs of ffn.lin1", "16, 32, 48, 96");
        Refused(4, 16, 40, "40 inputs", "leave this layer as it is");
    }

    [Test]
    public void Damaged_contents_are_refused_in_words()
    {
        var format = new QuantizationFormat(2, 16);
        var grids = new[] { new GroupGrid(1, 0), new GroupGrid(0.5f, 1) };
        byte[] codes = [.. Enumerable.Repeat((byte)3, 32)];
        void Refused<T>(Action create, string part) where T : Exception =>
            Assert.That(create, Throws.InstanceOf<T>().With.Message.Contains(part));
        GroupQuantizedWeight With(byte[] someCodes, GroupGrid[] someGrids) =>
            new(format, 2, 16, someCodes, someGrids, Backends.Any);
        Refused<InputException>(() => With([.. codes[..20], 4, .. codes[21..]], grids),
            "code 4 at [1, 4] is more than the 3 of 2 bits");
        Refused<InputException>(() => With(codes, [grids[0], new GroupGrid(0, 1)]), "group at [1, 0] has the scale 0");
        Refused<InputException>(() => With(codes, [new GroupGrid(1, float.NaN), grids[1]]), "group at [0, 0]");
        Refused<ShapeMismatchException>(() => With(codes[1..], grids), "needs 32 codes, got 31");
        Refused<ShapeMismatchException>(() => With(codes, grids[1..]), "needs 2 grids, got 1");
        Refused<ShapeMismatchException>(() =>
            GroupQuantizedWeight.FromPacked(format, 2, 16, new byte[9], grids, Backends.Any),
            "needs 8 bytes of packed codes, got 9");
    }

    [Test]
    public void Shapes_that_clash_are_refused_in_words()
    {
        using var weight = Create(3, 32, 4, 16, out _);
        using var x = Values.Leaf(Backends.Any, 1, new Shape(2, 31));
        Assert.That(() => x.QuantizedLinear(weight),
            Throws.InstanceOf<ShapeMismatchException>().With.Message.Contains("[2, 31]").And.Message
                .Contains("[3, 32]"));
        Assert.That(() => x.GroupSum(16),
            Throws.InstanceOf<ShapeMismatchException>().With.Message
                .Contains("groups of 16 do not divide the 31 columns"));
        using var fits = Values.Leaf(Backends.Any, 1, new Shape(2, 32));
        using var bias = Values.Leaf(Backends.Any, 1, new Shape(4));
        Assert.That(() => fits.QuantizedLinear(weight, bias),
            Throws.InstanceOf<ShapeMismatchException>().With.Message.Contains("bias of shape [3]"));
    }
}
