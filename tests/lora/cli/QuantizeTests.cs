using System.Text.Json;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>lora quantize, training on what it writes, and merging back into it.</summary>
public sealed class QuantizeTests
{
    private const string Query = "distilbert.transformer.layer.0.attention.q_lin";
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainAndQuantize()
    {
        task = new TinyTask();
        LoraProgram.Succeed("quantize", "--model", task.Model, "--bits", "4", "--group-size", "16", "--out",
            task["int4"]);
        LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora", "--rank", "2",
            "--lr", "2e-2", "--max-steps", "12", "--threads", "1", "--out", task["pooled"]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void The_folder_has_codes_scales_and_zeros_and_loads_back()
    {
        using var file = SafeTensorsFile.Open(Path.Combine(task["int4"], "model.safetensors"));
        Assert.That(file.Tensors.Values.Where(tensor => tensor.Name.StartsWith(Query, StringComparison.Ordinal))
            .Select(tensor => tensor.ToString()), Is.EquivalentTo(new[]
        {
            $"'{Query}.weight.codes' U8 [16, 8]", $"'{Query}.weight.scales' F32 [16, 1]",
            $"'{Query}.weight.zeros' F32 [16, 1]", $"'{Query}.bias' F32 [16]",
        }));
        var config = EncoderConfig.Load(task["int4"]);
        Assert.That(config.Quantized,
            Has.Count.EqualTo(12).And.All
                .Matches<KeyValuePair<string, LoraScratch.Engine.QuantizationFormat>>(entry =>
                    entry.Value is { Bits: 4, GroupSize: 16 }));
        Assert.That(File.ReadAllText(Path.Combine(task["int4"], "config.json")),
            Does.Contain("lorascratch-distilbert"), "no other program must take the folder for a float model");
        Assert.That(LoraProgram.Succeed("inspect", task["int4"]).Output,
            Does.Contain("INT4, groups of 16").And.Contain("--method qa-lora --rank 8").And.Not
                .Contain("--method full"));

        LoraProgram.Succeed("quantize", "--model", task.Model, "--bits", "8", "--group-size", "16", "--out",
            task["int8"]);
        var (exact, fine, coarse) =
            (Logits("--model", task.Model), Logits("--model", task["int8"]), Logits("--model", task["int4"]));
        Assert.That(Distance(exact, fine), Is.LessThan(0.05).And.GreaterThan(0));
        Assert.That(Distance(exact, coarse), Is.GreaterThan(Distance(exact, fine)), "fewer bits, larger error");
    }

    [Test]
    public void Calibration_texts_give_the_error_of_the_output_and_gptq_makes_it_smaller()
    {
        var nearest = LoraProgram.Succeed("quantize", "--model", task.Model, "--bits", "3", "--group-size", "16",
            "--calibration", task.Data, "--out", task["rtn3"], "--data", task.Data).Output;
        var gptq = LoraProgram.Succeed("quantize", "--model", task.Model, "--bits", "3", "--group-size", "16",
            "--method", "gptq", "--calibration", task.Data, "--calibration-texts", "60", "--out", task["gptq3"]).Output;
        Assert.That(nearest, Does.Contain("error/|XW|").And.Match(@"accuracy \d+\.\d\d % → \d+\.\d\d %").And
            .Match(@"12 layers, INT3, groups of 16: \S+ KiB → \S+ KiB \(21.88 %\)"));
        Assert.That(OutputErrors(gptq).Sum(), Is.LessThan(OutputErrors(nearest).Sum()));
    }

    [Test]
    public void An_adapter_of_quantised_layers_merges_into_them_without_a_change()
    {
        var config = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(task["pooled"], "adapter_config.json"))).RootElement;
        Assert.That((config.GetProperty("use_qalora").GetBoolean(), config.GetProperty("qalora_group_size").GetInt32()),
            Is.EqualTo((true, 16)));
        using (var file = SafeTensorsFile.Open(Path.Combine(task["pooled"], "adapter_model.safetensors")))
        {
            Assert.That(file.Tensors[$"base_model.model.{Query}.lora_A.weight"].Shape, Is.EqualTo(new long[] { 2, 1 }),
                "one column for each group");
        }
        var merge = LoraProgram.Succeed("merge", "--model", task["int4"], "--adapter", task["pooled"], "--out",
            task["merged"]);
        Assert.That(merge.Output, Does.Contain("Merged 4 layers"));
        var (with, merged, without) =
            (Logits("--model", task["int4"], "--adapter", task["pooled"]), Logits("--model", task["merged"]),
                Logits("--model", task["int4"]));
        Assert.That(Distance(with, merged), Is.LessThan(1e-5), "of the largest logit");
        Assert.That(Distance(with, without), Is.GreaterThan(1e-2), "the adapter does something");
        Assert.That(new FileInfo(Path.Combine(task["merged"], "model.safetensors")).Length,
            Is.EqualTo(new FileInfo(Path.Combine(task["int4"], "model.safetensors")).Length), "still as small");
        Assert.That(Codes(task["merged"]), Is.EqualTo(Codes(task["int4"])), "the codes stand still");
    }

    [Test]
    public void Training_goes_on_from_such_an_adapter()
    {
        LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora",
            "--init-adapter", task["pooled"], "--lr", "1e-2", "--max-steps", "4", "--threads", "1", "--out",
                task["further"]);
        Assert.That(Distance(Logits("--model", task["int4"], "--adapter", task["pooled"]),
            Logits("--model", task["int4"], "--adapter", task["further"])), Is.GreaterThan(1e-3));
        Assert.That(LoraProgram.Refuse("train", "--model", task["int4"], "--data", task.Data, "--init-adapter",
            task["pooled"], "--out", task["never"]).Errors, Does.Contain("Take --method qa-lora"));
    }

    [TestCase("rtn")]
    [TestCase("gptq")]
    public void A_float_model_is_quantised_first_and_the_result_is_the_merged_model(string method)
    {
        string[] common = ["train", "--model", task.Model, "--data", task.Data, "--method", "qa-lora", "--bits", "4",
            "--group-size", "16", "--quantization", method, "--rank", "2", "--lr", "1e-2", "--max-steps", "8",
                "--threads", "1"];
        var result = LoraProgram.Succeed([.. common, "--out", task[$"whole-{method}"]]);
        Assert.That(result.Errors, Does.Contain("12 layers, INT4, groups of 16").And.Contain("q_lin → "));
        Assert.That(result.Output, Does.Contain($"lora predict --model {task[$"whole-{method}"]}"));
        Assert.That(EncoderConfig.Load(task[$"whole-{method}"]).Quantized, Has.Count.EqualTo(12));
        var options = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(task[$"whole-{method}"], "training.json"))).RootElement
                .GetProperty("options");
        Assert.That((options.GetProperty("method").GetString(), options.GetProperty("quantization").GetString(),
            options.GetProperty("bits").GetInt32(), options.GetProperty("train-head").GetBoolean()),
            Is.EqualTo(("qa-lora", method, 4, true)));

        LoraProgram.Succeed([.. common, "--out", task[$"again-{method}"]]);
        Assert.That(Weights(task[$"again-{method}"]), Is.EqualTo(Weights(task[$"whole-{method}"])),
            "the same codes and the same training, bit for bit");
    }

    [Test]
    public void Methods_are_compared_with_their_bytes()
    {
        var result = LoraProgram.Succeed("compare", "--model", task.Model, "--data", task.Data, "--methods",
            "lora,qa-lora", "--bits", "4", "--group-size", "16", "--lr", "1e-2", "--epochs", "1", "--threads", "1",
                "--out", task["comparison"]);
        Assert.That(result.Output,
            Does.Contain("QA-LoRA (query, value)").And.Contain("deployed").And
                .Match(@"merged and then quantised \(INT4, groups of 16, rtn\): test \d+\.\d\d %"));
        var methods = JsonDocument.Parse(File.ReadAllText(Path.Combine(task["comparison"], "results.json"))).RootElement
            .GetProperty("methods").EnumerateArray().ToList();
        long Bytes(int method, string when) => methods[method].GetProperty($"{when}_bytes").GetInt64();
        Assert.That(Bytes(0, "training") - Bytes(0, "deployed"), Is.EqualTo(sizeof(float) * 4 * 8 * (16 + 16)),
            "A and B of rank 8 on query and value of two layers");
        Assert.That(Bytes(1, "training") - Bytes(1, "deployed"), Is.EqualTo(sizeof(float) * 4 * 8 * (1 + 16)),
            "A has a row for each group");
        Assert.That(Bytes(0, "deployed") - Bytes(1, "deployed"),
            Is.EqualTo(2 * (4 * (256 * 4 - 256 / 2 - 16 * 8) + 2 * (512 * 4 - 512 / 2 - 32 * 8))),
                "half a byte a weight, and eight bytes a group");
        var rows = File.ReadAllLines(Path.Combine(task["comparison"], "results.csv")).Select(line => line.Split(','))
            .ToArray();
        var column = Array.IndexOf(rows[0], "test_quantized");
        Assert.That((double.Parse(rows[1][column], System.Globalization.CultureInfo.InvariantCulture), rows[2][column]),
            Is.EqualTo((methods[0].GetProperty("test_quantized").GetProperty("mean").GetDouble(), "")));
    }

    [Test]
    public void Another_pooling_merges_as_well()
    {
        LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora", "--pooling",
            "paper", "--rank", "2", "--lr", "2e-2", "--max-steps", "12", "--threads", "1", "--out", task["paper"]);
        LoraProgram.Succeed("merge", "--model", task["int4"], "--adapter", task["paper"], "--out",
            task["merged-paper"]);
        Assert.That(Distance(Logits("--model", task["int4"], "--adapter", task["paper"]),
            Logits("--model", task["merged-paper"])), Is.LessThan(1e-5));
        Assert.That(Distance(Logits("--model", task["merged-paper"]),
            Logits("--model", task["int4"], "--adapter", task["pooled"])), Is.GreaterThan(1e-3),
                "another factor, another training");
    }

    [Test]
    public void The_table_of_words_is_adapted_beside_quantised_layers()
    {
        var trained = LoraProgram.Succeed("train", "--model", task["int4"], "--data", task.Data, "--method", "qa-lora",
            "--targets", "embeddings,query", "--rank", "2", "--lr", "2e-2", "--max-steps", "12", "--threads", "1",
                "--out", task["words"]);
        Assert.That(trained.Errors,
            Does.Contain("E [24, 16]  A [24, 2]").And.Contain("INT4, groups of 16, pooling repository  A [1, 2]"));
        LoraProgram.Succeed("merge", "--model", task["int4"], "--adapter", task["words"], "--out",
            task["merged-words"]);
        var with = Logits("--model", task["int4"], "--adapter", task["words"]);
        Assert.That(Distance(with, Logits("--model", task["merged-words"])), Is.LessThan(1e-5));
        Assert.That(Distance(with, Logits("--model", task["int4"])), Is.GreaterThan(1e-2));
        Assert.That(Codes(task["merged-words"]), Is.EqualTo(Codes(task["int4"])), "the codes stand still");
    }

    [Test]
    public void Zeros_are_rounded_on_request_and_the_error_is_told()
    {
        var said = LoraProgram.Succeed("merge", "--model", task["int4"], "--adapter", task["pooled"], "--round-zeros",
            "--out", task["rounded"]).Output;
        var rows = LayerRows.Of(said);
        Assert.That(rows, Has.Length.EqualTo(12), "adapted or not");
        using var file = SafeTensorsFile.Open(Path.Combine(task["rounded"], "model.safetensors"));
        var zeros = rows.SelectMany(row =>
            {
                var values = new float[file.Tensors[$"{row.Path}.weight.zeros"].ElementCount]; file.Read(
                $"{row.Path}.weight.zeros", values); return values;
            }).ToArray();
        Assert.That(zeros, Is.All.Matches<float>(zero => zero == MathF.Round(zero) && zero is >= 0 and <= 15));
        Assert.That(rows.Select(row => double.Parse(row.Cells[0], System.Globalization.CultureInfo.InvariantCulture)),
            Is.All.InRange(0.005, 0.5), "a zero moves by a quarter of a step on average");
        Assert.That(Distance(Logits("--model", task["rounded"]),
            Logits("--model", task["int4"], "--adapter", task["pooled"])), Is.GreaterThan(1e-4));
    }

    [Test]
    public void A_model_with_some_layers_quantised_is_trained_where_it_can_be()
    {
        LoraProgram.Succeed("quantize", "--model", task.Model, "--group-size", "16", "--targets", "mlp", "--out",
            task["mlp4"]);
        Assert.That(LoraProgram.Succeed("inspect", task["mlp4"]).Output,
            Does.Contain("--method lora --rank 8").And.Contain("--method last-layers").And.Not
                .Contain("qa-lora").And.Not.Contain("--method full"));
        Assert.That(LoraProgram.Succeed("train", "--model", task["mlp4"], "--data", task.Data, "--max-steps", "2",
            "--threads", "1", "--out", task["mlp4-lora"]).Errors, Does.Match(@"trainable of (\d+|[\d,]+) parameters"));
        Assert.That(LoraProgram.Refuse("compress", "--model", task["mlp4"], "--rank", "2", "--targets", "query",
            "--out", task["never"]).Errors, Does.Contain("Compression needs float weights").And.Contain("ffn.lin1"));
        Assert.That(LoraProgram.Refuse("extract", "--base", task.Model, "--tuned", task["mlp4"], "--rank", "2",
            "--targets", "query", "--out", task["never"]).Errors,
                Does.Contain("Extraction needs float weights").And.Contain("ffn.lin1"));
    }

    [TestCase("quantize --model INT4 --out OUT", "is quantised already")]
    [TestCase("quantize --model MODEL --bits 5 --out OUT", "weights of 5 bits are not known")]
    [TestCase("quantize --model MODEL --group-size 20 --out OUT", "a group of 20 weights is not possible")]
    [TestCase("quantize --model MODEL --group-size 48 --out OUT",
        "do not divide the 16 inputs of distilbert.transformer.layer.0.attention.q_lin")]
    [TestCase("quantize --model MODEL --group-size 16 --method gptq --out OUT", "--method gptq needs texts")]
    [TestCase("quantize --model MODEL --group-size 16 --calibration-texts 0 --calibration DATA --out OUT",
        "--calibration-texts is 0")]
    [TestCase("quantize --model MODEL --group-size 16 --calibration-texts 5 --out OUT",
        "--calibration-texts says how many texts of --calibration")]
    [TestCase("quantize --model MODEL --group-size 16 --targets head --out OUT", "--targets is 'head'")]
    [TestCase("compress --model INT4 --rank 2 --out OUT", "Compression needs float weights")]
    [TestCase("pretrain --model INT4 --data DATA --max-length 16 --out OUT", "pretraining changes every weight")]
    [TestCase("train --model INT4 --data DATA --method full --out OUT", "--method full trains every weight")]
    [TestCase("train --model INT4 --data DATA --method lora --out OUT", "Take --method qa-lora")]
    [TestCase("train --model INT4 --data DATA --method qa-lora --bits 8 --out OUT",
        "--bits says how to quantise a float model")]
    [TestCase("train --model INT4 --data DATA --method qa-lora --init normal --out OUT",
        "--init belongs to --method lora")]
    [TestCase("train --model INT4 --data DATA --method qa-lora --targets head --out OUT",
        "--targets has head, which is not quantised")]
    [TestCase("train --model MODEL --data DATA --method lora --group-size 16 --out OUT",
        "--group-size belongs to --method qa-lora")]
    [TestCase("compare --model MODEL --data DATA --pooling paper --out OUT", "--pooling belongs to --method qa-lora")]
    [TestCase("compare --model INT4 --data DATA --methods qa-lora,last-layers --bits 8 --out OUT",
        "--bits says how to quantise a float model")]
    [TestCase("compare --model INT4 --data DATA --methods lora,qa-lora --out OUT", "Take --method qa-lora")]
    [TestCase("compare --model INT4 --data DATA --methods qa-lora,full --out OUT", "--method full trains every weight")]
    [TestCase("compare --model MODEL --data DATA --methods lora,qa-lora --group-size 48 --out OUT",
        "do not divide the 16 inputs")]
    [TestCase("merge --model MODEL --adapter FLOAT --round-zeros --out OUT", "--round-zeros has no effect")]
    [TestCase("predict --model MODEL --adapter ADAPTER --text film",
        "It is for a layer that is quantised in groups of 16 (use_qalora)")]
    [TestCase("predict --model INT4 --adapter FLOAT --text film", "It is for a layer with float weights")]
    [TestCase("adapter convert ADAPTER --to loralib --out OUT", "adapter of quantised layers")]
    public void What_makes_no_sense_is_refused(string args, string message) =>
        task.RequireRefused(args, message, ("INT4", () => task["int4"]), ("ADAPTER", () => task["pooled"]),
            ("FLOAT", () => task.Adapter));

    [TestCase("\"bits\": 4", "\"bits\": 8", "should be U8 [16, 16]")]
    [TestCase("\"bits\": 4", "\"bits\": 5", "weights of 5 bits are not known")]
    [TestCase("\"bits\": 4", "\"bits\": \"four\"", "bits and group_size, such as")]
    [TestCase("layer.0.attention.q_lin\"", "layer.9.attention.q_lin\"",
        "layer.9.attention.q_lin', which is no linear layer")]
    [TestCase("\"quantized\"", "\"quantised\"", "low_rank, quantized and dynamic_int8 are missing")]
    [TestCase("lorascratch-distilbert", "distilbert", "unexpected")]
    public void A_config_that_does_not_belong_to_the_weights_is_told(string from, string to, string message) =>
    task.RequireConfigRefused("int4", from, to, message);

    private static double[] OutputErrors(string table) =>
        [.. LayerRows.Of(table).Select(row => double.Parse(row.Cells[1],
            System.Globalization.CultureInfo.InvariantCulture))];

    private static byte[] Codes(string folder) => Weights(folder, ".codes");

    private static byte[] Weights(string folder, string ending = "")
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return [.. file.Tensors.Keys.Where(name => name.EndsWith(ending, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).SelectMany(name => file.Bytes(name).ToArray())];
    }

    /// <summary>The largest difference, as a share of the largest logit.</summary>
    private static double Distance(float[] left, float[] right) =>
        left.Zip(right, (a, b) => Math.Abs(a - b)).Max() / left.Max(Math.Abs);

    private float[] Logits(params string[] model) =>
        LoraProgram.Succeed(["predict", .. model, "--input", task.Data, "--json"]).Logits;
}
