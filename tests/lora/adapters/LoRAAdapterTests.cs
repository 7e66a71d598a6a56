using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>Attaching, detaching, and taking turns.</summary>
public sealed class LoRAAdapterTests
{
    private static readonly LoRASettings Settings = new(2, 6);

    [Test]
    public void Attaching_freezes_the_base_and_trains_the_adapter_and_the_head()
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, Settings, ["q_lin", "v_lin"], new RandomStream(2),
            modulesToSave: ["pre_classifier", "classifier"]);
        Assert.That(model.NamedParameters().Where(entry => entry.Parameter.IsTrainable).Select(entry => entry.Path),
            Is.EqualTo(new[]
        {
            "block.q_lin.lora.A", "block.q_lin.lora.B", "block.v_lin.lora.A", "block.v_lin.lora.B",
            "pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias",
        }));
        Assert.That(adapter.Plan.TrainableParameters,
            Is.EqualTo(model.TrainableParameters().Sum(parameter => parameter.Shape.Count)));
        Assert.That(adapter.Model, Is.SameAs(model));
    }

    [Test]
    public void A_fresh_adapter_leaves_the_outputs_as_they_were()
    {
        var model = new Classifier(new RandomStream(1));
        using var scope = new TensorScope();
        var x = Input();
        var before = model.Forward(x).Bits();
        LoRAAdapter.Attach(model, Settings, [ModulePattern.AllLinear], new RandomStream(2));
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(before));
    }

    [Test]
    public void The_new_layers_take_over_the_training_mode([Values] bool training)
    {
        var model = new Classifier(new RandomStream(1));
        model.Train(training);
        var adapter = LoRAAdapter.Attach(model, Settings with { Dropout = 0.1f }, ["q_lin"], new RandomStream(2));
        Assert.That(adapter.Layers[0].Layer.NamedModules().Select(entry => entry.Module.IsTraining),
            Has.All.EqualTo(training));
    }

    [Test]
    public void Detaching_restores_the_very_same_layers_and_their_trainability()
    {
        var model = new Classifier(new RandomStream(1));
        model.NamedParameters().Single(entry => entry.Path == "classifier.bias").Parameter.IsTrainable = false;
        var (modules, states) = (model.NamedModules().ToList(), Trainability());
        var bits = model.NamedParameters().Select(entry => entry.Parameter.Bits()).ToList();
        var adapter = LoRAAdapter.Attach(model, Settings, ["q_lin", "classifier"], new RandomStream(2),
            ["pre_classifier"]);
        Train(model, new RandomStream(3));

        adapter.Detach();

        Assert.That(model.NamedModules(), Is.EqualTo(modules), "the same objects under the same paths");
        Assert.That(Trainability(), Is.EqualTo(states));
        Assert.That(model.NamedParameters().Select(entry => entry.Parameter.Bits()), Is.EqualTo(bits), "head included");
        Assert.That(adapter.IsAttached, Is.False);
        Assert.That(adapter.Detach, Throws.InvalidOperationException.With.Message.Contains("not attached"));

        List<(string, bool)> Trainability() =>
            [.. model.NamedParameters().Select(entry => (entry.Path, entry.Parameter.IsTrainable))];
    }

    [Test]
    public void Attached_again_an_adapter_computes_what_it_did()
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, Settings, ["q_lin", "v_lin"], new RandomStream(2), ["classifier"]);
        Train(model, new RandomStream(3));
        using var scope = new TensorScope();
        var x = Input();
        var trained = model.Forward(x).Bits();
        adapter.Detach();
        Assert.That(model.Forward(x).Bits(), Is.Not.EqualTo(trained));
        adapter.Attach();
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(trained));
        Assert.That(adapter.Attach, Throws.InvalidOperationException.With.Message.Contains("attached already"));
    }

    [Test]
    public void Two_adapters_take_turns_on_one_base_without_copying_W()
    {
        var model = new Classifier(new RandomStream(1));
        var weights = model.Parameters().ToList();
        var (buffers, bits) = (weights.ConvertAll(weight => weight.Data), weights.ConvertAll(weight => weight.Bits()));
        using var scope = new TensorScope();
        var x = Input();

        var first = LoRAAdapter.Attach(model, Settings, ["q_lin", "v_lin"], new RandomStream(2), ["classifier"]);
        Train(model, new RandomStream(3));
        var outputOfFirst = model.Forward(x).Bits();
        first.Detach();
        var second = LoRAAdapter.Attach(model, new LoRASettings(3, 3), ["v_lin", "k_lin"], new RandomStream(4),
            ["classifier"]);
        Train(model, new RandomStream(5));
        var outputOfSecond = model.Forward(x).Bits();
        Assert.That(outputOfSecond, Is.Not.EqualTo(outputOfFirst));
        Assert.That(first.Attach,
            Throws.InvalidOperationException.With.Message.Contains("Detach the other adapter first"));

        second.Detach();
        first.Attach();
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(outputOfFirst), "its head came back with it");
        first.Detach();
        second.Attach();
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(outputOfSecond));
        second.Detach();
        Assert.That(weights.ConvertAll(weight => weight.Data), Is.EqualTo(buffers), "the same memory all the time");
        Assert.That(weights.ConvertAll(weight => weight.Bits()), Is.EqualTo(bits), "and the same bits");
    }

    [Test]
    public void Adapters_are_not_nested()
    {
        var model = new Classifier(new RandomStream(1));
        LoRAAdapter.Attach(model, Settings, ["q_lin", "v_lin"], new RandomStream(2));
        Assert.That(() => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(2)),
            Throws.TypeOf<InputException>().With.Message.EqualTo("LoRA: block.q_lin (and 1 more) has a LoRA layer "
                + "already; adapters are not nested. Detach the adapter first."));
        var plan = LoRAPlan.For(new Classifier(new RandomStream(1)), Settings, ["q_lin"]);
        LoRAAdapter.Attach(plan, new RandomStream(2));
        Assert.That(() => LoRAAdapter.Attach(plan, new RandomStream(2)), Throws.TypeOf<InputException>(),
            "not through an old plan either");
    }

    [Test]
    public void A_plan_that_fails_leaves_the_model_as_it_was()
    {
        var model = new Classifier(new RandomStream(1));
        var modules = model.NamedModules().ToList();
        Assert.That(() => LoRAAdapter.Attach(model, Settings, ["q_lin", "nothing"], new RandomStream(2)),
            Throws.TypeOf<InputException>());
        Assert.That(model.NamedModules(), Is.EqualTo(modules));
        Assert.That(model.Parameters().Select(parameter => parameter.IsTrainable), Has.All.True);
    }

    [Test]
    public void Merged_adapters_come_off_cleanly_or_stay_in_the_base()
    {
        var model = new Classifier(new RandomStream(1));
        var q = model.NamedModules().Single(entry => entry.Path == "block.q_lin").Module;
        var bits = model.NamedParameters().Select(entry => entry.Parameter.Bits()).ToList();
        var adapter = LoRAAdapter.Attach(model, Settings, ["q_lin", "v_lin"], new RandomStream(2), ["classifier"]);
        Train(model, new RandomStream(3));
        using var scope = new TensorScope();
        var x = Input();
        var unmerged = model.Forward(x).Doubles();

        adapter.Merge();
        Assert.That(model.Forward(x).Doubles(), Is.EqualTo(unmerged).Within(1e-5));
        adapter.Unmerge();
        Assert.That(model.Forward(x).Doubles(), Is.EqualTo(unmerged));
        adapter.Merge();
        adapter.Detach();
        Assert.That(model.NamedParameters().Select(entry => entry.Parameter.Bits()), Is.EqualTo(bits),
            "detaching unmerges");

        adapter.Attach();
        adapter.MergeAndDetach();
        Assert.That(model.NamedModules().Single(entry => entry.Path == "block.q_lin").Module, Is.SameAs(q));
        Assert.That(model.Forward(x).Doubles(), Is.EqualTo(unmerged).Within(1e-5),
            "the update and the head are part of the base now");
        Assert.That(model.Parameters().Select(parameter => parameter.IsTrainable), Has.All.True);
    }

    [Test]
    public void A_root_that_itself_is_a_Linear_is_returned_replaced()
    {
        var root = new Linear(4, 3, new RandomStream(1));
        var replaced = root.ReplaceLinearWithLoRA(rank: 2, alpha: 4, new RandomStream(2));
        Assert.That(replaced, Is.TypeOf<LinearWithLoRA>().With.Property(nameof(LayerWithLoRA.Base)).SameAs(root));

        var model = new Sequential(new Linear(4, 3, new RandomStream(1)),
            new Sequential(new Relu(), new Linear(3, 2, new RandomStream(1))));
        Assert.That(model.ReplaceLinearWithLoRA(rank: 2, alpha: 4, new RandomStream(2)), Is.SameAs(model));
        Assert.That(model.NamedModules().Where(entry => entry.Module is LinearWithLoRA).Select(entry => entry.Path),
            Is.EqualTo(new[] { "0", "1.1" }), "recursively");
        Assert.That(() => model.ReplaceLinearWithLoRA(rank: 2, alpha: 4, new RandomStream(2)),
            Throws.TypeOf<InputException>().With.Message.Contains("has a LoRA layer already"));
        Assert.That(() => new Sequential(new Relu()).ReplaceLinearWithLoRA(2, 4, new RandomStream(2)),
            Throws.TypeOf<InputException>().With.Message.Contains("the model has no Linear layer"));
    }

    [Test]
    public void A_root_adapter_is_detached_and_attached_again()
    {
        var root = new Linear(4, 3, new RandomStream(1));
        var adapter = LoRAAdapter.Attach(root, Settings, [ModulePattern.AllLinear], new RandomStream(2));
        Assert.That(adapter.Model, Is.SameAs(adapter.Layers[0].Layer));
        adapter.Detach();
        Assert.That(adapter.Model, Is.SameAs(root));
        adapter.Attach();
        Assert.That(adapter.Model, Is.TypeOf<LinearWithLoRA>());
    }

    internal static Tensor Input() => Tensor.From(new RandomStream(77).Normal(30, 1), new Shape(5, 6));

    /// <summary>Some steps towards random labels.</summary>
    internal static void Train(Layer model, RandomStream random)
    {
        using var optimizer = new AdamW(model.TrainableParameters(), 0.02f);
        model.Train();
        for (var step = 0; step < 6; step++)
        {
            using var scope = new TensorScope();
            using var x = Tensor.From(random.Normal(48, 1), new Shape(8, 6));
            using var target = Tensor.From(random.Normal(16, 1), new Shape(8, 2));
            model.Forward(x).MeanSquaredError(target).Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }
        model.Evaluate();
    }
}
