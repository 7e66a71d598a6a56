using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

public class ModuleTests
{
    private static IBackend Backend => Backends.Any;

    private static Linear NewLinear(int inFeatures = 2, int outFeatures = 3) =>
        new(inFeatures, outFeatures, new RandomStream(1), backend: Backend);

    private sealed class Pair : Module
    {
        public Pair()
        {
            Scale = Add(Parameter.Filled("scale", 1, new Shape(4), Backend));
            First = Add<Layer>("first", NewLinear());
            Second = Add("second", new Sequential(NewLinear(3, 4), new Dropout(0.5f, new RandomStream(1)), new Relu()));
        }

        public Parameter Scale { get; }

        public Submodule<Layer> First { get; }

        public Submodule<Sequential> Second { get; }

        public void AddParameter(string name) => Add(Parameter.Filled(name, 0, new Shape(1), Backend));

        public void AddChild(string name) => Add(name, new Relu());
    }

    [Test]
    public void Parameters_and_modules_have_paths_in_order_of_registration()
    {
        var pair = new Pair();
        Assert.That(pair.NamedParameters().Select(entry => entry.Path),
            Is.EqualTo(new[] { "scale", "first.weight", "first.bias", "second.0.weight", "second.0.bias" }));
        Assert.That(pair.NamedModules().Select(entry => entry.Path),
            Is.EqualTo(new[] { "", "first", "second", "second.0", "second.1", "second.2" }));
        Assert.That(pair.NamedSubmodules().Select(entry => entry.Path),
            Is.EqualTo(new[] { "first", "second", "second.0", "second.1", "second.2" }));
        Assert.That(pair.NamedParameters().Single(entry => entry.Path == "second.0.bias").Parameter.Shape,
            Is.EqualTo(new Shape(4)));
    }

    [Test]
    public void The_printed_tree_looks_like_pythons()
    {
        Assert.That(new Pair().ToString(), Is.EqualTo("""
            Pair(
              (first): Linear(in_features=2, out_features=3, bias=True)
              (second): Sequential(
                (0): Linear(in_features=3, out_features=4, bias=True)
                (1): Dropout(p=0.5)
                (2): Relu()
              )
            )
            """.ReplaceLineEndings("\n")));
        Assert.That(new LayerNorm(8, 1e-12f, Backend).ToString(), Is.EqualTo("LayerNorm((8,), eps=1e-12)"));
        Assert.That(new Embedding(5, 3, new RandomStream(1), backend: Backend).ToString(),
            Is.EqualTo("Embedding(5, 3)"));
    }

    [TestCase("scale", "is taken")]
    [TestCase("first", "is taken")]
    [TestCase("", "is empty")]
    [TestCase("a.b", "has a dot")]
    public void A_name_that_is_taken_empty_or_dotted_is_an_error(string name, string fault)
    {
        Assert.That(() => new Pair().AddParameter(name),
            Throws.ArgumentException.With.Message.Contains($"Pair: the name '{name}' {fault}"));
        Assert.That(() => new Pair().AddChild(name),
            Throws.ArgumentException.With.Message.Contains($"Pair: the name '{name}' {fault}"));
    }

    [Test]
    public void A_replaced_child_takes_over_the_training_mode_and_its_place()
    {
        var pair = new Pair();
        pair.Train();
        var replacement = new Sequential(NewLinear(), new Dropout(0.1f, new RandomStream(1)));
        pair.First.Replace(replacement);
        Assert.That(pair.First.Value, Is.SameAs(replacement));
        Assert.That(replacement.NamedModules().Select(entry => entry.Module.IsTraining), Is.All.True);
        Assert.That(pair.NamedParameters().Select(entry => entry.Path), Does.Contain("first.0.weight"));
        pair.Evaluate();
        var another = NewLinear();
        another.Train();
        pair.First.Replace(another);
        Assert.That(another.IsTraining, Is.False);
    }

    [Test]
    public void A_place_refuses_a_module_of_another_type_and_keeps_its_own()
    {
        var pair = new Pair();
        var before = pair.Second.Value;
        Assert.That(() => pair.Second.Replace(NewLinear()),
            Throws.ArgumentException.With.Message.Contains("'second' in Pair").And.Message
                .Contains("Sequential").And.Message.Contains("Linear"));
        Assert.That(pair.Second.Value, Is.SameAs(before));
    }

    [Test]
    public void Children_can_be_replaced_while_their_places_are_enumerated()
    {
        var pair = new Pair();
        foreach (var (_, submodule) in pair.NamedSubmodules())
        {
            if (submodule.Current is Linear linear)
            {
                submodule.Replace(new Sequential(linear));
            }
        }
        Assert.That(pair.NamedParameters().Select(entry => entry.Path), Does.Contain("first.0.weight"));
        Assert.That(pair.NamedParameters().Select(entry => entry.Path), Does.Contain("second.0.0.weight"));
    }

    [Test]
    public void Freezing_and_unfreezing_reach_every_parameter_below()
    {
        var pair = new Pair();
        pair.Freeze();
        Assert.That(pair.TrainableParameters(), Is.Empty);
        pair.Second.Value.Unfreeze();
        Assert.That(pair.TrainableParameters().Count(), Is.EqualTo(2));
        pair.Unfreeze();
        Assert.That(pair.TrainableParameters().Count(), Is.EqualTo(5));
    }

    [Test]
    public void Training_mode_reaches_every_module_and_new_modules_are_in_evaluation()
    {
        var pair = new Pair();
        Assert.That(pair.NamedModules().Select(entry => entry.Module.IsTraining), Is.All.False);
        pair.Train();
        Assert.That(pair.NamedModules().Select(entry => entry.Module.IsTraining), Is.All.True);
        pair.Evaluate();
        Assert.That(pair.NamedModules().Select(entry => entry.Module.IsTraining), Is.All.False);
    }

    [Test]
    public void Initial_values_are_torchs()
    {
        var linear = new Linear(64, 48, new RandomStream(3), backend: Backend);
        var bound = 1 / Math.Sqrt(64);
        foreach (var parameter in linear.Parameters())
        {
            var values = parameter.ToArray();
            Assert.That(values.Max(Math.Abs), Is.LessThanOrEqualTo(bound).And.GreaterThan(0.85 * bound),
                $"{parameter.Name} is uniform in ±1/√in");
        }
        Assert.That(linear.Weight.ToArray().Average(value => (double)value * value),
            Is.EqualTo(bound * bound / 3).Within(5).Percent, "variance of a uniform number");
        var norm = new LayerNorm(5, backend: Backend);
        Assert.That(norm.Weight.ToArray(), Is.All.EqualTo(1));
        Assert.That(norm.Bias.ToArray(), Is.All.EqualTo(0));
        var embedding = new Embedding(200, 30, new RandomStream(3), standardDeviation: 0.02f, Backend);
        Assert.That(Math.Sqrt(embedding.Weight.ToArray().Average(value => (double)value * value)),
            Is.EqualTo(0.02).Within(5).Percent);
    }

    [Test]
    public void Dropout_acts_in_training_only_and_draws_a_new_mask_each_time()
    {
        using var scope = new TensorScope();
        var dropout = new Dropout(0.5f, new RandomStream(1));
        using var x = Values.Leaf(Backend, 1, new Shape(10, 30), requiresGradient: false);
        Assert.That(dropout.Forward(x), Is.SameAs(x), "evaluation");
        dropout.Train();
        var first = dropout.Forward(x).ToArray();
        Assert.That(first.Count(value => value == 0) / 300.0, Is.EqualTo(0.5).Within(0.12));
        Assert.That(dropout.Forward(x).ToArray(), Is.Not.EqualTo(first));
        Assert.That(() => new Dropout(1, new RandomStream(1)), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Every_layer_passes_the_gradient_check()
    {
        using var x = Values.Leaf(Backend, 5, new Shape(4, 6));
        Layer[] layers = [new Linear(6, 3, new RandomStream(2), backend: Backend), new LayerNorm(6, backend: Backend),
            new Sequential(new Linear(6, 5, new RandomStream(2), backend: Backend),
                new LayerNorm(5, backend: Backend))];
        foreach (var layer in layers)
        {
            var report = GradientCheck.Run(layer, x);
            Assert.That(report.Passed, Is.True, $"{layer}\n{report}");
        }
    }
}
