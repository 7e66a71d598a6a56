using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The layer on whole numbers: how far from the float layer it may be, what it weighs, and what it
/// refuses. Its kernels have tests of their own.
/// </summary>
public class DynamicInt8LinearTests
{
    private static readonly (string Input, Func<float, float> Change)[] Inputs =
    [
        ("normal", x => x), ("positive", x => 3 + Math.Abs(x)),
            ("like GELU's output", x => x > 0 ? 2 * x : -0.1f * Math.Abs(MathF.Tanh(x))),
                ("with outliers", x => x > 2 ? 100 * x : x),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from backend in Backends.All
        from size in new (int Rows, int In, int Out)[] { (1, 1, 1), (2, 7, 3), (5, 40, 19), (9, 300, 33) }
        from input in Inputs
        select new TestCaseData(backend, size.Rows, size.In, size.Out, input.Change)
            .SetName($"x [{size.Rows}, {size.In}] {input.Input}, {size.Out} outputs, on {backend}")
            .In(backend.Category);

    [TestCaseSource(nameof(Cases))]
    public void The_error_stays_within_the_bound_of_the_page(BackendCase backend, int rows, int inFeatures,
        int outFeatures, Func<float, float> change)
    {
        var reference = new DynamicInt8Reference(rows, inFeatures, outFeatures, change);
        using var x = Tensor.From(reference.X, new Shape(rows, inFeatures), backend.Backend);
        using var layer = new DynamicInt8Linear(
            ChannelQuantizedWeight.Quantize(reference.W, outFeatures, inFeatures, backend.Backend));
        using var scope = new TensorScope();
        var (y, exact, bound) = (layer.Forward(x).ToArray(), reference.Exact, reference.Bound);
        double errors = 0, squares = 0;
        for (var i = 0; i < y.Length; i++)
        {
            Assert.That(Math.Abs(y[i] - exact[i]), Is.LessThanOrEqualTo(bound[i]),
                $"y[{i}] is {y[i]}, exactly {exact[i]}");
            (errors, squares) = (errors + (y[i] - exact[i]) * (y[i] - exact[i]), squares + exact[i] * exact[i]);
        }
        if (y.Length > 100)
        {
            Assert.That(Math.Sqrt(errors / squares), Is.LessThan(0.05), "and far within it altogether");
        }
    }

    [Test]
    public void A_zero_halves_the_error_of_inputs_with_one_sign()
    {
        var reference = new DynamicInt8Reference(20, 256, 30, x => Math.Abs(x));
        using var weight = ChannelQuantizedWeight.Quantize(reference.W, 30, 256, Backends.Any);
        double Error(Func<float[], float[]> shifted)
        {
            // Behind every number its negative, which meets a weight of 0: the same product, from a range that is
            // symmetric.
            var (x, w) = (shifted(reference.X), new float[30 * 512]);
            var columns = x.Length / 20;
            for (var j = 0; j < 30; j++)
            {
                Array.Copy(reference.W, j * 256, w, j * columns, 256);
            }
            using var wide = ChannelQuantizedWeight.Quantize(w.AsSpan(0, 30 * columns), 30, columns, Backends.Any);
            using var input = Tensor.From(x, new Shape(20, columns), Backends.Any);
            using var scope = new TensorScope();
            return Math.Sqrt(input.DynamicInt8Linear(wide).ToArray()
                .Zip(Reference.Product(Values.ToDouble(reference.X),
                    Reference.Transpose(Values.ToDouble(weight.Dequantize()), 30, 256), 20, 256, 30),
                        (y, e) => (y - e) * (y - e)).Sum());
        }
        var symmetric = Error(values =>
            [.. values.Chunk(256).SelectMany(row => row.Concat(row.Select(value => -value)))]);
        Assert.That(Error(values => values), Is.InRange(0.4 * symmetric, 0.6 * symmetric));
    }

    [Test]
    public void A_row_does_not_depend_on_the_rows_beside_it()
    {
        var reference = new DynamicInt8Reference(8, 100, 21);
        using var weight = ChannelQuantizedWeight.Quantize(reference.W, 21, 100, Backends.Any);
        using var scope = new TensorScope();
        var all = Tensor.From(reference.X, new Shape(8, 100), Backends.Any).DynamicInt8Linear(weight).ToArray();
        for (var row = 0; row < 8; row++)
        {
            var alone = Tensor.From(reference.X.AsSpan(row * 100, 100), new Shape(1, 100), Backends.Any)
                .DynamicInt8Linear(weight).ToArray();
            Values.AssertSameBits(alone, all[(row * 21)..(row * 21 + 21)], $"row {row}");
        }
    }

    [Test]
    public void A_number_that_is_not_finite_spoils_its_row_and_no_other(
        [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float bad)
    {
        var reference = new DynamicInt8Reference(3, 40, 5);
        reference.X[40 + 17] = bad;
        using var weight = ChannelQuantizedWeight.Quantize(reference.W, 5, 40, Backends.Any);
        using var scope = new TensorScope();
        var y = Tensor.From(reference.X, new Shape(3, 40), Backends.Any).DynamicInt8Linear(weight).ToArray();
        Assert.That(y.Select(float.IsNaN), Is.EqualTo(Enumerable.Range(0, 15).Select(i => i / 5 == 1)));
    }

    [Test]
    public void A_weight_takes_a_quarter_and_comes_back()
    {
        using var backend = new CpuBackend(threads: 1);
        var w = Values.Normal(96 * 768, 1, 0.05);
        using (var weight = ChannelQuantizedWeight.Quantize(w, 96, 768, backend))
        using (var again = new ChannelQuantizedWeight(96, 768, weight.Codes(), weight.Scales(), backend))
        {
            Assert.That(weight.Bytes, Is.EqualTo(96 * 768 + 96 * 8));
            Assert.That(backend.Memory.InUse, Is.GreaterThanOrEqualTo(2 * weight.Bytes));
            var (rounded, scales) = (weight.Dequantize(), weight.Scales());
            Values.AssertSameBits(again.Dequantize(), rounded, "ŵ");
            for (var i = 0; i < w.Length; i++)
            {
                Assert.That(Math.Abs(rounded[i] - w[i]), Is.LessThanOrEqualTo(0.5001 * scales[i / 768]),
                    $"[{i / 768}, {i % 768}]");
            }
        }
        Assert.That(backend.Memory.InUse, Is.Zero);
    }

    [Test]
    public void A_weight_of_zeros_is_zeros()
    {
        using var weight = ChannelQuantizedWeight.Quantize(new float[] { 0, 0, 0, 1e-45f, -1e-45f, 0 }, 2, 3,
            Backends.Any);
        Assert.That(weight.Dequantize(), Is.All.Zero);
        using var scope = new TensorScope();
        Assert.That(Tensor.From([1, 2, 3], new Shape(1, 3), Backends.Any).DynamicInt8Linear(weight).ToArray(),
            Is.All.Zero);
    }

    [Test]
    public void A_gradient_of_the_input_is_refused_in_words_and_that_of_the_bias_is_there()
    {
        using var layer = new DynamicInt8Linear(
            ChannelQuantizedWeight.Quantize(Values.Normal(12, 1), 3, 4, Backends.Any),
                new Parameter("bias", [1, 2, 3], new Shape(3), Backends.Any));
        Assert.That(layer.NamedParameters().Select(entry => entry.Path), Is.EqualTo(new[] { "bias" }));
        Assert.That(layer.ToString(), Does.Contain("in_features=4, out_features=3, bias=True"));
        using var scope = new TensorScope();
        using var x = Values.Leaf(Backends.Any, 1, new Shape(2, 4));
        Assert.That(() => layer.Forward(x),
            Throws.InvalidOperationException.With.Message.Contains("x requires a gradient").And.Message
                .Contains("NoGradient").And.Message.Contains("QA-LoRA"));
        using (new NoGradient())
        {
            Assert.That(layer.Forward(x).RequiresGradient, Is.False);
        }
        layer.Forward(x.Detach()).Sum().Backward();
        Assert.That(layer.Bias!.Gradient!.ToArray(), Is.EqualTo(new float[] { 2, 2, 2 }));
    }

    [Test]
    public void What_does_not_fit_is_refused_in_words()
    {
        using var weight = ChannelQuantizedWeight.Quantize(Values.Normal(12, 1), 3, 4, Backends.Any);
        using var x = Values.Leaf(Backends.Any, 1, new Shape(2, 5), requiresGradient: false);
        using var bias = Values.Leaf(Backends.Any, 1, new Shape(4), requiresGradient: false);
        using var fits = Values.Leaf(Backends.Any, 1, new Shape(2, 4), requiresGradient: false);
        void Refused<T>(Action action, params string[] parts) where T : Exception
        {
            var error = Assert.Throws<T>(() => action())!;
            Assert.That(parts, Is.All.Matches<string>(part => error.Message.Contains(part!)), error.Message);
        }
        Refused<ShapeMismatchException>(() => x.DynamicInt8Linear(weight), "[2, 5]", "[3, 4]");
        Refused<ShapeMismatchException>(() => fits.DynamicInt8Linear(weight, bias), "bias of shape [3]", "[4]");
        Refused<ShapeMismatchException>(() =>
            _ = new DynamicInt8Linear(weight, new Parameter("bias", [1, 2], new Shape(2), Backends.Any)),
                "bias of shape [3]");
        Refused<ShapeMismatchException>(() =>
            _ = new ChannelQuantizedWeight(3, 4, new sbyte[11], new float[] { 1, 1, 1 }, Backends.Any),
                "12 codes and 3 scales, got 11 and 3");
        Refused<InputException>(() =>
            _ = new ChannelQuantizedWeight(3, 4, [0, 0, 0, 0, 0, 0, -128, 0, 0, 0, 0, 0], [1, 1, 1], Backends.Any),
                "[1, 2] is -128");
        Refused<InputException>(() => _ = new ChannelQuantizedWeight(1, 1, [1], [0f], Backends.Any),
            "output 0 has the scale 0");
        Refused<InputException>(() => ChannelQuantizedWeight.Quantize([1, float.NaN], 1, 2, Backends.Any, "ffn.lin1"),
            "ffn.lin1", "[0, 1] is NaN");
        Refused<InputException>(() => ChannelQuantizedWeight.CheckInput("ffn.lin1", Int8Matrix.MaxInputs + 1),
            "ffn.lin1", "66312", "66311");
        using var other = new CpuBackend(threads: 1);
        using var elsewhere = Values.Leaf(other, 1, new Shape(2, 4), requiresGradient: false);
        Refused<ArgumentException>(() => elsewhere.DynamicInt8Linear(weight), "same backend");
    }
}
