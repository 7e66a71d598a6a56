using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>The low-rank layer alone and beside a linear layer.</summary>
internal sealed class LoRALayerTests
{
    [TestCase(LoRAInitialization.Kaiming, 768, 8, 0.0360844)]
    [TestCase(LoRAInitialization.KaimingOfRank, 768, 8, 0.3535534)]
    [TestCase(LoRAInitialization.Kaiming, 64, 4, 0.125)]
    [TestCase(LoRAInitialization.KaimingOfRank, 64, 4, 0.5)]
    public void Uniform_initial_values_fill_their_bound(LoRAInitialization initialization, int inFeatures, int rank,
        double bound)
    {
        var layer = new LoRALayer(inFeatures, 32, new LoRASettings(rank) { Initialization = initialization },
            new RandomStream(1));
        var a = layer.A.Doubles();
        Assert.That(a.Max(Math.Abs), Is.LessThanOrEqualTo(bound * (1 + 1e-6)).And.GreaterThan(0.95 * bound));
        Assert.That(Math.Sqrt(a.Average(value => value * value)), Is.EqualTo(bound / Math.Sqrt(3)).Within(0.1 * bound),
            "the standard deviation of a uniform number");
        Assert.That(layer.B.ToArray(), Has.All.Zero);
    }

    [Test]
    public void Normal_initial_values_have_variance_one_over_rank()
    {
        var a = new LoRALayer(768, 768, new LoRASettings(8) { Initialization = LoRAInitialization.Normal },
            new RandomStream(1)).A.Doubles();
        var deviation = Math.Sqrt(a.Average(value => value * value));
        Assert.That(deviation, Is.EqualTo(1 / Math.Sqrt(8)).Within(0.02));
        Assert.That(a.Average(), Is.Zero.Within(0.02));
        Assert.That(a.Max(), Is.GreaterThan(2.5 * deviation), "not uniform");
    }

    [TestCase(LoRAScaling.AlphaOverRank, 4f)]
    [TestCase(LoRAScaling.Alpha, 16f)]
    [TestCase(LoRAScaling.AlphaOverSqrtRank, 8f)]
    public void The_factor_follows_its_rule(LoRAScaling scaling, float factor) =>
    Assert.That(new LoRASettings(4, 16, scaling).Scaling, Is.EqualTo(factor));

    [TestCase(1, 7, 5, 1, 3.0)]
    [TestCase(3, 17, 9, 4, 10.0)]
    [TestCase(2, 33, 31, 8, 0.5)]
    public void Forward_is_the_base_plus_the_scaled_product(int rows, int inFeatures, int outFeatures, int rank,
        double alpha)
    {
        var random = new RandomStream(5);
        var layer = Trained(inFeatures, outFeatures, new LoRASettings(rank, alpha), random);
        using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures));
        using var scope = new TensorScope();
        var expected = Maths.Adapted(x.Doubles(), layer.Base.Weight.Doubles(), layer.Base.Bias!.Doubles(),
            layer.Lora.A.Doubles(), layer.Lora.B.Doubles(), alpha / rank, rows, inFeatures, outFeatures, rank);
        Assert.That(Maths.RelativeError(layer.Forward(x).ToArray(), expected), Is.LessThan(2e-6));

        var update = Maths.Adapted(x.Doubles(), new double[inFeatures * outFeatures], [], layer.Lora.A.Doubles(),
            layer.Lora.B.Doubles(), alpha / rank, rows, inFeatures, outFeatures, rank);
        Assert.That(Maths.RelativeError(layer.Lora.Forward(x).ToArray(), update), Is.LessThan(2e-6));
    }

    [Test]
    public void Added_to_a_layer_it_has_the_bits_that_it_has_added_to_its_output()
    {
        var random = new RandomStream(5);
        var layer = Trained(130, 70, new LoRASettings(4, 10), random);
        using var x = Tensor.From(random.Normal(40 * 130, 1), new Shape(40, 130));
        using var scope = new TensorScope();
        var inOne = layer.Lora.AddTo(layer.Base, x).Bits();
        Assert.That(layer.Lora.AddTo(layer.Base.Forward(x), x).Bits(), Is.EqualTo(inOne));
        Assert.That(layer.Forward(x).Bits(), Is.EqualTo(inOne));
    }

    [Test]
    public void A_fresh_layer_computes_what_the_base_computes_bit_for_bit([Values] bool training)
    {
        var random = new RandomStream(5);
        var linear = new Linear(12, 7, random);
        using var x = Tensor.From(random.Normal(36, 1), new Shape(3, 12));
        using var scope = new TensorScope();
        var before = linear.Forward(x).Bits();
        var layer = new LinearWithLoRA(linear, new LoRASettings(4, 32, Dropout: 0.3f), random);
        layer.Train(training);
        Assert.That(layer.Forward(x).Bits(), Is.EqualTo(before));
    }

    [Test]
    public void Dropout_acts_in_training_only_and_on_the_low_rank_input_only()
    {
        var random = new RandomStream(9);
        var layer = Trained(64, 16, new LoRASettings(4, 8, Dropout: 0.5f), random);
        using var x = Tensor.From(random.Normal(64 * 4, 1), new Shape(4, 64));
        using var scope = new TensorScope();
        var (first, second) = (layer.Forward(x).Bits(), layer.Forward(x).Bits());
        Assert.That(second, Is.EqualTo(first), "evaluation is deterministic");

        layer.Train();
        Assert.That(layer.Forward(x).Bits(), Is.Not.EqualTo(layer.Forward(x).Bits()),
            "each training pass draws a new mask");
        Assert.That(layer.Base.Forward(x).Bits(), Is.EqualTo(layer.Base.Forward(x).Bits()), "the base has no dropout");

        const int draws = 600;
        var mean = new double[64];
        for (var draw = 0; draw < draws; draw++)
        {
            using var pass = new TensorScope();
            mean = [.. mean.Zip(layer.Forward(x).ToArray(), (sum, y) => sum + y / draws)];
        }
        layer.Evaluate();
        var update = layer.Lora.Forward(x).ToArray().Max(Math.Abs);
        Assert.That(mean, Is.EqualTo(layer.Forward(x).Doubles()).Within(0.25 * update),
            "the mean over masks is the value without dropout");
    }

    [Category(Categories.Gradients)]
    [Test]
    public void The_base_is_frozen_and_gets_no_gradient_while_A_and_B_do()
    {
        var random = new RandomStream(9);
        var layer = Trained(6, 5, new LoRASettings(2, 8), random);
        using var x = Tensor.From(random.Normal(18, 1), new Shape(3, 6), requiresGradient: true);
        using (new TensorScope())
        {
            layer.Forward(x).Square().Mean().Backward();
        }
        Assert.That(layer.Base.Weight.Gradient, Is.Null, "frozen weights must cost no backward work");
        Assert.That(layer.Base.Bias!.Gradient, Is.Null);
        Assert.That(layer.Lora.A.Gradient, Is.Not.Null);
        Assert.That(layer.Lora.B.Gradient, Is.Not.Null);
        Assert.That(x.Gradient, Is.Not.Null, "the layers before it still learn");
        Assert.That(layer.TrainableParameters(), Is.EqualTo(new[] { layer.Lora.A, layer.Lora.B }));
    }

    [Test]
    public void The_layer_prints_its_rank_and_its_factor() =>
        Assert.That(new LoRALayer(768, 64, 8, 16, new RandomStream(0)).ToString(),
            Is.EqualTo("LoRALayer(in_features=768, out_features=64, rank=8, alpha=16, scaling=2)"));

    [Test]
    public void Senseless_settings_are_refused_by_name()
    {
        var random = new RandomStream(0);
        Assert.That(() => new LoRALayer(4, 4, 0, 1, random),
            Throws.TypeOf<InputException>().With.Message.Contains("rank must be at least 1, got 0"));
        Assert.That(() => new LoRALayer(4, 4, 2, 0, random),
            Throws.TypeOf<InputException>().With.Message.Contains("alpha must be a number above 0, got 0"));
        Assert.That(() => new LoRALayer(4, 4, 2, double.NaN, random), Throws.TypeOf<InputException>());
        Assert.That(() => new LoRALayer(4, 4, new LoRASettings(2, Dropout: 1), random),
            Throws.TypeOf<InputException>().With.Message.Contains("[0, 1), got 1"));
        Assert.That(() => new LinearWithLoRA(new Linear(4, 5, random), new LoRALayer(4, 4, 2, 1, random)),
            Throws.TypeOf<ShapeMismatchException>().With.Message.Contains("4 → 5").And.Message.Contains("4 → 4"));
    }

    [Test]
    public void Names_are_read_and_written_alike()
    {
        Assert.That(Enum.GetValues<LoRAScaling>().Select(value => LoRASettings.ParseScaling(LoRASettings.Name(value))),
            Is.EqualTo(Enum.GetValues<LoRAScaling>()));
        Assert.That(Enum.GetValues<LoRAInitialization>()
            .Select(value => LoRASettings.ParseInitialization(LoRASettings.Name(value))),
            Is.EqualTo(Enum.GetValues<LoRAInitialization>()));
        Assert.That(() => LoRASettings.ParseScaling("alpha/r"),
            Throws.TypeOf<InputException>().With.Message.EqualTo("There is no LoRA scaling 'alpha/r'; the names are "
                + "alpha-over-rank, alpha, alpha-over-sqrt-rank."));
        Assert.That(() => LoRASettings.ParseInitialization("xavier"),
            Throws.TypeOf<InputException>().With.Message.Contains("kaiming-of-rank"));
    }

    /// <summary>A layer whose B is not zero, as after training.</summary>
    internal static LinearWithLoRA Trained(int inFeatures, int outFeatures, LoRASettings settings, RandomStream random)
    {
        var layer = new LinearWithLoRA(new Linear(inFeatures, outFeatures, random), settings, random);
        layer.Lora.B.Set(random.Normal(layer.Lora.B.Shape.Count, 0.5f));
        return layer;
    }
}
