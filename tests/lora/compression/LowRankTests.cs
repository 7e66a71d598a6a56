using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Compression;
using LoraScratch.Tests.Lora;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Compression;

/// <summary>Linear layers as two thin ones, and the choice of their ranks.</summary>
public sealed class LowRankTests
{
    [TestCase(7, 5, 3, true)]
    [TestCase(5, 9, 1, false)]
    [TestCase(17, 33, 4, true)]
    public void The_gradients_of_input_factors_and_bias_equal_the_numeric_ones(int inFeatures, int outFeatures,
        int rank, bool bias)
    {
        var layer = LowRankLinear.Of(Linear(inFeatures, outFeatures, bias), Factors(inFeatures, outFeatures, rank));
        using var x = Tensor.From(new RandomStream(9).Normal(4 * inFeatures, 1), new Shape(4, inFeatures),
            requiresGradient: true);
        var report = GradientCheck.Run(layer, x, values =>
        {
            var hidden = Maths.Product(values[0], Maths.Transpose(values[1], rank, inFeatures), 4, inFeatures, rank);
            var y = Maths.Product(hidden, Maths.Transpose(values[2], outFeatures, rank), 4, rank, outFeatures);
            return [.. y.Select((value, i) => value + (bias ? values[3][i % outFeatures] : 0))];
        });
        Assert.That(report.Entries, Has.Count.EqualTo(bias ? 5 : 4), "forward, dx, dD, dU and, where there is one, db");
        Assert.That(report.Passed, Is.True, report.ToString());
    }

    [Test]
    public void Frozen_factors_have_no_gradient_and_the_paths_are_down_and_up()
    {
        var layer = LowRankLinear.Of(Linear(6, 8, true), Factors(6, 8, 2));
        Assert.That(layer.NamedParameters().Select(entry => $"{entry.Path} {entry.Parameter.Shape}"),
            Is.EqualTo(new[] { "down.weight [2, 6]", "up.weight [8, 2]", "up.bias [8]" }));
        layer.Freeze();
        using var x = Tensor.From(new RandomStream(9).Normal(12, 1), new Shape(2, 6), requiresGradient: true);
        using var scope = new TensorScope();
        layer.Forward(x).Sum().Backward();
        Assert.That(layer.Parameters().Select(parameter => parameter.Gradient), Is.All.Null);
        Assert.That(x.Gradient, Is.Not.Null);
        Assert.That(() => new LowRankLinear(Linear(6, 3, true), Linear(3, 6, true)),
            Throws.InstanceOf<ShapeMismatchException>());
        Assert.That(() => new LowRankLinear(Linear(6, 3, false), Linear(4, 6, true)),
            Throws.InstanceOf<ShapeMismatchException>());
        Assert.That(() => LowRankLinear.Of(Linear(6, 3, true), Factors(3, 6, 2)),
            Throws.InstanceOf<ShapeMismatchException>());
    }

    [TestCase(768, 768, 383)]
    [TestCase(768, 3072, 614)]
    [TestCase(2, 2, 0)]
    [TestCase(3, 2, 1)]
    [TestCase(4, 4, 1)]
    [TestCase(1, 50, 0)]
    public void The_largest_rank_that_saves_is_the_last_below_in_times_out_over_in_plus_out(int inFeatures,
        int outFeatures, int expected)
    {
        var rank = LowRankLinear.LargestSavingRank(inFeatures, outFeatures);
        Assert.That(rank, Is.EqualTo(expected));
        Assert.That((long)rank * (inFeatures + outFeatures), Is.LessThan((long)inFeatures * outFeatures));
        Assert.That((rank + 1L) * (inFeatures + outFeatures), Is.GreaterThanOrEqualTo((long)inFeatures * outFeatures));
    }

    [Test]
    public void A_compressed_layer_computes_with_the_best_approximation_of_its_weight()
    {
        var model = Model();
        var compression = ModelCompression.Of(model, ["q_lin", "v_lin"]);
        var layer = compression.Layers[0];
        var linear = (Linear)model.NamedModules().Single(entry => entry.Path == layer.Path).Module;
        var (weight, bias) = (linear.Weight.Doubles(), linear.Bias!.Doubles());
        var before = model.Parameters().Sum(parameter => (long)parameter.Shape.Count);
        var ranks = compression.ByRank(3);
        compression.Apply(ranks);

        var replaced = (LowRankLinear)model.NamedModules().Single(entry => entry.Path == layer.Path).Module;
        var best = SingularValueDecomposition.Jacobi(new DenseMatrix(12, 12, weight)).Truncate(3);
        Assert.That(layer.RelativeError(3),
            Is.EqualTo(best.ErrorOf(3) / new DenseMatrix(12, 12, weight).Norm()).Within(1e-12));
        var x = new RandomStream(3).Normal(2 * 12, 1);
        using var scope = new TensorScope();
        var expected = Maths.Product(Array.ConvertAll(x, value => (double)value), best.Reconstruct().Transpose().Values,
            2, 12, 12).Select((value, i) => value + bias[i % 12]).ToArray();
        Assert.That(Maths.RelativeError(replaced.Forward(Tensor.From(x, new Shape(2, 12))).ToArray(), expected),
            Is.LessThan(1e-6));
        var after = model.Parameters().Sum(parameter => (long)parameter.Shape.Count);
        Assert.That(after, Is.EqualTo(before - 2 * (12 * 12 - 3 * 24)));
        Assert.That(compression.Layers, Has.Count.EqualTo(2));
    }

    [Test]
    public void Ranks_by_energy_are_the_smallest_that_keep_it_and_what_saves_nothing_stays()
    {
        var compression = ModelCompression.Of(Model(), [ModulePattern.AllLinear]);
        var ranks = compression.ByEnergy(0.6);
        foreach (var (layer, rank) in compression.Layers.Zip(ranks))
        {
            var k = rank ?? layer.LargestSavingRank + 1;
            Assert.That(1 - layer.SquaredError(k - 1) / layer.SquaredNorm, Is.LessThan(0.6), "one less is not enough");
            Assert.That(rank is null || 1 - layer.SquaredError(rank) / layer.SquaredNorm >= 0.6);
        }
        Assert.That(ranks, Has.Some.Null.And.Some.Not.Null, "the small head saves nothing");
        Assert.That(() => compression.ByEnergy(1),
            Throws.InstanceOf<InputException>().With.Message.Contains("saves nothing"));
        Assert.That(() => compression.ByRank(6),
            Throws.InstanceOf<InputException>().With.Message.Contains("option 'rank' 6 saves nothing").And.Message
                .Contains("5 for [12, 12]"));
        Assert.That(compression.ByRank(5), Has.Some.EqualTo(5));
    }

    [Test]
    public void A_byte_budget_is_kept_and_no_exchange_of_two_ranks_has_a_smaller_error()
    {
        var compression = ModelCompression.Of(Model(), ["q_lin", "k_lin", "v_lin"]);
        var whole = compression.Numbers([null, null, null]);
        // room for nine ranks among three layers
        var bytes = sizeof(float) * (whole - 3 * 144 + 24 * 9);
        var ranks = compression.ByBytes(bytes);
        Assert.That(sizeof(float) * compression.Numbers(ranks), Is.LessThanOrEqualTo(bytes));
        Assert.That(ranks.Sum(rank => rank ?? 6), Is.EqualTo(9));
        var error = compression.RelativeError(ranks);
        for (var from = 0; from < 3; from++)
        {
            for (var to = 0; to < 3; to++)
            {
                var moved = ranks.ToArray();
                (moved[from], moved[to]) = (moved[from] - (from == to ? 0 : 1), moved[to] + (from == to ? 0 : 1));
                Assert.That(moved[from] is 0 || moved[to] > 5 || compression.RelativeError(moved) >= error,
                    $"one rank from layer {from} to {to}");
            }
        }
        Assert.That(() => compression.ByBytes(sizeof(float) * (whole - 3 * 144)),
            Throws.InstanceOf<InputException>().With.Message.Contains("with rank 1 in every targeted layer"));
        Assert.That(() => compression.ByBytes(sizeof(float) * whole),
            Throws.InstanceOf<InputException>().With.Message.Contains("saves nothing"));
        Assert.That(compression.ByBytes(sizeof(float) * (whole - 1)), Has.Some.Null.And.Some.Not.Null,
            "layers become whole again where there is room");
    }

    private static Linear Linear(int inFeatures, int outFeatures, bool bias) =>
        new(inFeatures, outFeatures, new RandomStream(2), bias);

    private static LowRankFactors Factors(int inFeatures, int outFeatures, int rank)
    {
        var random = new RandomStream(6);
        return new LowRankFactors(rank, inFeatures, outFeatures, random.Normal(inFeatures * rank, 0.5f),
            random.Normal(rank * outFeatures, 0.5f));
    }

    private static Classifier Model() => new(new RandomStream(8), width: 12);
}
