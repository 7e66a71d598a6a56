using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>W ← W + s·(AB)ᵀ and back.</summary>
public sealed class MergeTests
{
    // rows, in, out, rank; alpha is 5/2 of the rank + 1, B is not zero: otherwise the comparison could not fail
    private static readonly int[][] Sizes = [[1, 8, 8, 1], [3, 17, 9, 4], [7, 33, 65, 8], [4, 129, 31, 16]];

    [Test]
    public void Merged_outputs_stay_within_the_stated_bound([ValueSource(nameof(Sizes))] int[] sizes, [Values]
        LoRAScaling scaling)
    {
        var (rows, inFeatures, outFeatures, rank) = (sizes[0], sizes[1], sizes[2], sizes[3]);
        var random = new RandomStream(8);
        var layer = LoRALayerTests.Trained(inFeatures, outFeatures, new LoRASettings(rank, 2.5 * rank + 1, scaling),
            random);
        using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures));
        using var scope = new TensorScope();
        var unmerged = layer.Forward(x).ToArray();
        var fresh = layer.Base.Forward(x).ToArray();
        var magnitude = Maths.Adapted(Absolute(x), Absolute(layer.Base.Weight), Absolute(layer.Base.Bias!),
            Absolute(layer.Lora.A), Absolute(layer.Lora.B),
            layer.Lora.Scaling, rows, inFeatures, outFeatures, rank);
        layer.Merge();
        var merged = layer.Forward(x).ToArray();

        var n = inFeatures + rank + 4;
        var gamma = n * Math.Pow(2, -24) / (1 - n * Math.Pow(2, -24));
        for (var i = 0; i < merged.Length; i++)
        {
            Assert.That(Math.Abs(merged[i] - unmerged[i]), Is.LessThanOrEqualTo(2 * gamma * magnitude[i]),
                $"output {i}");
        }
        Assert.That(merged.Zip(fresh, (y, y0) => Math.Abs(y - y0)).Max(), Is.GreaterThan(0.1),
            "the update is large enough to be missed");

        static double[] Absolute(Tensor tensor) => Array.ConvertAll(tensor.Doubles(), Math.Abs);
    }

    [Test]
    public void Unmerging_restores_every_bit_in_the_same_buffer()
    {
        var layer = LoRALayerTests.Trained(33, 21, new LoRASettings(4, 7), new RandomStream(2));
        var (before, buffer) = (layer.Base.Weight.Bits(), layer.Base.Weight.Data);
        for (var round = 0; round < 3; round++)
        {
            layer.Merge();
            Assert.That(layer.Base.Weight.Bits(), Is.Not.EqualTo(before));
            Assert.That(layer.IsMerged);
            layer.Unmerge();
            Assert.That(layer.Base.Weight.Bits(), Is.EqualTo(before));
        }
        Assert.That(layer.Base.Weight.Data, Is.SameAs(buffer));
        Assert.That(layer.IsMerged, Is.False);
    }

    [Test]
    public void Merging_twice_and_unmerging_twice_are_errors()
    {
        var layer = LoRALayerTests.Trained(4, 4, new LoRASettings(2, 1), new RandomStream(2));
        Assert.That(layer.Unmerge, Throws.InvalidOperationException.With.Message.Contains("not merged"));
        layer.Merge();
        Assert.That(layer.Merge, Throws.InvalidOperationException.With.Message.Contains("merged already"));
    }

    [Test]
    public void A_merged_layer_cannot_be_trained()
    {
        var layer = LoRALayerTests.Trained(4, 4, new LoRASettings(2, 1), new RandomStream(2));
        using var x = Tensor.From([1, 2, 3, 4], new Shape(1, 4));
        using var scope = new TensorScope();
        layer.Merge();
        Assert.That(layer.TrainableParameters(), Is.Empty, "A and B are frozen while they are part of W");
        Assert.That(() => layer.Forward(x), Throws.Nothing, "prediction is what merging is for");
        layer.Train();
        Assert.That(() => layer.Forward(x), Throws.InvalidOperationException.With.Message.Contains("Unmerge()"));
        layer.Unmerge();
        Assert.That(layer.TrainableParameters(), Is.EqualTo(new[] { layer.Lora.A, layer.Lora.B }));
        layer.Forward(x).Square().Mean().Backward();
        Assert.That(layer.Lora.A.Gradient, Is.Not.Null);
    }

    [Test]
    public void Training_leaves_W_and_b_untouched_bit_for_bit([Values("sgd", "adam", "adamw")] string optimizerName)
    {
        var random = new RandomStream(12);
        var layer = new LinearWithLoRA(new Linear(9, 6, random), 3, 6, random);
        var (w, b, a0) = (layer.Base.Weight.Bits(), layer.Base.Bias!.Bits(), layer.Lora.A.Bits());
        using Optimizer optimizer = optimizerName switch
        {
            "sgd" => new Sgd(layer.TrainableParameters(), 0.05f, momentum: 0.9f, weightDecay: 0.01f),
            "adam" => new Adam(layer.TrainableParameters(), 0.01f, weightDecay: 0.01f),
            _ => new AdamW(layer.TrainableParameters(), 0.01f),
        };
        for (var step = 0; step < 5; step++)
        {
            using var scope = new TensorScope();
            using var x = Tensor.From(random.Normal(36, 1), new Shape(4, 9));
            layer.Forward(x).Square().Mean().Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }
        Assert.That(layer.Base.Weight.Bits(), Is.EqualTo(w));
        Assert.That(layer.Base.Bias!.Bits(), Is.EqualTo(b));
        Assert.That(layer.Lora.A.Bits(), Is.Not.EqualTo(a0), "something was trained");
        Assert.That(layer.Lora.B.ToArray(), Has.Some.Not.Zero);
    }
}
