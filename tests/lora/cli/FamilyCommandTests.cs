using System.Text.Json.Nodes;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;
using LoraScratch.Tests.Text;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Every command on a model of each family: what works on DistilBERT works on all of them.
/// </summary>
[TestFixture("bert")]
[TestFixture("roberta")]
[TestFixture("xlm-roberta")]
[TestFixture("camembert")]
[TestFixture("electra")]
public sealed class FamilyCommandTests(string family)
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModelAndAdapter()
    {
        task = new TinyTask(family);
        Train("base", "--config", task["config.json"], "--vocab", task["vocab.txt"], "--method", "full", "--epochs",
            "12", "--lr", "3e-3");
        Train("adapter", "--model", Base, "--rank", "4", "--epochs", "1");
        Train("tuned", "--model", Base, "--method", "full", "--max-steps", "6", "--lr", "1e-3");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    private string Base => task["base"];

    private string Adapter => task["adapter"];

    private string Trunk => family switch { "xlm-roberta" or "camembert" => "roberta", _ => family };

    private bool HasPooler => family == "bert";

    [Test]
    public void A_model_learns_from_randomly_initialised_weights()
    {
        Assert.That(Accuracy("--model", Base), Is.GreaterThan(0.9));
        var config = EncoderConfig.Load(Base);
        Assert.That((config.Family.ModelType, config.MaxPositions), Is.EqualTo((family, 24)));
    }

    [TestCase("byte-level-bpe")]
    [TestCase("unigram")]
    public void A_tokenizer_of_another_kind_goes_along_with_the_model(string name)
    {
        using var folder = new TemporaryFolder();
        var tokenizer = Path.Combine(folder.Root, "tokenizer.json");
        File.WriteAllText(tokenizer, SmallVocabulary.Resource($"{name}.json"));
        var config = JsonNode.Parse(File.ReadAllText(task["config.json"]))!;
        config["vocab_size"] = 1200;
        File.WriteAllText(folder.File("config.json"), config.ToJsonString());
        LoraProgram.Succeed("train", "--config", folder.File("config.json"), "--vocab", tokenizer, "--method", "full",
            "--data", task.Data, "--max-steps", "2", "--out", folder.File("base"));
        LoraProgram.Succeed("train", "--model", folder.File("base"), "--data", task.Data, "--max-steps", "2", "--out",
            folder.File("adapter"));
        string[] model = ["--model", folder.File("base"), "--adapter", folder.File("adapter")];
        Assert.That(LoraProgram.Succeed(["predict", .. model, "--text", "El niño 😀", "--json"]).Output,
            Does.Contain("logits"));
        LoraProgram.Succeed(["merge", .. model, "--out", folder.File("merged")]);
        Assert.That(File.ReadAllText(Path.Combine(folder.File("merged"), "tokenizer.json")),
            Is.EqualTo(File.ReadAllText(tokenizer)), "what was read is written, byte for byte");
        Assert.That(LoraProgram.Succeed("tokenize", "--vocab", folder.File("merged"), "--text", "El niño").Output,
            Does.Contain("<s>").And.Contain("</s>"));
        Assert.That(LoraProgram.Refuse("pretrain", "--model", folder.File("base"), "--data", task.Data, "--out",
            folder.File("out")).Errors,
            Does.Contain("pretraining").Or.Contain("guesses none"));
    }

    [TestCase("--method lora --targets query,key,value,projection,mlp,embeddings")]
    [TestCase("--method lora --targets query,head --rank 2")]
    [TestCase("--method lora --scaling alpha-over-sqrt-rank --bias all")]
    [TestCase("--method qa-lora --bits 4 --group-size 16 --targets query,key,value,projection,mlp")]
    [TestCase("--method qa-lora --bits 4 --group-size 16 --quantization gptq")]
    [TestCase("--method last-layers")]
    [TestCase("--method full --optimizer sgd")]
    public void A_method_trains_saves_and_predicts(string options)
    {
        using var folder = new TemporaryFolder();
        LoraProgram.Succeed(["train", "--model", Base, "--data", task.Data, "--out", folder.File("out"),
            "--max-steps", "4", "--threads", "1", .. options.Split(' ')]);
        string[] model = options.Contains("--method lora")
            ? ["--model", Base, "--adapter", folder.File("out")] : ["--model", folder.File("out")];
        Assert.That(Accuracy(model), Is.GreaterThan(0.9));
        if (options.Contains("--method lora"))
        {
            Assert.That(LoraProgram.Succeed("adapter", "check", folder.File("out"), "--model", Base).Output,
                Does.Contain("0 errors"));
        }
    }

    [Test]
    public void An_adapters_file_has_PEFTs_names_and_shapes()
    {
        using var file = SafeTensorsFile.Open(Path.Combine(Adapter, "adapter_model.safetensors"));
        var attention = $"base_model.model.{Trunk}.encoder.layer.0.attention.self.query";
        var head = HasPooler
            ? new[] { "classifier.bias [2]", "classifier.weight [2, 16]" }
            : ["classifier.dense.bias [16]", "classifier.dense.weight [16, 16]", "classifier.out_proj.bias [2]",
                "classifier.out_proj.weight [2, 16]"];
        string[] layers = [.. from block in new[] { 0, 1 }
                              from layer in new[] { "query", "value" }
                              from matrix in new[] { "lora_A.weight [4, 16]", "lora_B.weight [16, 4]" }
                              select $"{Trunk}.encoder.layer.{block}.attention.self.{layer}.{matrix}"];
        Assert.That(file.Tensors.Values.Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]"),
            Is.EquivalentTo(layers.Concat(head).Select(name => $"base_model.model.{name}")));
        Assert.That(file.Tensors, Does.ContainKey($"{attention}.lora_A.weight"));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(Adapter, "adapter_config.json")))!;
        Assert.That(config["target_modules"]!.ToJsonString(), Is.EqualTo("""["query","value"]"""));
        Assert.That(config["modules_to_save"]!.ToJsonString(), Is.EqualTo("""["classifier"]"""));
        Assert.That(config["task_type"]!.GetValue<string>(), Is.EqualTo("SEQ_CLS"));
    }

    [Test]
    public void Names_that_end_alike_are_told_apart_in_target_modules()
    {
        using var folder = new TemporaryFolder();
        LoraProgram.Succeed("train", "--model", Base, "--data", task.Data, "--out", folder.File("out"),
            "--targets", "mlp,projection", "--max-steps", "2", "--threads", "1");
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.File("out"), "adapter_config.json")))!;
        Assert.That(config["target_modules"]!.ToJsonString(),
            Is.EqualTo("""["intermediate.dense","output.dense"]"""), "output.dense means the attention's too");
        LoraProgram.Succeed("train", "--model", Base, "--data", task.Data, "--out", folder.File("mlp"),
            "--targets", "mlp", "--max-steps", "2", "--threads", "1");
        var inspected = LoraProgram.Succeed("inspect", folder.File("mlp")).Output;
        Assert.That(inspected, Does.Contain("4 adapted layers").And.Not.Contain("attention.output.dense"));
    }

    [Test]
    public void A_merged_adapter_predicts_as_base_and_adapter_do()
    {
        using var folder = new TemporaryFolder();
        LoraProgram.Succeed("merge", "--model", Base, "--adapter", Adapter, "--out", folder.File("merged"));
        Assert.That(Logits("--model", folder.File("merged")),
            Is.EqualTo(Logits("--model", Base, "--adapter", Adapter)).Within(1e-4f));
    }

    [Test]
    public void A_converted_adapter_predicts_as_before()
    {
        using var folder = new TemporaryFolder();
        LoraProgram.Succeed("adapter", "convert", Adapter, "--to", "tutorial", "--out",
            folder.File("t.safetensors"));
        LoraProgram.Succeed("adapter", "convert", folder.File("t.safetensors"), "--to", "peft", "--out",
            folder.File("again"));
        Assert.That(File.ReadAllText(Path.Combine(folder.File("again"), "adapter_config.json")),
            Does.Match(@"""modules_to_save"": \[\s+""classifier""\s+\]").And.Contain("SEQ_CLS"));
        Assert.That(Logits("--model", Base, "--adapter", folder.File("again")),
            Is.EqualTo(Logits("--model", Base, "--adapter", Adapter)).Within(1e-5f));
    }

    [Test]
    public void A_head_that_lacks_a_part_is_an_error()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("half"));
        File.Copy(Path.Combine(Adapter, "adapter_config.json"),
            Path.Combine(folder.File("half"), "adapter_config.json"));
        using (var file = SafeTensorsFile.Open(Path.Combine(Adapter, "adapter_model.safetensors")))
        {
            SafeTensorsWriter.Write(Path.Combine(folder.File("half"), "adapter_model.safetensors"), file.Tensors.Values
                .Where(tensor => !tensor.Name.EndsWith(HasPooler ? "classifier.bias" : "out_proj.bias",
                    StringComparison.Ordinal))
                .Select(tensor =>
                {
                    var values = new float[tensor.ElementCount];
                    file.Read(tensor.Name, values);
                    return TensorToWrite.Floats(tensor.Name, [.. tensor.Shape], values);
                }).ToList());
        }
        Assert.That(LoraProgram.Call("adapter", "check", folder.File("half")).Output,
            Does.Contain("a part of the head is missing: 'base_model.model.classifier."));
    }

    [TestCase("quantize --bits 4 --group-size 16")]
    [TestCase("quantize --bits 8 --group-size 16 --method gptq --calibration DATA")]
    [TestCase("quantize --dynamic")]
    [TestCase("compress --rank 9")]
    public void A_smaller_model_is_read_again(string command)
    {
        using var folder = new TemporaryFolder();
        string[] words = [.. command.Split(' ').Select(word => word == "DATA" ? task.Data : word)];
        LoraProgram.Succeed([words[0], "--model", Base, "--out", folder.File("small"), .. words[1..]]);
        Assert.That(File.ReadAllText(Path.Combine(folder.File("small"), "config.json")),
            Does.Contain($"\"model_type\": \"lorascratch-{family}\""));
        Assert.That(Accuracy("--model", folder.File("small")), Is.GreaterThan(0.85));
        Assert.That(Logits("--model", folder.File("small")), Is.Not.EqualTo(Logits("--model", Base)));
    }

    [Test]
    public void A_compressed_model_is_quantised_too()
    {
        using var folder = new TemporaryFolder();
        LoraProgram.Succeed("compress", "--model", Base, "--rank", "8", "--targets", "mlp", "--out",
            folder.File("thin"));
        LoraProgram.Succeed("quantize", "--model", folder.File("thin"), "--dynamic", "--targets", "mlp,query", "--out",
            folder.File("bytes"));
        var config = EncoderConfig.Load(folder.File("bytes"));
        Assert.That(config.LowRank.Keys, Is.EquivalentTo(from block in new[] { 0, 1 }
                                                         from layer in new[] { "intermediate", "output" }
                                                         select $"{Trunk}.encoder.layer.{block}.{layer}.dense"));
        Assert.That(config.DynamicInt8, Has.Count.EqualTo(2 * (4 + 1)));
        Assert.That(Accuracy("--model", folder.File("bytes")), Is.GreaterThan(0.85));
    }

    [Test]
    public void A_fine_tune_becomes_an_adapter_and_that_a_smaller_one()
    {
        using var folder = new TemporaryFolder();
        var extracted = LoraProgram.Succeed("extract", "--base", Base, "--tuned", task["tuned"], "--rank", "16",
            "--targets", "query,key,value,projection,mlp,embeddings", "--bias", "all", "--out", folder.File("adapter"));
        Assert.That(extracted.Output,
            Does.Contain($"13 updates and classifier{(HasPooler ? ", bert.pooler.dense" : "")} whole"));
        Assert.That(Accuracy("--model", Base, "--adapter", folder.File("adapter")), Is.GreaterThan(0.9));
        Assert.That(LoraProgram.Succeed("extract", "--base", Base, "--tuned", task["tuned"], "--rank", "16",
            "--targets", "query,head", "--out", folder.File("adapted")).Output, Does.Contain("4 updates: "),
            "a head that gets an update does not go along whole");
        LoraProgram.Succeed("truncate", "--adapter", Adapter, "--rank", "2", "--out", folder.File("smaller"));
        Assert.That(Accuracy("--model", Base, "--adapter", folder.File("smaller")), Is.GreaterThan(0.8));
    }

    [Test]
    public void Explain_and_inspect_show_its_layers()
    {
        var explained = LoraProgram.Succeed("explain", "--model", Base, "--adapter", Adapter, "--text",
            "the film was superb", "--layer", "layer.1.attention.self.value").Output;
        Assert.That(explained, Does.Contain($"{Trunk}.encoder.layer.1.attention.self.value"));
        var inspected = LoraProgram.Succeed("inspect", Base).Output;
        Assert.That(inspected, Does.Contain("(0-1): 2 x TransformerBlock(").And
            .Contain($"{Trunk}.encoder.layer.{{0-1}}, each:").And.Contain("  output.LayerNorm.weight ").And
            .Contain("(query): Linear(in_features=16, out_features=16, bias=True)"));
    }

    [Test]
    public void Pretraining_makes_a_BERT_and_refuses_the_others_by_name()
    {
        using var folder = new TemporaryFolder();
        string[] fromNothing = ["pretrain", "--data", task.Data, "--max-length", "16", "--batch-size", "8", "--epochs",
            "1", "--threads", "1", "--out", folder.File("base"), "--config", task["config.json"], "--vocab",
            task["vocab.txt"]];
        if (family != "bert")
        {
            Assert.That(LoraProgram.Refuse(fromNothing).Errors,
                Does.Contain($"model_type is {family}, which cannot be pretrained").And.Contain("distilbert and bert"));
            Assert.That(LoraProgram.Refuse("pretrain", "--data", task.Data, "--max-length", "16", "--out",
                folder.File("more"), "--model", Base).Errors, Does.Contain("cannot be pretrained"));
            Assert.That(folder.Names, Is.Empty);
            return;
        }
        LoraProgram.Succeed(fromNothing);
        Assert.That(File.ReadAllText(Path.Combine(folder.File("base"), "config.json")),
            Does.Contain("BertForMaskedLM").And.Not.Contain("id2label"));
        using (var file = SafeTensorsFile.Open(Path.Combine(folder.File("base"), "model.safetensors")))
        {
            Assert.That(file.Tensors.Keys.Where(name => name.StartsWith("cls.", StringComparison.Ordinal)),
                Is.EquivalentTo(new[] { "cls.predictions.bias", "cls.predictions.transform.dense.weight",
                    "cls.predictions.transform.dense.bias", "cls.predictions.transform.LayerNorm.weight",
                    "cls.predictions.transform.LayerNorm.bias" }));
            Assert.That(file.Tensors.Keys, Has.None.Contains("pooler"));
        }
        var more = LoraProgram.Succeed("pretrain", "--data", task.Data, "--model", folder.File("base"), "--max-steps",
            "1", "--max-length", "16", "--batch-size", "8", "--threads", "1", "--out", folder.File("more"));
        Assert.That(more.Errors, Does.Not.Contain("initialised"));
        var trained = LoraProgram.Succeed("train", "--model", folder.File("base"), "--data", task.Data, "--out",
            folder.File("adapter"), "--max-steps", "2", "--threads", "1");
        Assert.That(trained.Errors, Does.Contain("randomly initialised from the seed: classifier.weight, "
            + "classifier.bias, bert.pooler.dense.weight, bert.pooler.dense.bias"));
        Assert.That(LoraProgram.Succeed("predict", "--model", folder.File("base"), "--adapter", folder.File("adapter"),
            "--text", "film").Output, Does.Match("neg|pos"));
        using (var file = SafeTensorsFile.Open(Path.Combine(folder.File("adapter"), "adapter_model.safetensors")))
        {
            Assert.That(file.Tensors, Does.ContainKey("base_model.model.bert.pooler.dense.weight"));
        }
        Assert.That(LoraProgram.Refuse("predict", "--model", folder.File("base"), "--adapter", Adapter, "--any-base",
            "--text", "film").Errors, Does.Contain("no trained classification head, and neither has the adapter"),
            "it was trained on a pooler that the base does not have");
    }

    private void Train(string name, params string[] options) => LoraProgram.Succeed(
        ["train", "--data", task.Data, "--out", task[name], "--threads", "1", .. options]);

    private double Accuracy(params string[] model) => JsonNode.Parse(LoraProgram.Succeed(
        ["evaluate", .. model, "--data", task.Data, "--json"]).Output)!["accuracy"]!.GetValue<double>();

    private float[] Logits(params string[] model) => LoraProgram.Succeed(
        ["predict", .. model, "--input", task.Data, "--json"]).Logits;
}
