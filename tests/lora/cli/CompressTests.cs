using System.Globalization;
using System.Text.Json;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>lora compress, and what the other commands do with the folder that it writes.</summary>
public sealed class CompressTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainAndCompress()
    {
        task = new TinyTask();
        LoraProgram.Succeed("compress", "--model", task.Model, "--rank", "5", "--out", task["small"]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void The_table_has_the_error_of_every_rank_and_the_folder_the_factors_and_the_ranks()
    {
        var result = LoraProgram.Succeed("compress", "--model", task.Model, "--energy", "0.7", "--out", task["energy"],
            "--data", task.Data);
        Assert.That(result.Output,
            Does.Contain("8 layers [16, 16]: from rank 8 on, two factors are no smaller than the weight").And
                .Contain("[32, 16]: from rank 11 on").And.Match(@"accuracy \d+\.\d\d % → \d+\.\d\d %"));
        Assert.That(LoraProgram.Succeed("compress", "--model", task.Model).Output, Does.Not.Contain("all together"),
            "without a choice there is the table alone");

        using var file = SafeTensorsFile.Open(Path.Combine(task["small"], "model.safetensors"));
        const string Query = "distilbert.transformer.layer.0.attention.q_lin";
        Assert.That(file.Tensors.Values.Where(tensor => tensor.Name.StartsWith(Query, StringComparison.Ordinal))
            .Select(tensor => tensor.ToString()), Is.EquivalentTo(new[]
        {
            $"'{Query}.down.weight' F32 [5, 16]", $"'{Query}.up.weight' F32 [16, 5]", $"'{Query}.up.bias' F32 [16]",
        }));
        var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["small"], "config.json"))).RootElement;
        Assert.That(config.GetProperty("model_type").GetString(), Is.EqualTo("lorascratch-distilbert"),
            "no other program must take the folder for a whole model");
        Assert.That(config.GetProperty("low_rank").GetProperty(Query).GetInt32(), Is.EqualTo(5));
        Assert.That(config.GetProperty("low_rank").EnumerateObject().Count(), Is.EqualTo(12));
    }

    [Test]
    public void A_budget_of_bytes_is_kept_by_the_file()
    {
        var whole = Bytes(task.Model);
        var result = LoraProgram.Succeed("compress", "--model", task.Model, "--bytes",
            (whole - 6000).ToString(CultureInfo.InvariantCulture), "--out", task["bytes"]);
        Assert.That(Bytes(task["bytes"]), Is.LessThanOrEqualTo(whole - 6000).And.GreaterThan(whole - 6000 - 48 * 4),
            "and used but for less than one more rank");
        Assert.That(result.Output, Does.Contain("weights ").And.Contain("all together: error/|W| 0."));
    }

    [Test]
    public void Every_command_takes_the_compressed_model()
    {
        Assert.That(LoraProgram.Succeed("predict", "--model", task["small"], "--text", "the film was superb").Output,
            Does.Match("neg|pos"));
        Assert.That(LoraProgram.Succeed("inspect", task["small"]).Output,
            Does.Contain("LowRankLinear").And.Contain("q_lin.down.weight").And.Contain("--method lora --rank 8"));
        var before = Accuracy(task["small"]);
        LoraProgram.Succeed("train", "--model", task["small"], "--data", task.Data, "--out", task["again"], "--method",
            "full", "--lr", "3e-3", "--epochs", "2", "--threads", "1");
        Assert.That(Accuracy(task["again"]), Is.GreaterThanOrEqualTo(before), "factors can be trained");
        Assert.That(Ranks(task["again"]), Is.EqualTo(Ranks(task["small"])));

        LoraProgram.Succeed("train", "--model", task["small"], "--data", task.Data, "--out", task["adapter"], "--rank",
            "2", "--max-steps", "8", "--lr", "1e-2", "--threads", "1");
        LoraProgram.Succeed("merge", "--model", task["small"], "--adapter", task["adapter"], "--out", task["merged"]);
        Assert.That(Logits("--model", task["merged"]),
            Is.EqualTo(Logits("--model", task["small"], "--adapter", task["adapter"])).Within(1e-4f),
                "LoRA on both factors merges into both factors");
        Assert.That(Logits("--model", task["merged"]), Is.Not.EqualTo(Logits("--model", task["small"])).Within(1e-4f));

        var again = LoraProgram.Refuse("compress", "--model", task["small"], "--rank", "2", "--out", task["never"]);
        Assert.That(again.Errors,
            Does.Contain("distilbert.transformer.layer.0.attention.q_lin is a low-rank layer already"));
    }

    [Test]
    public void The_largest_saving_rank_hardly_changes_an_encoder_and_a_head_that_nobody_trained_is_not_written()
    {
        HeadlessModel.Write(task, task["encoder"]);
        LoraProgram.Succeed("compress", "--model", task["encoder"], "--rank", "7", "--targets", "query,value", "--out",
            task["small-encoder"]);
        using (var file = SafeTensorsFile.Open(Path.Combine(task["small-encoder"], "model.safetensors")))
        {
            Assert.That(file.Tensors.Keys, Has.None.StartsWith("classifier").And.None.StartsWith("pre_classifier"));
        }
        LoraProgram.Succeed("train", "--model", task["small-encoder"], "--data", task.Data, "--out", task["of-encoder"],
            "--max-steps", "4", "--threads", "1");
        Assert.That(LoraProgram.Call("predict", "--model", task["small-encoder"], "--text", "film").Errors,
            Does.Contain("no trained classification head"));
    }

    [TestCase("layer.0.attention.q_lin\": 5", "layer.9.attention.q_lin\": 5", "which is no linear layer of this model")]
    [TestCase("layer.0.attention.q_lin\": 5", "layer.0.attention.q_lin\": 6",
        "distilbert.transformer.layer.0.attention.q_lin.down.weight is [5, 16], [6, 16] expected")]
    [TestCase("layer.0.attention.q_lin\": 5", "layer.0.attention.q_lin\": 17", "the rank 17, the layer is [16, 16]")]
    [TestCase("layer.0.attention.q_lin\": 5", "layer.0.attention.q_lin\": 0", "the rank 0, at least 1 is expected")]
    [TestCase("layer.0.attention.q_lin\": 5", "layer.0.attention.q_lin\": \"five\"", "a whole number")]
    [TestCase("\"low_rank\"", "\"low_ranks\"", "low_rank, quantized and dynamic_int8 are missing")]
    [TestCase("lorascratch-distilbert", "distilbert", "unexpected")]
    public void A_config_that_does_not_belong_to_the_weights_is_told(string from, string to, string message) =>
    task.RequireConfigRefused("small", from, to, message);

    [TestCase("--rank 11 --out OUT", "--rank 11 saves nothing")]
    [TestCase("--energy 1 --out OUT", "--energy 1 saves nothing")]
    [TestCase("--bytes 100 --out OUT", "with rank 1 in every targeted layer")]
    [TestCase("--bytes 1GiB --out OUT", "saves nothing")]
    [TestCase("--bytes many --out OUT", "--bytes is 'many'; expected a number of bytes")]
    [TestCase("--rank 0 --out OUT", "--rank is 0")]
    [TestCase("--rank 2 --energy 0.5 --out OUT", "More than one of")]
    [TestCase("--rank 2", "--out, which is missing")]
    [TestCase("--out OUT", "--out needs --rank, --energy or --bytes")]
    [TestCase("--data DATA", "--data measures the accuracy before and after")]
    [TestCase("--rank 2 --out OUT --targets head", "--targets is 'head'; expected some of query")]
    public void What_makes_no_sense_is_refused(string args, string message) =>
    task.RequireRefused($"compress --model MODEL {args}", message);

    private static long Bytes(string folder)
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return file.Tensors.Values.Sum(tensor => tensor.ByteLength);
    }

    private static IReadOnlyDictionary<string, int> Ranks(string folder) => EncoderConfig.Load(folder).LowRank;

    private double Accuracy(string model) =>
        JsonDocument.Parse(LoraProgram.Succeed("evaluate", "--model", model, "--data", task.Data,
            "--json").Output).RootElement.GetProperty("accuracy").GetDouble();

    private float[] Logits(params string[] model) =>
        LoraProgram.Succeed(["predict", .. model, "--input", task.Data, "--json"]).Logits;
}
