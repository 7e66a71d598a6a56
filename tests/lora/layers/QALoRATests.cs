using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Tests.Kernels;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// QA-LoRA on a packed weight: closed forms, conventions, and the merge that stays in whole
/// numbers. B is never zero and s is neither 0 nor 1.
/// </summary>
internal sealed class QALoRATests
{
    // rows, in, out, group size, rank, bits: a single row, odd outputs, one group, more rows than are decoded in
    // registers
    private static readonly int[][] Sizes =
        [[1, 16, 5, 16, 1, 4], [3, 48, 9, 16, 4, 4], [5, 128, 33, 32, 2, 3], [18, 64, 6, 64, 3, 2],
            [4, 96, 40, 48, 17, 8]];

    private static LinearWithQALoRA Trained(int[] size, QALoRAPooling pooling, RandomStream random, bool bias = true,
        IBackend? backend = null)
    {
        var (inFeatures, outFeatures, groupSize, rank) = (size[1], size[2], size[3], size[4]);
        var weight = new RandomWeight(outFeatures, inFeatures, size[5], groupSize);
        var linear = new QuantizedLinear(
            new GroupQuantizedWeight(new(size[5], groupSize), outFeatures, inFeatures, weight.Codes, weight.Grids,
                backend),
            bias ? new Parameter("bias", random.Normal(outFeatures, 1), new Shape(outFeatures), backend) : null);
        var layer = new LinearWithQALoRA(linear, new LoRASettings(rank, 1.5 * rank + 1) { Pooling = pooling }, random);
        layer.Lora.B.Set(random.Normal(rank * outFeatures, 0.3f));
        return layer;
    }

    /// <summary>
    /// x·ŵᵀ + b + s·κ·(sums of groups)·A·B in double, from codes, scales and given zeros.
    /// </summary>
    private static double[] Reference(double[] x, LinearWithQALoRA layer, double[] zeros, double[] a, double[] b,
        double factor)
    {
        var weight = layer.Base.Weight;
        var (codes, grids, size) = (weight.Codes(), weight.Grids(), weight.Format.GroupSize);
        var w = codes.Select((code, i) => grids[i / size].Scale * (code - zeros[i / size])).ToArray();
        var rows = x.Length / weight.InFeatures;
        var sums = x.Chunk(size).Select(group => factor * group.Sum()).ToArray();
        var update = Maths.Product(Maths.Product(sums, a, rows, weight.Groups, layer.Lora.Rank), b, rows,
            layer.Lora.Rank, weight.OutFeatures);
        var product = Maths.Product(x, Maths.Transpose(w, weight.OutFeatures, weight.InFeatures), rows,
            weight.InFeatures, weight.OutFeatures);
        var bias = layer.Base.Bias?.Doubles() ?? new double[weight.OutFeatures];
        return [.. product.Select((value, i) => value + bias[i % bias.Length] + update[i])];
    }

    private static double[] Zeros(LinearWithQALoRA layer) =>
        [.. layer.Base.Weight.Grids().Select(grid => (double)grid.Zero)];

    private static double Factor(LinearWithQALoRA layer) => layer.Lora.Scaling * (layer.Lora.Settings.Pooling switch
    {
        QALoRAPooling.Repository => 1.0 / layer.Lora.GroupSize,
        QALoRAPooling.Paper => 1.0,
        _ => (double)layer.Lora.InFeatures / layer.Lora.GroupSize / layer.Lora.GroupSize,
    });

    [Test]
    public void Forward_equals_the_double_reference([ValueSource(nameof(Sizes))] int[] size, [Values]
        QALoRAPooling pooling)
    {
        var random = new RandomStream(1);
        var layer = Trained(size, pooling, random);
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(size[0] * size[1], 1), new Shape(size[0], size[1]));
        var expected = Reference(x.Doubles(), layer, Zeros(layer), layer.Lora.A.Doubles(), layer.Lora.B.Doubles(),
            Factor(layer));
        Assert.That(Maths.RelativeError(layer.Forward(x).ToArray(), expected), Is.LessThan(2e-6));
        var update = layer.Lora.Forward(x);
        Assert.That(Maths.RelativeError(layer.Base.Forward(x).Add(update).ToArray(), expected), Is.LessThan(2e-6),
            "the layer and its update apart");
    }

    [Category(Categories.Gradients)]
    [TestCaseSource(nameof(Sizes))]
    public void The_closed_forms_equal_differences_of_a_double_reference(int[] size)
    {
        var random = new RandomStream(3);
        var layer = Trained(size, QALoRAPooling.Paper, random);
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(size[0] * size[1], 1), new Shape(size[0], size[1]));
        using var dY = Tensor.From(random.Normal(size[0] * size[2], 1), new Shape(size[0], size[2]));
        var got = QALoRAGradients.Compute(x, layer.Base.Weight, layer.Lora.A, layer.Lora.B, layer.Lora.Scaling,
            (float)layer.Lora.PoolingFactor, dY);

        double[][] inputs = [x.Doubles(), layer.Lora.A.Doubles(), layer.Lora.B.Doubles()];
        var (zeros, upstream, factor) = (Zeros(layer), dY.Doubles(), Factor(layer));
        Assert.That(Maths.RelativeError(got.X!.ToArray(), Numeric(0)), Is.LessThan(1e-5), "dX");
        Assert.That(Maths.RelativeError(got.A.ToArray(), Numeric(1)), Is.LessThan(1e-5), "dA");
        Assert.That(Maths.RelativeError(got.B.ToArray(), Numeric(2)), Is.LessThan(1e-5), "dB");

        double Loss() => Reference(inputs[0], layer, zeros, inputs[1], inputs[2], factor).Zip(upstream, (y, u) => y * u)
            .Sum();

        double[] Numeric(int input) => Maths.CentralDifferences(inputs[input], Loss);
    }

    [Category(Categories.Gradients)]
    [Test]
    public void Autograd_agrees_with_the_closed_forms([ValueSource(nameof(Sizes))] int[] size, [Values]
        QALoRAPooling pooling, [Values] bool inputNeedsGradient)
    {
        var random = new RandomStream(4);
        var layer = Trained(size, pooling, random);
        using var x = Tensor.From(random.Normal(size[0] * size[1], 1), new Shape(size[0], size[1]),
            requiresGradient: inputNeedsGradient);
        using var dY = Tensor.From(random.Normal(size[0] * size[2], 1), new Shape(size[0], size[2]));
        using var scope = new TensorScope();
        layer.Forward(x).Backward(dY);
        var expected = QALoRAGradients.Compute(x, layer.Base.Weight, layer.Lora.A, layer.Lora.B, layer.Lora.Scaling,
            (float)layer.Lora.PoolingFactor, dY, inputNeedsGradient);
        Assert.That(Maths.RelativeError(layer.Lora.A.Gradient!.ToArray(), expected.A.Doubles()), Is.LessThan(1e-6),
            "dA");
        Assert.That(Maths.RelativeError(layer.Lora.B.Gradient!.ToArray(), expected.B.Doubles()), Is.LessThan(1e-6),
            "dB");
        Assert.That(x.Gradient is not null, Is.EqualTo(inputNeedsGradient), "a frozen input gets no gradient");
        Assert.That(layer.Base.Bias!.Gradient, Is.Null, "the base is frozen");
        if (inputNeedsGradient)
        {
            Assert.That(Maths.RelativeError(x.Gradient!.ToArray(), expected.X!.Doubles()), Is.LessThan(1e-6), "dX");
        }
    }

    [Test]
    public void A_new_layer_changes_nothing_and_draws_A_after_Xavier()
    {
        var random = new RandomStream(5);
        var layer = new QALoRALayer(768, 768, 32, new LoRASettings(Rank: 8), random);
        Assert.That(layer.B.ToArray(), Is.All.Zero);
        var bound = Math.Sqrt(6.0 / (24 + 8));
        Assert.That(layer.A.Shape, Is.EqualTo(new Shape(24, 8)));
        Assert.That(layer.A.ToArray().Max(Math.Abs), Is.InRange(0.95 * bound, bound));
    }

    [Test]
    public void Each_convention_converts_to_each_other([Values] QALoRAPooling from, [Values] QALoRAPooling to)
    {
        int[] size = [3, 96, 7, 32, 3, 4];
        var layer = Trained(size, from, new RandomStream(6));
        var converted = new LinearWithQALoRA(layer.Base, layer.Lora.Settings.In(to, 96, 32), new RandomStream(7));
        converted.Lora.A.Set(layer.Lora.A.ToArray());
        converted.Lora.B.Set(layer.Lora.B.ToArray());
        Assert.That(converted.Lora.Settings.Pooling, Is.EqualTo(to));
        using var scope = new TensorScope();
        using var x = Tensor.From(new RandomStream(8).Normal(3 * 96, 1), new Shape(3, 96));
        Assert.That(Maths.RelativeError(converted.Forward(x).ToArray(), layer.Forward(x).Doubles()), Is.LessThan(1e-6));
        if (from != to)
        {
            var mistaken = new LinearWithQALoRA(layer.Base, layer.Lora.Settings with { Pooling = to },
                new RandomStream(7));
            mistaken.Lora.A.Set(layer.Lora.A.ToArray());
            mistaken.Lora.B.Set(layer.Lora.B.ToArray());
            Assert.That(Maths.RelativeError(mistaken.Forward(x).ToArray(), layer.Forward(x).Doubles()),
                Is.GreaterThan(0.01), "the conventions are not interchangeable");
        }
    }

    [Test]
    public void Alpha_converts_by_the_documented_factors()
    {
        Assert.That(QALoRAPoolings.ConvertAlpha(16, QALoRAPooling.Repository, QALoRAPooling.Paper, 768, 32),
            Is.EqualTo(0.5));
        Assert.That(QALoRAPoolings.ConvertAlpha(16, QALoRAPooling.Repository, QALoRAPooling.Peft, 768, 32),
            Is.EqualTo(16.0 / 24).Within(1e-15));
        Assert.That(QALoRAPoolings.ConvertAlpha(16, QALoRAPooling.Peft, QALoRAPooling.Paper, 768, 32),
            Is.EqualTo(12).Within(1e-14));
        foreach (var pooling in Enum.GetValues<QALoRAPooling>())
        {
            Assert.That(LoRASettings.ParsePooling(LoRASettings.Name(pooling)), Is.EqualTo(pooling));
        }
        Assert.That(() => LoRASettings.ParsePooling("mean"),
            Throws.InstanceOf<InputException>().With.Message.Contains("repository, paper, peft"));
    }

    /// <summary>
    /// In double nothing but the last digits moves: the update is the same for a whole group.
    /// </summary>
    [Test]
    public void Merged_zeros_compute_the_same_to_1e_13([ValueSource(nameof(Sizes))] int[] size, [Values]
        QALoRAPooling pooling)
    {
        var random = new RandomStream(9);
        var layer = Trained(size, pooling, random);
        var (a, b) = (layer.Lora.A, layer.Lora.B);
        var x = Array.ConvertAll(random.Normal(size[0] * size[1], 1), value => (double)value);
        var merged = QALoRAMerge.Zeros(layer.Base.Weight.Grids(), a.ToArray(), b.ToArray(), layer.Lora.Rank,
            layer.Lora.Scaling, layer.Lora.PoolingFactor);
        var expected = Reference(x, layer, Zeros(layer), a.Doubles(), b.Doubles(), Factor(layer));
        var got = Reference(x, layer, merged, a.Doubles(), b.Doubles(), factor: 0);
        var error = got.Zip(expected, (y, e) => Math.Abs(y - e)).Max() / expected.Max(Math.Abs);
        Assert.That(error, Is.LessThan(1e-13));
        var unmerged = Reference(x, layer, Zeros(layer), a.Doubles(), b.Doubles(), factor: 0);
        Assert.That(unmerged.Zip(expected, (y, e) => Math.Abs(y - e)).Max() / expected.Max(Math.Abs),
            Is.GreaterThan(1e-3), "the update is large enough to be missed");
    }

    [Test]
    public void Merging_keeps_the_outputs_the_codes_and_the_size([ValueSource(nameof(Sizes))] int[] size, [Values]
        QALoRAPooling pooling)
    {
        var random = new RandomStream(10);
        var layer = Trained(size, pooling, random);
        var weight = layer.Base.Weight;
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(size[0] * size[1], 1), new Shape(size[0], size[1]));
        var (before, bytes, packed, grids) =
            (layer.Forward(x).Doubles(), weight.Bytes, weight.Packed(), weight.Grids());
        layer.Merge();
        Assert.That(Maths.RelativeError(layer.Forward(x).ToArray(), before), Is.LessThan(1e-5));
        Assert.That((weight.Bytes, layer.IsMerged, layer.Lora.A.IsTrainable), Is.EqualTo((bytes, true, false)));
        Assert.That(weight.Packed(), Is.EqualTo(packed));
        Assert.That(weight.Grids().Select(grid => grid.Scale), Is.EqualTo(grids.Select(grid => grid.Scale)));
        Assert.That(layer.Merge, Throws.InvalidOperationException.With.Message.Contains("merged already"));
        layer.Train();
        Assert.That(() => layer.Forward(x), Throws.InvalidOperationException.With.Message.Contains("Unmerge()"));
        layer.Evaluate();
        layer.Unmerge();
        Assert.That(weight.Grids(), Is.EqualTo(grids), "bit for bit");
        Assert.That(layer.Lora.A.IsTrainable);
        Assert.That(layer.Unmerge, Throws.InvalidOperationException);
    }

    /// <summary>Through two layers and a nonlinearity, as a model's logits.</summary>
    [Test]
    public void Logits_behind_merged_layers_agree()
    {
        var random = new RandomStream(11);
        var first = Trained([20, 128, 64, 32, 4, 4], QALoRAPooling.Repository, random);
        var second = Trained([20, 64, 3, 16, 2, 4], QALoRAPooling.Repository, random);
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(20 * 128, 1), new Shape(20, 128));
        Tensor Logits() => second.Forward(first.Forward(x).Gelu());
        var before = Logits().Doubles();
        first.Merge();
        second.Merge();
        Assert.That(Maths.RelativeError(Logits().ToArray(), before), Is.LessThan(1e-5));
    }

    [Test]
    public void Rounding_zeros_says_what_it_costs()
    {
        var layer = Trained([3, 96, 7, 32, 3, 4], QALoRAPooling.Repository, new RandomStream(12));
        layer.Merge();
        var weight = layer.Base.Weight;
        var before = weight.Dequantize();
        var rounded = QALoRAMerge.RoundZeros(weight);
        Assert.That(weight.Dequantize(), Is.EqualTo(before), "nothing is touched yet");
        Assert.That(rounded.Grids.Select(grid => grid.Zero),
            Is.All.Matches<float>(zero => zero >= 0 && zero <= 15 && zero == MathF.Round(zero)));
        Assert.That(rounded.Outside,
            Is.EqualTo(weight.Grids().Count(grid => MathF.Round(grid.Zero) is < 0 or > 15)).And.GreaterThan(0));
        weight.SetGrids(rounded.Grids);
        var errors = weight.Dequantize().Zip(before, (now, was) => Math.Abs((double)now - was)).ToArray();
        Assert.That(rounded.LargestError, Is.EqualTo(errors.Max()).Within(1e-5 * errors.Max()));
        Assert.That(rounded.RelativeError,
            Is.EqualTo(Math.Sqrt(errors.Sum(e => e * e) / before.Sum(w => (double)w * w)))
                .Within(1e-5).And.GreaterThan(0.01));
    }

    [Test]
    public void Mistakes_are_refused_in_words()
    {
        var random = new RandomStream(13);
        var layer = Trained([1, 64, 3, 16, 2, 4], QALoRAPooling.Paper, random);
        var other = new QALoRALayer(64, 3, 32, new LoRASettings(), random);
        Assert.That(() => new LinearWithQALoRA(layer.Base, other),
            Throws.InstanceOf<ShapeMismatchException>().With.Message.Contains("groups of 16").And.Message
                .Contains("groups of 32"));
        Assert.That(() => QALoRAMerge.Merge(layer.Base.Weight, other), Throws.InstanceOf<ShapeMismatchException>());
        Assert.That(() => new QALoRALayer(60, 3, 16, new LoRASettings(), random),
            Throws.InstanceOf<InputException>().With.Message.Contains("do not divide the 60 inputs"));
        Assert.That(() => new QALoRALayer(64, 3, 16, new LoRASettings(Rank: 0), random),
            Throws.InstanceOf<InputException>().With.Message.Contains("rank"));
        layer.Lora.B.Set(Enumerable.Repeat(float.MaxValue, 6).ToArray());
        layer.Lora.A.Set(Enumerable.Repeat(float.MaxValue, 8).ToArray());
        Assert.That(layer.Merge, Throws.InstanceOf<InputException>().With.Message.Contains("not finite"));
        Assert.That(layer.IsMerged, Is.False);
    }

    [Test]
    public void Dropout_is_drawn_before_pooling_in_training_only()
    {
        var random = new RandomStream(14);
        var lora = new QALoRALayer(64, 3, 16, new LoRASettings(2, 5, Dropout: 0.5f), random);
        lora.B.Set(random.Normal(6, 1));
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(4 * 64, 1), new Shape(4, 64));
        var evaluated = lora.Forward(x).ToArray();
        Assert.That(lora.Forward(x).ToArray(), Is.EqualTo(evaluated));
        lora.Train();
        Assert.That(lora.Forward(x).ToArray(), Is.Not.EqualTo(evaluated));
    }
}
