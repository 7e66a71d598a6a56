using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>What is said before a model is touched.</summary>
public sealed class LoRAPlanTests
{
    private static readonly LoRASettings Settings = new(2, 8);

    [Test]
    public void A_name_means_the_ends_of_paths_after_a_dot()
    {
        var plan = LoRAPlan.For(DistilBert(new RandomStream(1), layers: 2, width: 4), Settings,
            ["q_lin", "layer.1.attention.v_lin"]);
        Assert.That(plan.Layers.Select(layer => layer.Path), Is.EqualTo(new[]
        {
            "distilbert.transformer.layer.0.attention.q_lin", "distilbert.transformer.layer.1.attention.q_lin",
            "distilbert.transformer.layer.1.attention.v_lin",
        }));
        Assert.That(plan.LoRAParameters, Is.EqualTo(3 * 2 * (4 + 4)));
        Assert.That(() => LoRAPlan.For(DistilBert(new RandomStream(1), 1, 4), Settings, ["lin"]),
            Throws.TypeOf<InputException>(), "not any end: 'lin' is no part between dots");
    }

    [Test]
    public void The_parameters_of_the_studios_default_run_come_out()
    {
        var plan = LoRAPlan.For(DistilBert(new RandomStream(1)), new LoRASettings(8, 16, LoRAScaling.Alpha),
            ["q_lin", "v_lin"]);
        Assert.That(plan.TrainableParameters, Is.EqualTo(147_456));
        var withHead = LoRAPlan.For(plan.Model, plan.Settings, ["q_lin", "v_lin"], ["pre_classifier", "classifier"]);
        Assert.That(withHead.TrainableParameters, Is.EqualTo(739_586));
    }

    [Test]
    public void The_plan_prints_what_meets_what()
    {
        var text = LoRAPlan.For(DistilBert(new RandomStream(1), layers: 1, width: 4),
            new LoRASettings(2, 8) { RankPattern = new Dictionary<string, int> { ["v_lin"] = 3 } },
            ["q_lin", "v_lin"], ["classifier"]).ToString();
        Assert.That(text, Is.EqualTo("""
            q_lin → 1 layer
              distilbert.transformer.layer.0.attention.q_lin  16 parameters
                W [4, 4]  A [4, 2]  B [2, 4]
                rank 2, alpha 8, s = alpha-over-rank = 4
            v_lin → 1 layer
              distilbert.transformer.layer.0.attention.v_lin  24 parameters
                W [4, 4]  A [4, 3]  B [3, 4]
                rank 3, alpha 8, s = alpha-over-rank = 2.6667
            stays trainable: classifier, 10 parameters
            trainable: 50 beside 100 frozen parameters (33.333 %), 0.2 KiB
            """));
    }

    [Test]
    public void Layers_that_are_alike_are_one_line_of_the_plan()
    {
        var plan = LoRAPlan.For(DistilBert(new RandomStream(1), layers: 6, width: 4),
            new LoRASettings(2, 8) { RankPattern = new Dictionary<string, int> { ["layer.3.attention.q_lin"] = 3 } },
            ["q_lin"]);
        Assert.That(plan.ToString(), Does.StartWith("""
            q_lin → 6 layers
              distilbert.transformer.layer.{0-2,4-5}.attention.q_lin  16 parameters each
                W [4, 4]  A [4, 2]  B [2, 4]
                rank 2, alpha 8, s = alpha-over-rank = 4
              distilbert.transformer.layer.3.attention.q_lin  24 parameters
            """));
        Assert.That(plan.Table(everyLayer: true), Does.Contain("layer.5.attention.q_lin  16 parameters\n").And.Not
            .Contain("{"));
    }

    [Test]
    public void A_pattern_that_meets_nothing_is_an_error_with_near_misses()
    {
        var model = DistilBert(new RandomStream(1), layers: 2, width: 4);
        Assert.That(() => LoRAPlan.For(model, Settings, ["q_lin", "q_proj"]),
            Throws.TypeOf<InputException>().With.Message.EqualTo(
            "LoRA: the target 'q_proj' meets no layer of the model. Did you mean 'q_lin'? Its Linear layers are "
                + "q_lin (2), k_lin (2), v_lin (2), out_lin (2), pre_classifier, classifier."));
        Assert.That(() => LoRAPlan.For(model, Settings, ["clasifier"]),
            Throws.TypeOf<InputException>().With.Message.Contains("Did you mean 'classifier' or 'pre_classifier'?"));
        Assert.That(() => LoRAPlan.For(model, Settings, ["attention"]),
            Throws.TypeOf<InputException>().With.Message
                .Contains("layer.0.attention, a Node; only linear layers and embeddings"));
        Assert.That(() => LoRAPlan.For(model, Settings, []),
            Throws.TypeOf<InputException>().With.Message.Contains("no targets"));
        Assert.That(() => LoRAPlan.For(model, Settings, ["q_lin"], ["head"]),
            Throws.TypeOf<InputException>().With.Message
                .Contains("'head', which is to stay trainable, meets no module"));
        Assert.That(() => LoRAPlan.For(model,
            Settings with { RankPattern = new Dictionary<string, int> { ["k_lin"] = 4 } }, ["q_lin"]),
            Throws.TypeOf<InputException>().With.Message.Contains("rank pattern 'k_lin' meets none"));
        Assert.That(() => LoRAPlan.For(model,
            Settings with { AlphaPattern = new Dictionary<string, double> { ["q_lim"] = 4 } }, ["q_lin"]),
            Throws.TypeOf<InputException>().With.Message.Contains("alpha pattern 'q_lim' meets none"));
    }

    [Test]
    public void Regular_expressions_match_whole_paths()
    {
        var model = DistilBert(new RandomStream(1), layers: 3, width: 4);
        var plan = LoRAPlan.For(model, Settings, [ModulePattern.Regex(@".*layer\.[12]\..*[qv]_lin")]);
        Assert.That(plan.Layers, Has.Count.EqualTo(4));
        Assert.That(() => LoRAPlan.For(model, Settings, [ModulePattern.Regex("q_lin")]),
            Throws.TypeOf<InputException>(), "a whole path, not a part");
        Assert.That(() => ModulePattern.Regex("("),
            Throws.TypeOf<InputException>().With.Message.Contains("'(' is no regular expression"));
        Assert.That(LoRAPlan.For(model, Settings, [ModulePattern.AllLinear]).Layers, Has.Count.EqualTo(14));
    }

    [Test]
    public void Rank_and_alpha_patterns_hold_for_the_layers_they_name()
    {
        var settings = new LoRASettings(2, 8)
        {
            RankPattern = new Dictionary<string, int> { [@"layer\.1\.attention\.q_lin"] = 4, ["v_lin"] = 3 },
            AlphaPattern = new Dictionary<string, double> { ["q_lin"] = 2 },
        };
        var plan = LoRAPlan.For(DistilBert(new RandomStream(1), layers: 2, width: 4), settings, ["q_lin", "v_lin"]);
        Assert.That(plan.Layers.Select(layer => (layer.Settings.Rank, layer.Settings.Alpha)),
            Is.EqualTo(new[] { (2, 2.0), (3, 8.0), (4, 2.0), (3, 8.0) }));
    }

    [Test]
    public void A_rank_beyond_the_width_is_noted_not_refused()
    {
        var plan = LoRAPlan.For(DistilBert(new RandomStream(1), layers: 1, width: 4), Settings with { Rank = 3 },
            ["classifier", "q_lin"]);
        Assert.That(plan.Warnings, Has.Count.EqualTo(1));
        Assert.That(plan.ToString(), Does.Contain("note: classifier: rank 3 is more than min(in, out) = 2"));
    }

    [Test]
    public void A_module_is_adapted_or_trained_itself_but_not_both() =>
        Assert.That(() => LoRAPlan.For(DistilBert(new RandomStream(1), layers: 1, width: 4), Settings, ["classifier"],
            ["classifier"]),
            Throws.TypeOf<InputException>().With.Message
                .Contains("classifier would be adapted (by 'classifier') and be trained itself"));

    [Test]
    public void One_layer_in_two_places_and_a_place_for_a_Linear_only_are_errors()
    {
        var shared = new Linear(4, 4, new RandomStream(1));
        Assert.That(() => LoRAPlan.For(new Node().With("first", shared).With("second", shared), Settings,
            [ModulePattern.AllLinear]),
            Throws.TypeOf<InputException>().With.Message.Contains("first and second are one and the same layer"));
        Assert.That(() => LoRAPlan.For(new Node().WithFixed("only", shared), Settings, ["only"]),
            Throws.TypeOf<InputException>().With.Message.Contains("takes nothing but a Linear"));
    }

    [TestCase("q_proj", "q_lin", 4)]
    [TestCase("", "abc", 3)]
    [TestCase("kitten", "sitting", 3)]
    [TestCase("same", "same", 0)]
    public void Edit_distances_count_letters(string from, string to, int distance)
    {
        Assert.That(NearMisses.EditDistance(from, to), Is.EqualTo(distance));
        Assert.That(NearMisses.EditDistance(to, from), Is.EqualTo(distance));
    }
}
