namespace LoraScratch.Tests.Cli;

/// <summary>lora explain, on the built-in example and on layers of trained adapters.</summary>
public sealed class ExplainCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare() => task = new TinyTask();

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void Without_options_it_explains_the_example()
    {
        var result = LoraProgram.Succeed("explain");
        Assert.That(result.Output, Does.Contain("Y [3, 6] = X [3, 8]·Wᵀ [8, 6] + b [6] + 2.5 · H [3, 2]·B [2, 6]"));
        Assert.That(result.Output, Does.Contain("dA [8, 2] += X̃ᵀ [8, 3]·dH [3, 2]"));
        Assert.That(result.Output, Does.Contain("never formed").And.Contain("saved for the backward pass"));
        Assert.That(result.Lines.Count(line => line.EndsWith("  agree", StringComparison.Ordinal)), Is.EqualTo(5));
        Assert.That(result.Output, Does.Not.Contain("DISAGREE"));
        Assert.That(result.Lines.Count(line => line.Contains("the steps (", StringComparison.Ordinal)),
            Is.EqualTo(12), "two of the fourteen mistakes concern dX, which no step uses");
        Assert.That(result.Errors, Is.Empty);
        Assert.That(LoraProgram.Succeed("explain").Output, Is.EqualTo(result.Output), "the same every time");
    }

    [Test]
    public void A_layer_of_an_adapter_is_explained_on_a_text_and_on_data()
    {
        var first = LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task.Adapter, "--text",
            "the film was superb");
        Assert.That(first.Output, Does.StartWith("distilbert.transformer.layer.0.attention.q_lin: LoRA of rank 4"));
        Assert.That(first.Output, Does.Contain("never forms its dX").And.Not.Contain("DISAGREE"));
        var second = LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task.Adapter, "--data",
            task.Data, "--layer", "layer.1.attention.v_lin", "--limit", "3");
        Assert.That(second.Output, Does.StartWith("distilbert.transformer.layer.1.attention.v_lin: LoRA"));
        Assert.That(second.Output, Does.Contain("3 texts of").And.Contain("dX is asked for").And.Not
            .Contain("DISAGREE"));
    }

    [Test]
    public void A_layer_of_the_last_block_has_the_rows_of_CLS_that_the_model_computes()
    {
        var file = task["last.html"];
        var query = LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task.Adapter, "--data",
            task.Data, "--layer", "layer.1.attention.q_lin", "--limit", "4", "--html", file);
        Assert.That(query.Output, Does.Contain("computes this layer for that: its row of [CLS]")
            .And.Contain("X [4, 16]").And.Not.Contain("DISAGREE"));
        Assert.That(File.ReadAllText(file), Does.Contain("[CLS]").And.Contain("text 4").And.Not.Contain("[SEP]"));
        var value = LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task.Adapter, "--data",
            task.Data, "--layer", "layer.1.attention.v_lin", "--limit", "4");
        Assert.That(value.Output, Does.Not.Contain("its row of [CLS]"), "every token has a value");
    }

    [Test]
    public void A_quantised_layer_shows_its_pooled_input_its_packed_weight_and_its_merge()
    {
        LoraProgram.Succeed("quantize", "--model", task.Model, "--method", "rtn", "--bits", "4", "--group-size", "16",
            "--out", task["int4"]);
        LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora", "--epochs",
            "1", "--out", task["int4-adapter"], "--threads", "1");
        var output = LoraProgram.Succeed("explain", "--model", task["int4"], "--adapter", task["int4-adapter"],
            "--text", "the plot was awful", "--label", "neg").Output;
        Assert.That(output, Does.Contain("QA-LoRA of rank").And.Contain("·Ŵᵀ").And.Contain("ζ′ = ζ − s·κ·(AB)ᵀ/α"));
        Assert.That(output, Does.Not.Contain("DISAGREE"));
    }

    [Test]
    public void An_adapter_of_word_vectors_alone_has_no_linear_layer_to_explain()
    {
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--targets", "embeddings", "--epochs",
            "1", "--out", task["words"], "--threads", "1");
        Assert.That(LoraProgram.Refuse("explain", "--model", task.Model, "--adapter", task["words"], "--text", "film")
            .Errors, Does.Contain("The adapter adapts no linear layer"));
    }

    [Test]
    public void Bad_input_gets_one_sentence()
    {
        string[] layer = ["explain", "--model", task.Model, "--adapter", task.Adapter];
        (string[] Args, string Message)[] mistakes =
        [
            (["explain", "--text", "film"], "--text is given, but no adapter"),
            ([.. layer], "No text is given"),
            ([.. layer, "--text", " "], "--text is empty; expected a text."),
            ([.. layer, "--text", "film", "--data", task.Data], "Both --text and --data are given"),
            ([.. layer, "--text", "film", "--label", "maybe"], "--label is 'maybe'; the classes of the model are neg"),
            ([.. layer, "--text", "film", "--layer", "q_linn"],
                "--layer is 'q_linn'; the adapter has no such layer. Did you mean "
                    + "distilbert.transformer.layer.0.attention.q_lin"),
            ([.. layer, "--text", "film", "--layer", "q_lin"], "which 2 adapted layers end with"),
            ([.. layer, "--adapter", $"other={task.Adapter}", "--text", "film"], "Choose one with --active"),
        ];
        foreach (var (args, message) in mistakes)
        {
            var result = LoraProgram.Refuse(args);
            Assert.That(result.Errors, Does.Contain(message));
            Assert.That(result.Output, Is.Empty);
            Assert.That(result.Errors.Trim().Split('\n').Count(line => line.StartsWith("error:",
                StringComparison.Ordinal)), Is.EqualTo(1));
        }
    }
}
