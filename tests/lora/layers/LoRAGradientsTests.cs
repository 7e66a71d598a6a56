using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The closed forms against double arithmetic, autograd against the closed forms.
/// </summary>
[Category(Categories.Gradients)]
public sealed class LoRAGradientsTests
{
    // rows, in, out, rank: a single row, M < K, odd sizes, wide and narrow, rank 1 and beyond a register
    private static readonly int[][] Sizes =
        [[1, 7, 5, 1], [3, 17, 9, 4], [5, 8, 33, 2], [16, 31, 6, 3], [4, 40, 40, 17]];

    [TestCaseSource(nameof(Sizes))]
    public void The_closed_forms_equal_differences_of_a_double_reference(int rows, int inFeatures, int outFeatures,
        int rank)
    {
        var random = new RandomStream(3);
        var layer = LoRALayerTests.Trained(inFeatures, outFeatures, new LoRASettings(rank, 3.0 * rank + 1), random);
        using var scope = new TensorScope();
        using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures));
        using var dY = Tensor.From(random.Normal(rows * outFeatures, 1), new Shape(rows, outFeatures));
        var got = LoRAGradients.Compute(x, layer.Base.Weight, layer.Lora.A, layer.Lora.B, layer.Lora.Scaling, dY);

        double[][] inputs = [x.Doubles(), layer.Lora.A.Doubles(), layer.Lora.B.Doubles()];
        var (w, upstream, s) = (layer.Base.Weight.Doubles(), dY.Doubles(), (double)layer.Lora.Scaling);
        Assert.That(Maths.RelativeError(got.X!.ToArray(), Numeric(0)), Is.LessThan(1e-5), "dX");
        Assert.That(Maths.RelativeError(got.A.ToArray(), Numeric(1)), Is.LessThan(1e-5), "dA");
        Assert.That(Maths.RelativeError(got.B.ToArray(), Numeric(2)), Is.LessThan(1e-5), "dB");

        double Loss() => Maths.Adapted(inputs[0], w, [], inputs[1], inputs[2], s, rows, inFeatures, outFeatures, rank)
            .Zip(upstream, (y, u) => y * u).Sum();

        double[] Numeric(int input) => Maths.CentralDifferences(inputs[input], Loss);
    }

    [Test]
    public void Autograd_agrees_with_the_closed_forms([ValueSource(nameof(Sizes))] int[] sizes, [Values]
        bool inputNeedsGradient)
    {
        var (rows, inFeatures, outFeatures, rank) = (sizes[0], sizes[1], sizes[2], sizes[3]);
        var random = new RandomStream(4);
        var layer = LoRALayerTests.Trained(inFeatures, outFeatures, new LoRASettings(rank, 2.5 * rank), random);
        using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures),
            requiresGradient: inputNeedsGradient);
        using var dY = Tensor.From(random.Normal(rows * outFeatures, 1), new Shape(rows, outFeatures));
        using var scope = new TensorScope();
        layer.Forward(x).Backward(dY);
        var expected = LoRAGradients.Compute(x, layer.Base.Weight, layer.Lora.A, layer.Lora.B, layer.Lora.Scaling, dY,
            inputNeedsGradient);

        Assert.That(Maths.RelativeError(layer.Lora.A.Gradient!.ToArray(), expected.A.Doubles()), Is.LessThan(1e-6),
            "dA");
        Assert.That(Maths.RelativeError(layer.Lora.B.Gradient!.ToArray(), expected.B.Doubles()), Is.LessThan(1e-6),
            "dB");
        Assert.That(x.Gradient is not null, Is.EqualTo(inputNeedsGradient), "a frozen input gets no gradient");
        Assert.That(expected.X is not null, Is.EqualTo(inputNeedsGradient));
        if (inputNeedsGradient)
        {
            Assert.That(Maths.RelativeError(x.Gradient!.ToArray(), expected.X!.Doubles()), Is.LessThan(1e-6), "dX");
        }
    }

    [Test]
    public void The_gradient_check_passes_a_layer_with_dropout_off()
    {
        var random = new RandomStream(6);
        var layer = LoRALayerTests.Trained(6, 5, new LoRASettings(3, 4), random);
        using var x = Tensor.From(random.Normal(24, 1), new Shape(4, 6), requiresGradient: true);
        var (w, bias) = (layer.Base.Weight.Doubles(), layer.Base.Bias!.Doubles());
        var report = GradientCheck.Run(layer,
            x, reference: values => Maths.Adapted(values[0], w, bias, values[1], values[2], layer.Lora.Scaling, 4, 6,
                5, 3));
        Assert.That(report.Passed, report.ToString());
        Assert.That(report.Entries.Select(entry => entry.Name),
            Is.EqualTo(new[] { "forward", "dx", "dlora.A", "dlora.B" }));
    }

    [Test]
    public void At_the_first_step_only_B_moves()
    {
        var random = new RandomStream(4);
        var layer = new LinearWithLoRA(new Linear(6, 5, random), 2, 8, random);
        using var x = Tensor.From(random.Normal(18, 1), new Shape(3, 6));
        using var scope = new TensorScope();
        layer.Forward(x).Square().Mean().Backward();
        Assert.That(layer.Lora.A.Gradient!.ToArray(), Has.All.Zero, "dA = s·Xᵀ·(dY·Bᵀ) with B = 0");
        Assert.That(layer.Lora.B.Gradient!.ToArray(), Has.Some.Not.Zero);
    }

    [Test]
    public void No_buffer_of_the_size_of_W_is_taken_by_a_training_step()
    {
        const int rows = 5, inFeatures = 96, outFeatures = 80, rank = 4;
        var backend = new RecordingBackend(Device.Default);
        var random = new RandomStream(4);
        var layer = new LinearWithLoRA(new Linear(inFeatures, outFeatures, random, backend: backend),
            new LoRASettings(rank, 3, Dropout: 0.1f), random);
        layer.Train();
        using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures), backend,
            requiresGradient: true);
        backend.Forget();
        using (new TensorScope())
        {
            layer.Forward(x).Square().Mean().Backward();
        }
        Assert.That(backend.Kernels, Has.Some.EqualTo("AddProduct").Or.Some.EqualTo("Product"),
            "the record is of a real step");
        Assert.That(backend.Allocations.Max(), Is.LessThanOrEqualTo(rows * Math.Max(inFeatures, outFeatures)),
            "activations are the largest; A·B and dW would be in × out");

        using var dY = Tensor.From(random.Normal(rows * outFeatures, 1), new Shape(rows, outFeatures), backend);
        backend.Forget();
        using var scope = new TensorScope();
        LoRAGradients.Compute(x, layer.Base.Weight, layer.Lora.A, layer.Lora.B, 2, dY);
        Assert.That(backend.Allocations.Max(), Is.LessThanOrEqualTo(rows * Math.Max(inFeatures, outFeatures)));
    }

    [Test]
    public void Shapes_that_do_not_fit_are_named()
    {
        using var scope = new TensorScope();
        var w = Tensor.Zeros(new Shape(5, 6));
        Assert.That(() => LoRAGradients.Compute(Tensor.Zeros(new Shape(3, 6)), w, Tensor.Zeros(new Shape(6, 2)),
            Tensor.Zeros(new Shape(2, 6)), 1, Tensor.Zeros(new Shape(3, 5))),
            Throws.TypeOf<ShapeMismatchException>().With.Message.Contains("b [2, 6]"));
    }
}
