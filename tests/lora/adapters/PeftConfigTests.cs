using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Tests.Lora;

/// <summary>adapter_config.json, key by key.</summary>
public sealed class PeftConfigTests
{
    [Test]
    public void The_documented_minimum_has_PEFTs_defaults()
    {
        var config = Read("""{"peft_type":"LORA","target_modules":["q_lin"]}""");
        Assert.That((config.Rank, config.Alpha, config.Dropout, config.UseRsLora, config.TaskType),
            Is.EqualTo((8, 8.0, 0f, false, (string?)null)));
        Assert.That(config.Settings.Scaling, Is.EqualTo(1f));
        Assert.That(config.Warnings, Is.Empty);
    }

    [Test]
    public void Null_means_the_default()
    {
        var config = Read("""
            {"peft_type":"LORA","target_modules":["q_lin"],"r":null,"lora_alpha":null,"bias":null,"use_rslora":null,
             "rank_pattern":null,"modules_to_save":null}
            """);
        Assert.That((config.Rank, config.Alpha), Is.EqualTo((8, 8.0)));
    }

    [Test]
    public void Rank_stabilised_scaling_and_patterns_are_honoured()
    {
        var config = Read("""
            {"peft_type":"LORA","target_modules":".*(q|v)_lin","r":4,"lora_alpha":6,"use_rslora":true,
             "rank_pattern":{"q_lin":16},"alpha_pattern":{"v_lin":2.5}}
            """);
        Assert.That(config.Settings, Has.Property("ScalingRule").EqualTo(LoRAScaling.AlphaOverSqrtRank));
        Assert.That(config.Settings.Scaling, Is.EqualTo(3f));
        Assert.That(config.RankPattern["q_lin"], Is.EqualTo(16));
        Assert.That(config.AlphaPattern["v_lin"], Is.EqualTo(2.5));
        Assert.That(config.Targets[0].Matches("a.q_lin"));
    }

    [TestCase("use_dora", "true", "DoRA")]
    [TestCase("target_parameters", "[\"experts\"]", "no linear layer")]
    [TestCase("layer_replication", "[[0, 4]]", "repeated layers")]
    [TestCase("trainable_token_indices", "[1]", "token embeddings")]
    [TestCase("init_lora_weights", "\"pissa_niter_4\"", "base weights")]
    [TestCase("init_lora_weights", "\"olora\"", "base weights")]
    [TestCase("init_lora_weights", "\"PiSSA\"", "base weights")]
    [TestCase("init_lora_weights", "\"magic\"", "\"gaussian\"")]
    [TestCase("bias", "\"some\"", "\"lora_only\" was expected")]
    [TestCase("layers_to_transform", "[\"one\"]", "the number of a block")]
    [TestCase("layers_to_transform", "-1", "the number of a block")]
    [TestCase("lora_dropout", "1", "a probability in [0, 1)")]
    [TestCase("megatron_config", "{\"a\":1}", "Megatron")]
    [TestCase("alora_invocation_tokens", "[3]", "switched on by tokens")]
    [TestCase("arrow_config", "{\"top_k\":2}", "routing")]
    public void A_setting_that_would_change_the_result_is_refused_by_name(string key, string value, string meaning) =>
        Assert.That(() => Read($$"""{"peft_type":"LORA","target_modules":["q_lin"],"{{key}}":{{value}}}"""),
            Throws.TypeOf<InputException>().With.Message.Contains(key).And.Message.Contains(meaning));

    [TestCase("""{"target_modules":["q_lin"]}""", "peft_type is missing")]
    [TestCase("""{"peft_type":"IA3","target_modules":["q_lin"]}""", "peft_type is \"IA3\"; only \"LORA\"")]
    [TestCase("""{"peft_type":"LORA"}""", "target_modules is missing or empty")]
    [TestCase("""{"peft_type":"LORA","target_modules":[]}""", "target_modules is missing or empty")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"task_type":"CHESS"}""",
        "task_type is \"CHESS\"; the types are SEQ_CLS")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"r":0}""", "r is 0; a whole number of at least 1")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"r":2.5}""", "r is 2.5")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"lora_alpha":"16"}""",
        "lora_alpha is \"16\"; a number")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"use_rslora":1}""", "use_rslora is 1; true or false")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"modules_to_save":["a",1]}""",
        "a list of module names")]
    [TestCase("""{"peft_type":"LORA","target_modules":["q_lin"],"rank_pattern":{"q":-1}}""",
        "rank_pattern[\"q\"] is -1")]
    [TestCase("""{"peft_type":"LORA","peft_type":"LORA","target_modules":["q_lin"]}""", "not valid JSON")]
    [TestCase("""{"peft_type":"LORA",""", "not valid JSON")]
    [TestCase("[]", "a JSON object is expected")]
    public void A_malformed_config_is_refused_with_its_path_and_key(string json, string message) =>
        Assert.That(() => Read(json),
            Throws.TypeOf<InputException>().With.Message.Contains(message).And.Message.Contains("adapter_config.json"));

    [Test]
    public void All_settings_that_cannot_be_used_are_listed()
    {
        var message = Assert.Throws<InputException>(() =>
            Read("""{"peft_type":"IA3","r":0,"use_dora":true,"bias":"some"}"""))!.Message;
        Assert.That(message, Does.Contain("5 settings cannot be used").And.Contain("peft_type").And
            .Contain("r is 0").And.Contain("use_dora").And.Contain("bias is").And.Contain("target_modules is missing"));
    }

    [Test]
    public void Blocks_go_with_a_list_of_targets_only()
    {
        Assert.That(() => Read("""{"peft_type":"LORA","target_modules":".*q_lin","layers_to_transform":[0]}"""),
            Throws.TypeOf<InputException>().With.Message.Contains("let the expression name the blocks"));
        Assert.That(Read("""{"peft_type":"LORA","target_modules":["q_lin"],"layers_pattern":"layer"}""").Warnings,
            Has.One.Contains("layers_pattern has no effect"));
        Assert.That(Read("""{"peft_type":"LORA","target_modules":["q_lin"],"layers_to_transform":2}""").Blocks,
            Is.EqualTo(new[] { 2 }));
    }

    [Test]
    public void A_weight_stored_the_other_way_round_makes_no_difference_to_a_Linear_and_that_is_said() =>
        Assert.That(Read("""{"peft_type":"LORA","target_modules":["q_lin"],"fan_in_fan_out":true}""").Warnings,
            Has.One.Contains("fan_in_fan_out has no effect"));

    [Test]
    public void Unknown_keys_are_reported_and_known_irrelevant_ones_are_not()
    {
        var config = Read("""
            {"peft_type":"LORA","target_modules":["q_lin"],"future_option":[1,2],"peft_version":"0.17.1",
             "megatron_core":"megatron.core","loftq_config":{}}
            """);
        Assert.That(config.Warnings, Has.Count.EqualTo(1));
        Assert.That(config.Warnings[0], Does.Contain("'future_option' ([1,2]) is unknown"));
    }

    [TestCase("null")]
    [TestCase("false")]
    [TestCase("[]")]
    [TestCase("{}")]
    public void An_unknown_key_that_asks_for_nothing_is_not_worth_a_word(string value) =>
        Assert.That(Read($$"""{"peft_type":"LORA","target_modules":["q_lin"],"future_option":{{value}}}""").Warnings,
            Is.Empty);

    [TestCase("Gaussian")]
    [TestCase("EVA")]
    [TestCase("orthogonal")]
    public void Initial_values_are_named_in_any_case(string name) => Assert.That(() =>
        Read($$"""{"peft_type":"LORA","target_modules":["q_lin"],"init_lora_weights":"{{name}}"}"""), Throws.Nothing);

    [Test]
    public void Long_values_are_not_quoted_whole()
    {
        var text = new string('x', 1_000_000);
        Assert.That(Assert.Throws<InputException>(() => Read($$"""
            {"peft_type":"{{text}}","target_modules":["{{text}}"],"base_model_name_or_path":"{{text}}","r":"{{text}}",
             "rank_pattern":{"{{text}}":0} }
            """))!.Message, Has.Length.LessThan(1500));
    }

    [Test]
    public void A_long_expression_is_not_quoted_whole() =>
        Assert.That(Assert.Throws<InputException>(() => _ =
            Read($$"""{"peft_type":"LORA","target_modules":"({{new string('x', 1_000_000)}}"}""").Targets)!.Message,
            Has.Length.LessThan(600));

    [Test]
    public void The_task_adds_the_modules_that_PEFT_saves_by_itself()
    {
        var config = Read("""
            {"peft_type":"LORA","target_modules":["q_lin"],"task_type":"SEQ_CLS","modules_to_save":["pooler"]}
            """);
        Assert.That(config.SavedModuleEndings, Is.EqualTo(new[] { "pooler", "classifier", "score" }));
    }

    [Test]
    public void Written_and_read_again_a_config_is_the_same()
    {
        var config = new PeftConfig
        {
            Rank = 4,
            Alpha = 0.1 * 3,
            Dropout = 0.05f,
            UseRsLora = true,
            TargetNames = ["a.b", "é\"x"],
            ModulesToSave = ["head"],
            TaskType = "SEQ_CLS",
            BaseModel = "b",
            Revision = "r",
            RankPattern = new Dictionary<string, int> { ["a.b"] = 2 },
            AlphaPattern = new Dictionary<string, double> { ["^a"] = 1.5 },
            ExcludedNames = ["k"],
            Blocks = [0, 3],
            BlockLists = ["layer"],
            Bias = LoRABias.LoRAOnly,
        };
        var read = Read(config.ToJson());
        Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        Assert.That((read.Alpha, read.Dropout, read.TargetNames[1]),
            Is.EqualTo((config.Alpha, config.Dropout, "é\"x")));
    }

    private static PeftConfig Read(string json)
    {
        using var folder = new TemporaryFolder();
        return PeftConfig.Read(folder.Write("adapter_config.json", json));
    }
}
