using System.Globalization;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// lora quantize --dynamic, what the other commands do with the folder that it writes, and both
/// with the folder of lora compress.
/// </summary>
public sealed class DynamicQuantizationCommandTests
{
    private const string Query = "distilbert.transformer.layer.0.attention.q_lin";
    private TinyTask task = null!;
    private string said = "";

    [OneTimeSetUp]
    public void TrainAndQuantize()
    {
        task = new TinyTask();
        said = LoraProgram.Succeed("quantize", "--dynamic", "--model", task.Model, "--calibration", task.Data, "--data",
            task.Data, "--out", task["dynamic"]).Output;
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void The_table_has_errors_and_bytes_of_every_layer_and_the_accuracy_before_and_after()
    {
        Assert.That(said, Does.Contain("error/|W|").And.Contain("error/|XW|").And
            .Match(@"12 layers, dynamic INT8: 16\.0 KiB → \S+ KiB").And
            .Match(@"accuracy \d+\.\d\d % → \d+\.\d\d %, loss"));
        var rows = LayerRows.Of(said);
        Assert.That(rows, Has.Length.EqualTo(12));
        foreach (var (path, cells) in rows)
        {
            Assert.That(Number(cells[0]), Is.InRange(0.0005, 0.01), path);
            Assert.That(Number(cells[1]), Is.InRange(0.0005, 0.03), path);
        }
        var accuracies = System.Text.RegularExpressions.Regex.Match(said, @"accuracy (\d+\.\d\d) % → (\d+\.\d\d) %");
        Assert.That(Math.Abs(Number(accuracies.Groups[1].Value) - Number(accuracies.Groups[2].Value)), Is.LessThan(5),
            "points of accuracy");
    }

    [Test]
    public void The_folder_has_signed_bytes_and_scales_and_loads_back()
    {
        using (var file = SafeTensorsFile.Open(Path.Combine(task["dynamic"], "model.safetensors")))
        {
            Assert.That(file.Tensors.Values.Where(tensor => tensor.Name.StartsWith(Query, StringComparison.Ordinal))
                .Select(tensor => tensor.ToString()), Is.EquivalentTo(new[]
            {
                $"'{Query}.weight.codes' I8 [16, 16]", $"'{Query}.weight.scales' F32 [16]", $"'{Query}.bias' F32 [16]",
            }));
        }
        var config = EncoderConfig.Load(task["dynamic"]);
        Assert.That(config.DynamicInt8, Has.Count.EqualTo(12).And.Contain(Query));
        Assert.That(config.Quantized, Is.Empty);
        Assert.That(File.ReadAllText(Path.Combine(task["dynamic"], "config.json")),
            Does.Contain("lorascratch-distilbert"), "no other program must take the folder for a float model");
        var (exact, rounded) = (Logits(task.Model), Logits(task["dynamic"]));
        Assert.That(Distance(exact, rounded), Is.GreaterThan(0).And.LessThan(0.05));
        Assert.That(LoraProgram.Succeed("inspect", task["dynamic"]).Output,
            Does.Contain("DynamicInt8Linear").And.Contain("dynamic INT8").And.Contain("--method last-layers").And.Not
                .Contain("--method full").And.Not.Contain("lora --rank"));
        Assert.That(LoraProgram.Succeed("evaluate", "--model", task["dynamic"], "--data", task.Data, "--batch-size",
            "7").Output, Is.Not.Empty);
    }

    [Test]
    public void A_text_has_the_same_logits_beside_any_others()
    {
        var together = Logits(task["dynamic"]);
        var texts = File.ReadLines(task.Data).Skip(1).Take(3).Select(line => line[..line.LastIndexOf(',')]).ToArray();
        for (var i = 0; i < texts.Length; i++)
        {
            Assert.That(LoraProgram.Succeed("predict", "--model", task["dynamic"], "--text", texts[i], "--json").Logits,
                Is.EqualTo(together[(2 * i)..(2 * i + 2)]).Within(1e-5f));
        }
    }

    [Test]
    public void Only_the_targets_are_quantised()
    {
        Assert.That(EncoderConfig.Load(QuantizedMlp()).DynamicInt8, Is.EqualTo(new[]
        {
            "distilbert.transformer.layer.0.ffn.lin1", "distilbert.transformer.layer.0.ffn.lin2",
            "distilbert.transformer.layer.1.ffn.lin1", "distilbert.transformer.layer.1.ffn.lin2",
        }));
    }

    private string QuantizedMlp()
    {
        if (!Directory.Exists(task["mlp"]))
        {
            LoraProgram.Succeed("quantize", "--dynamic", "--model", task.Model, "--targets", "mlp", "--out",
                task["mlp"]);
        }
        return task["mlp"];
    }

    /// <summary>
    /// Compress, then quantise dynamically: the folder has low-rank layers whose factors are whole
    /// numbers.
    /// </summary>
    [Test]
    public void A_compressed_model_is_quantised_on_top_and_loads_back()
    {
        LoraProgram.Succeed("compress", "--model", task.Model, "--rank", "5", "--out", task["small"]);
        var result = LoraProgram.Succeed("quantize", "--dynamic", "--model", task["small"], "--calibration", task.Data,
            "--out", task["small-dynamic"]);
        Assert.That(LayerRows.Of(result.Output).Select(row => row.Path),
            Does.Contain($"{Query}.down").And.Contain($"{Query}.up"));
        Assert.That(result.Output, Does.Contain("24 layers, dynamic INT8"));
        var config = EncoderConfig.Load(task["small-dynamic"]);
        Assert.That((config.LowRank[Query], config.DynamicInt8.Contains($"{Query}.down"),
            config.DynamicInt8.Contains($"{Query}.up")), Is.EqualTo((5, true, true)));
        var (small, rounded) = (Logits(task["small"]), Logits(task["small-dynamic"]));
        Assert.That(Distance(small, rounded), Is.GreaterThan(0).And.LessThan(0.08));
        Assert.That(Bytes(task["small-dynamic"]),
            Is.LessThan(Bytes(task["small"])).And.LessThan(Bytes(task["dynamic"])), "smaller than by either alone");
    }

    [Test]
    public void The_head_can_be_trained_on_a_quantised_encoder()
    {
        LoraProgram.Succeed("train", "--model", task["dynamic"], "--data", task.Data, "--method", "last-layers",
            "--max-steps", "4", "--threads", "1", "--out", task["head"]);
        Assert.That(EncoderConfig.Load(task["head"]).DynamicInt8, Has.Count.EqualTo(12));
        Assert.That(Codes(task["head"]), Is.EqualTo(Codes(task["dynamic"])), "the codes stand still");
        Assert.That(Logits(task["head"]), Is.Not.EqualTo(Logits(task["dynamic"])));
    }

    [TestCase("quantize --dynamic --model DYNAMIC --out OUT", "is quantised already")]
    [TestCase("quantize --model DYNAMIC --group-size 16 --out OUT", "is quantised already")]
    [TestCase("quantize --dynamic --bits 8 --model MODEL --out OUT", "--bits has no effect with --dynamic")]
    [TestCase("quantize --dynamic --method rtn --model MODEL --out OUT", "--method has no effect with --dynamic")]
    [TestCase("quantize --dynamic --targets head --model MODEL --out OUT", "--targets is 'head'")]
    [TestCase("train --model DYNAMIC --data DATA --method full --out OUT",
        "q_lin is quantised dynamically, for prediction")]
    [TestCase("train --model DYNAMIC --data DATA --method lora --out OUT",
        "q_lin is quantised dynamically, which is for prediction")]
    [TestCase("train --model MLP8 --data DATA --method lora --out OUT",
        "ffn.lin1 is quantised dynamically, for prediction")]
    [TestCase("train --model DYNAMIC --data DATA --method qa-lora --group-size 16 --out OUT", "is quantised already")]
    [TestCase("predict --model DYNAMIC --adapter ADAPTER --text film",
        "is quantised dynamically, which is for prediction")]
    [TestCase("merge --model DYNAMIC --adapter ADAPTER --out OUT", "is quantised dynamically, which is for prediction")]
    [TestCase("compress --model DYNAMIC --rank 2 --out OUT", "Compression needs float weights")]
    [TestCase("pretrain --model DYNAMIC --data DATA --max-length 16 --out OUT", "pretraining changes every weight")]
    public void What_makes_no_sense_is_refused(string args, string message) =>
        task.RequireRefused(args, message, ("DYNAMIC", () => task["dynamic"]), ("MLP8", QuantizedMlp),
            ("ADAPTER", () => task.Adapter));

    [TestCase("layer.0.attention.q_lin\"", "layer.9.attention.q_lin\"",
        "layer.9.attention.q_lin', which is no linear layer")]
    [TestCase("layer.0.attention.q_lin\"", "layer.0.attention.k_lin\"", "k_lin', which it names before")]
    [TestCase("\"dynamic_int8\": [", "\"dynamic_int8\": [3,",
        "dynamic_int8 is a list; expected a list of layers' paths")]
    [TestCase("\"dynamic_int8\"", "\"dynamic_int4\"", "low_rank, quantized and dynamic_int8 are missing")]
    [TestCase("\"hidden_dim\": 32", "\"hidden_dim\": 48", "should be I8 [48, 16]")]
    [TestCase("lorascratch-distilbert", "distilbert", "unexpected")]
    public void A_config_that_does_not_belong_to_the_weights_is_told(string from, string to, string message) =>
    task.RequireConfigRefused("dynamic", from, to, message);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>
    /// Of the tensors: the names of many would weigh more than the weights of a model as small as
    /// this.
    /// </summary>
    private static long Bytes(string folder)
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return file.Tensors.Values.Sum(tensor => tensor.ByteLength);
    }

    private static byte[] Codes(string folder)
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return [.. file.Tensors.Keys.Where(name => name.EndsWith(".codes", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).SelectMany(name => file.Bytes(name).ToArray())];
    }

    /// <summary>The largest difference, as a share of the largest logit.</summary>
    private static double Distance(float[] left, float[] right) =>
        left.Zip(right, (a, b) => Math.Abs(a - b)).Max() / left.Max(Math.Abs);

    private float[] Logits(string model) =>
        LoraProgram.Succeed("predict", "--model", model, "--input", task.Data, "--json").Logits;
}
