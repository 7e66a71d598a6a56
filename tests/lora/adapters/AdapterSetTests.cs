using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Several adapters on one base: which computes, which trains, and that none disturbs another.
/// </summary>
public sealed class AdapterSetTests
{
    private static readonly LoRASettings Settings = new(2, 6);

    [Test]
    public void Switching_gives_each_adapters_logits_and_the_bases_bit_for_bit()
    {
        var model = new Classifier(new RandomStream(1));
        using var scope = new TensorScope();
        var x = LoRAAdapterTests.Input();
        var ofBase = model.Forward(x).Bits();
        var set = new AdapterSet();
        set.Add("first", () => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(2),
            ["pre_classifier", "classifier"]));
        set.Add("second", () => LoRAAdapter.Attach(model, new LoRASettings(3, 2), ["q_lin", "v_lin"],
            new RandomStream(3)));
        Assert.That((set.Active, string.Join(' ', set.Names)), Is.EqualTo(((string?)null, "first second")));
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(ofBase), "adding changes nothing");

        var logits = new Dictionary<string, int[]>();
        foreach (var name in set.Names)
        {
            set.Activate(name);
            LoRAAdapterTests.Train(model, new RandomStream(4));
            logits[name] = model.Forward(x).Bits();
            Assert.That(logits[name], Is.Not.EqualTo(ofBase));
        }
        foreach (var name in (string[])["first", "second", "second", "first"])
        {
            set.Activate(name);
            Assert.That(model.Forward(x).Bits(), Is.EqualTo(logits[name]), name);
        }
        set["first"].Merge();
        set.Activate("second");
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(logits["second"]), "a merged adapter gives W back");
        set.Disable();
        Assert.That(model.Forward(x).Bits(), Is.EqualTo(ofBase));
        Assert.That(model.Parameters().Select(parameter => parameter.IsTrainable), Has.All.True,
            "the base is as it was");
    }

    [Test]
    public void The_training_state_belongs_to_the_adapter_and_not_to_the_turn()
    {
        var model = new Classifier(new RandomStream(1));
        var set = new AdapterSet();
        set.Add("a", () => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(2), ["classifier"]));
        set.Add("b", () => LoRAAdapter.Attach(model, Settings, ["v_lin"], new RandomStream(3)));
        long lora = 2 * (6 + 6), head = 6 * 2 + 2;
        Assert.That(set.States.Select(state => (state.OwnParameters, state.TrainableParameters)),
            Is.EqualTo(new[] { (lora + head, lora + head), (lora, lora) }));

        set["a"].SetTrainable(false);
        set.Activate("a");
        Assert.That(model.TrainableParameters(), Is.Empty);
        set.Activate("b");
        Assert.That(model.TrainableParameters().Sum(parameter => parameter.Shape.Count), Is.EqualTo(lora),
            "only the active adapter is in the model");
        set.Activate("a");
        foreach (var (path, parameter) in model.NamedParameters().Where(entry => entry.Path == "classifier.bias"))
        {
            parameter.IsTrainable = true;
        }
        set.Activate("b");
        set.Activate("a");
        Assert.That(model.NamedParameters().Where(entry => entry.Parameter.IsTrainable).Select(entry => entry.Path),
            Is.EqualTo(new[] { "classifier.bias" }), "what is trained of the head survives a turn");
        Assert.That(set.ToString(),
            Does.Contain("  base  frozen").And.Contain("* a     1 layers, rank 2, s = 3; 38 parameters, 2 of them "
                + "trainable").And.Contain("  b     1 layers, rank 2, s = 3; 24 parameters, 24 of them trainable"));
    }

    [Test]
    public void Training_one_adapter_leaves_the_others_bits_alone()
    {
        var model = new Classifier(new RandomStream(1));
        var set = new AdapterSet();
        set.Add("a", () => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(2), ["classifier"]));
        set.Add("b", () => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(3), ["classifier"]));
        using var scope = new TensorScope();
        set.Activate("a");
        LoRAAdapterTests.Train(model, new RandomStream(4));
        var before = model.Forward(LoRAAdapterTests.Input()).Bits();
        set.Activate("b");
        LoRAAdapterTests.Train(model, new RandomStream(5));
        set.Activate("a");
        Assert.That(model.Forward(LoRAAdapterTests.Input()).Bits(), Is.EqualTo(before));
    }

    [Test]
    public void Mistakes_are_named_and_leave_the_active_adapter_in_place()
    {
        var model = new Classifier(new RandomStream(1));
        var set = new AdapterSet();
        var first = set.Add("a", () => LoRAAdapter.Attach(model, Settings, ["q_lin"], new RandomStream(2)));
        set.Activate("a");
        Assert.That(() => set.Add("a", () => first),
            Throws.TypeOf<InputException>().With.Message.Contains("another one has it"));
        Assert.That(() => set.Add("base", () => first),
            Throws.TypeOf<InputException>().With.Message.Contains("it means the model without any"));
        Assert.That(() => set.Activate("c"),
            Throws.TypeOf<InputException>().With.Message.Contains("There is no adapter 'c'; the adapters are a."));
        Assert.That(() => set.Add("b", () => LoRAAdapter.Attach(model, Settings, ["nothing"], new RandomStream(2))),
            Throws.TypeOf<InputException>());
        Assert.That((set.Active, first.IsAttached), Is.EqualTo(("a", true)));
        Assert.That(set.Remove("a").IsAttached, Is.False);
        Assert.That(set.Names, Is.Empty);
    }

    [Test]
    public void Two_tasks_with_different_classes_share_one_encoder_and_each_loads_alone_again()
    {
        using var folder = new TemporaryFolder();
        var mood = TinyDistilBert.Create();                                  // three classes
        var topic = mood.WithHead(["plot", "actors", "music", "sound"], seed: 5);
        Assert.That(Encoder(topic).Zip(Encoder(mood)).All(pair => ReferenceEquals(pair.First, pair.Second)),
            "the weights exist once");
        var set = new AdapterSet();
        ModulePattern[] head = ["pre_classifier", "classifier"];
        set.Add("mood", () => LoRAAdapter.Attach(mood, Settings, ["q_lin", "v_lin"], new RandomStream(2), head));
        set.Add("topic", () => LoRAAdapter.Attach(topic, new LoRASettings(3, 2), ["q_lin", "ffn.lin1"],
            new RandomStream(3), head));
        var logits = new Dictionary<string, float[]>();
        foreach (var (name, model) in new[] { ("mood", mood), ("topic", topic) })
        {
            set.Activate(name);
            Train(model);
            logits[name] = Logits(model);
            PeftAdapter.Save(folder.File(name), set[name]);
        }
        set.Activate("mood");
        Assert.That(Logits(mood), Is.EqualTo(logits["mood"]));

        var fresh = TinyDistilBert.Create();
        PeftAdapter.Load(folder.File("mood"), fresh);
        Assert.That(Logits(fresh), Is.EqualTo(logits["mood"]));
        var other = TinyDistilBert.Create().WithHead(["1", "2", "3", "4"]);
        PeftAdapter.Load(folder.File("topic"), other);
        Assert.That(Logits(other), Is.EqualTo(logits["topic"]));
        Assert.That(() => PeftAdapter.Load(folder.File("topic"), TinyDistilBert.Create()),
            Throws.TypeOf<InputException>().With.Message.Contains("classifier.bias' F32 [4]: expected [3]"));
    }

    private static IEnumerable<Parameter> Encoder(Module model) =>
        model.NamedParameters().Where(entry => entry.Path.StartsWith("distilbert.", StringComparison.Ordinal))
        .Select(entry => entry.Parameter);

    private static float[] Logits(EncoderForSequenceClassification model) =>
        Forward.Logits(model, TinyDistilBert.Texts);

    private static void Train(EncoderForSequenceClassification model)
    {
        using var optimizer = new AdamW(model.TrainableParameters(), 0.02f);
        using var tokens = PackedTokens.From(TinyDistilBert.Texts, model.Backend);
        using var labels = new Indices(TinyDistilBert.Labels);
        model.Train();
        for (var step = 0; step < 4; step++)
        {
            using var scope = new TensorScope();
            model.Forward(tokens).CrossEntropy(labels).Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }
        model.Evaluate();
    }
}
