using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Which layers an adapter_config.json means, on DistilBERT's module paths with three blocks.
/// </summary>
[Parallelizable]
public sealed class PeftTargetsTests
{
    private static readonly string[] Attention = ["q_lin", "k_lin", "v_lin", "out_lin"];

    [TestCase("""["q_lin"]""", "", "0.q 1.q 2.q")]
    [TestCase("""["q_lin", "v_lin"]""", "", "0.q 0.v 1.q 1.v 2.q 2.v")]
    [TestCase("""["attention.v_lin"]""", "", "0.v 1.v 2.v")]
    [TestCase("""["distilbert.transformer.layer.1.attention.v_lin"]""", "", "1.v")]
    [TestCase("\".*layer\\\\.[02].*(q|out)_lin\"", "", "0.q 0.out 2.q 2.out")]
    [TestCase("""["q_lin"]""", ""","layers_to_transform":[0,2]""", "0.q 2.q")]
    [TestCase("""["q_lin"]""", ""","layers_to_transform":1""", "1.q")]
    [TestCase("""["q_lin"]""", ""","layers_to_transform":[]""", "0.q 1.q 2.q")]
    [TestCase("""["q_lin"]""", ""","layers_to_transform":[1],"layers_pattern":"layer" """, "1.q")]
    [TestCase("""["q_lin"]""", ""","layers_to_transform":[1],"layers_pattern":["h","lay.r"]""", "1.q")]
    [TestCase("""["v_lin","distilbert.transformer.layer.0.attention.q_lin"]""", ""","layers_to_transform":[2]""",
        "0.q 2.v", Description = "a whole path counts in any block")]
    [TestCase("""["q_lin","k_lin"]""", ""","exclude_modules":["k_lin"]""", "0.q 1.q 2.q")]
    [TestCase("""["q_lin"]""", ""","exclude_modules":["distilbert.transformer.layer.1.attention.q_lin"]""", "0.q 2.q")]
    [TestCase("""["q_lin"]""", ""","exclude_modules":".*layer\\.(0|1)\\..*" """, "2.q")]
    [TestCase("\"all-linear\"", ""","exclude_modules":"pre_classifier|classifier|.*\\.(k|v|out)_lin" """,
        "0.q 1.q 2.q")]
    public void The_layers_are_those_that_PEFT_adapts(string targets, string more, string expected) =>
        Assert.That(Plan($$"""{"peft_type":"LORA","target_modules":{{targets}}{{more}}}""").Paths,
            Is.EqualTo(expected.Split(' ').Select(Path)));

    [TestCase("ALL-linear", "null")]
    [TestCase("all-linear", "null")]
    public void All_linear_is_every_linear_layer_where_there_is_no_task(string all, string task) =>
        Assert.That(Plan($$"""{"peft_type":"LORA","target_modules":"{{all}}","task_type":{{task}}}""").Paths,
            Is.EqualTo(Enumerable.Range(0, 3)
                .SelectMany(i => Attention.Select(name => $"distilbert.transformer.layer.{i}.attention.{name}"))
                .Concat(["pre_classifier", "classifier"])));

    [Test]
    public void All_linear_leaves_the_head_of_a_task_to_be_trained_whole()
    {
        var (paths, plan, _) = Plan("""{"peft_type":"LORA","target_modules":"all-linear","task_type":"SEQ_CLS"}""");
        Assert.That(paths, Has.Length.EqualTo(12).And.None.Contains("classifier"));
        Assert.That(plan.ModulesToSave.Select(kept => kept.Path), Is.EqualTo(new[] { "pre_classifier", "classifier" }));
    }

    [Test]
    public void A_target_that_is_saved_whole_or_excluded_is_passed_over_and_said()
    {
        var (paths, _, warnings) = Plan("""
            {"peft_type":"LORA","target_modules":["q_lin","k_lin","classifier"],"task_type":"SEQ_CLS",
             "exclude_modules":["k_lin","nothing"]}
            """);
        Assert.That(paths, Is.EqualTo("0.q 1.q 2.q".Split(' ').Select(Path)));
        Assert.That(warnings, Has.One.Contains("the target 'k_lin'").And.One.Contains("the target 'classifier'").And.One
            .Contains("'nothing', which means no linear layer"));
    }

    [TestCase("""["q_lin"],"exclude_modules":["q_lin"]""", "names no layer that is neither excluded")]
    [TestCase("""["q_lin"],"layers_to_transform":[3]""", "the target 'q_lin in block 3' meets no layer")]
    [TestCase("""["q_lin"],"layers_to_transform":[0],"layers_pattern":"blocks" """, "meets no layer")]
    [TestCase("""["q_lin"],"layers_to_transform":[0],"layers_pattern":"(" """, "is no regular expression")]
    [TestCase("\"((\"", "is no regular expression")]
    [TestCase("\"(((.+)+)+)+z\"", "takes more than 1 s")]
    [TestCase("""["query"]""", "the target 'query' meets no layer")]
    [TestCase("""["q_lin"],"modules_to_save":["pooler"]""",
        "modules_to_save names 'pooler', which the model does not have")]
    public void What_means_nothing_is_refused_with_the_files_name(string targets, string message) =>
        Assert.That(() => Plan($$"""{"peft_type":"LORA","target_modules":{{targets}}}"""),
            Throws.TypeOf<InputException>().With.Message.Contains(message).And.Message.Contains("adapter_config.json"));

    private static string Path(string shortened) =>
        shortened.Split('.') is [var block, var name]
        ? $"distilbert.transformer.layer.{block}.attention.{name}_lin" : throw new ArgumentException(shortened);

    private static (string[] Paths, LoraScratch.Lora.LoRAPlan Plan, IReadOnlyList<string> Warnings) Plan(string json)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("adapter_config.json", json);
        var targets = new PeftTargets(path, PeftConfig.Read(path),
            (Module)Models.DistilBert(new RandomStream(1), layers: 3, width: 2));
        var plan = targets.Plan();
        return ([.. plan.Layers.Select(layer => layer.Path)], plan, targets.Warnings);
    }
}
