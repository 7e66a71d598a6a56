using System.Text.Json;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Folders as Hugging Face's library has them, in every form that DistilBERT's checkpoints come in,
/// and the folder that we write for it.
/// </summary>
internal sealed class CheckpointFolderTests
{
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);

    /// <summary>What a checkpoint may look like.</summary>
    /// <param name="Type">Of every tensor.</param>
    /// <param name="Shards">Files.</param>
    /// <param name="Prefix">Whether the encoder's names begin with distilbert.</param>
    /// <param name="OldNorms">LayerNorm.gamma and .beta.</param>
    /// <param name="Head">A classifier; else a masked language model.</param>
    /// <param name="TokenizerJson">tokenizer.json alone, no vocab.txt.</param>
    public sealed record Form(DType Type, int Shards, bool Prefix, bool OldNorms, bool Head, bool TokenizerJson)
    {
        public override string ToString() =>
            $"{Type}, {Shards} files, {(Prefix ? "with" : "without")} prefix, {(OldNorms ? "gamma" : "weight")}, "
                + $"{(Head ? "classifier" : "MLM")}, {(TokenizerJson ? "tokenizer.json" : "vocab.txt")}";
    }

    private static IEnumerable<Form> Forms() =>
        from type in new[] { DType.F32, DType.F16, DType.BF16 }
        from shards in new[] { 1, 3 }
        from prefix in new[] { true, false }
        from old in new[] { true, false }
        from head in new[] { true, false }
        select new Form(type, shards, prefix, old, head, TokenizerJson: shards == 3 ^ head);

    [Test]
    public void Every_form_of_a_checkpoint_is_loaded([ValueSource(nameof(Forms))] Form form)
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        Write(folder, model, form);
        var loaded = ModelFolder.Load(folder.File("model"), seed: 7, labels: ["a", "b", "c"]);
        var tolerance = form.Type switch { DType.F32 => 0, DType.F16 => 1e-3, _ => 8e-3 };
        foreach (var ((path, ours), (_, again)) in model.NamedParameters().Zip(loaded.Model.NamedParameters()))
        {
            if (form.Head || path.StartsWith("distilbert.", StringComparison.Ordinal))
            {
                Assert.That(again.ToArray(), Is.EqualTo(ours.ToArray()).Within(tolerance), path);
            }
        }
        Assert.That(loaded.Report.Initialized, Has.Count.EqualTo(form.Head ? 0 : 4));
        Assert.That(loaded.Report.Ignored,
            form.Head ? Is.Empty : Is.EquivalentTo(MaskedLanguageHead.Select(entry => entry.Name)));
        Assert.That(loaded.Report.Renamed,
            Has.Count.EqualTo((form.Prefix ? 0 : 36) + (form.Prefix && form.OldNorms ? 10 : 0)));
        var notices = string.Join('\n', loaded.Notices());
        Assert.That(notices, form.Head
            ? Does.Not.Contain("initialised")
            : Does.Contain("randomly initialised from the seed: pre_classifier.weight, pre_classifier.bias, "
                + "classifier.weight, classifier.bias").And.Contain("ignored"));
        Assert.That(notices, form.Type == DType.F32
            ? Does.Not.Contain("converted") : Does.Contain($"converted to F32 from").And.Contain($"{form.Type}"));
        Assert.That(((WordPieceTokenizer)loaded.Tokenizer).Vocabulary, Is.EqualTo(Tokenizer.Vocabulary));
    }

    [Test]
    public void The_config_of_the_published_checkpoint_says_nothing_that_is_not_understood()
    {
        var config = EncoderConfig.Parse("config.json", """
            {"activation": "gelu", "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1, "dim": 768,
             "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512,
             "model_type": "distilbert", "n_heads": 12, "n_layers": 6, "pad_token_id": 0, "qa_dropout": 0.1,
             "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": false, "tie_weights_": true,
             "transformers_version": "4.10.0.dev0", "vocab_size": 30522}
            """u8.ToArray());
        Assert.That(config.Notices, Is.Empty);
        Assert.That(config,
            Is.EqualTo(new EncoderConfig
            {
                OtherKeys = config.OtherKeys,
                Notices = config.Notices,
                Labels = config.Labels
            }));
    }

    [Test]
    public void The_written_folder_has_every_file_and_key_that_transformers_reads()
    {
        using var folder = new TemporaryFolder();
        ModelFolder.Save(folder.File("model"), TinyDistilBert.Create(), Tokenizer);
        Assert.That(Directory.GetFiles(folder.File("model")).Select(Path.GetFileName).Order(StringComparer.Ordinal),
            Is.EqualTo(new[] { "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
                "tokenizer_config.json", "vocab.txt" }));
        var config = Json(folder, "config.json");
        Assert.That(config["architectures"]!.ToJsonString(), Is.EqualTo("""["DistilBertForSequenceClassification"]"""));
        Assert.That(config["id2label"]!.ToJsonString(), Is.EqualTo("""{"0":"a","1":"b","2":"c"}"""));
        Assert.That(config["label2id"]!.ToJsonString(), Is.EqualTo("""{"a":0,"b":1,"c":2}"""));
        (string Key, string Value)[] expected =
        [
            ("model_type", "\"distilbert\""), ("vocab_size", "30"), ("dim", "12"), ("hidden_dim", "20"),
                ("n_layers", "2"), ("n_heads", "3"), ("max_position_embeddings", "16"), ("activation", "\"gelu\""),
            ("pad_token_id", "0"), ("torch_dtype", "\"float32\""), ("sinusoidal_pos_embds", "false"),
                ("tie_weights_", "true"),
        ];
        foreach (var (key, value) in expected)
        {
            Assert.That(config[key]?.ToJsonString(), Is.EqualTo(value), key);
        }
        Assert.That(Json(folder, "tokenizer_config.json")["tokenizer_class"]!.GetValue<string>(),
            Does.StartWith("DistilBertTokenizer"));
        Assert.That(Json(folder, "special_tokens_map.json").AsObject().Select(entry => entry.Value!.GetValue<string>()),
            Is.EquivalentTo(new[] { "[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]" }));
    }

    [Test]
    public void The_written_tokenizer_is_the_published_one_key_for_key()
    {
        var published = Path.Combine(Environment.GetEnvironmentVariable("LORASCRATCH_DATA") ?? "", "bert-base-uncased");
        if (!File.Exists(Path.Combine(published, "tokenizer.json")))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with bert-base-uncased/tokenizer.json.");
        }
        using var folder = new TemporaryFolder();
        WordPieceTokenizer.Load(Path.Combine(published, "vocab.txt")).SaveJson(folder.File("tokenizer.json"));
        var (ours, theirs) = (JsonNode.Parse(File.ReadAllText(folder.File("tokenizer.json")))!.AsObject(),
            JsonNode.Parse(File.ReadAllText(Path.Combine(published, "tokenizer.json")))!.AsObject());
        Assert.That(ours.Select(entry => entry.Key), Is.EquivalentTo(theirs.Select(entry => entry.Key)));
        foreach (var (key, value) in theirs)
        {
            Assert.That(JsonNode.DeepEquals(ours[key], value), key);
        }
    }

    [Test]
    public void A_tokenizer_is_the_same_from_its_own_tokenizer_json([Values] bool uncased)
    {
        using var folder = new TemporaryFolder();
        var tokenizer = WordPieceTokenizer.FromVocabulary(
            ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "É", "é", "e", "##\"\\", "<"], uncased);
        tokenizer.SaveJson(folder.File("tokenizer.json"));
        var again = WordPieceTokenizer.Load(folder.Root);
        Assert.That((again.Uncased, again.PadId), Is.EqualTo((uncased, 2)));
        Assert.That(again.Vocabulary, Is.EqualTo(tokenizer.Vocabulary));
    }

    [Test]
    public void A_config_far_too_large_for_its_weights_is_refused_before_memory_is_taken()
    {
        using var folder = new TemporaryFolder();
        ModelFolder.Save(folder.File("model"), TinyDistilBert.Create(), Tokenizer);
        var path = Path.Combine(folder.File("model"), "config.json");
        var config = Json(folder, "config.json");
        (config["dim"], config["n_heads"], config["n_layers"], config["hidden_dim"]) =
            (20_000, 1, 2_000_000_000, 40_000);
        File.WriteAllText(path, config.ToJsonString());
        var before = GC.GetTotalAllocatedBytes();
        Assert.That(() => ModelFolder.Load(folder.File("model")),
            Throws.TypeOf<InputException>().With.Message.Contains("ask for").And.Message
                .Contains("n_layers 2000000000"));
        Assert.That(GC.GetTotalAllocatedBytes() - before, Is.LessThan(50_000_000));
    }

    private static readonly (string Name, long[] Shape)[] MaskedLanguageHead =
        [("vocab_transform.weight", [12, 12]), ("vocab_transform.bias", [12]), ("vocab_layer_norm.weight", [12]),
            ("vocab_layer_norm.bias", [12]), ("vocab_projector.weight", [30, 12]), ("vocab_projector.bias", [30])];

    private static JsonNode Json(TemporaryFolder folder, string name) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(folder.File("model"), name)))!;

    private static void Write(TemporaryFolder folder, EncoderForSequenceClassification model, Form form)
    {
        var root = Directory.CreateDirectory(folder.File("model")).FullName;
        File.WriteAllText(Path.Combine(root, "config.json"),
            (form.Head ? model.Config : model.Config with { Labels = ["x", "y"] }).ToJson());
        if (form.TokenizerJson)
        {
            Tokenizer.SaveJson(Path.Combine(root, "tokenizer.json"));
        }
        else
        {
            Tokenizer.SaveVocabulary(Path.Combine(root, "vocab.txt"));
        }
        var tensors = model.NamedParameters()
            .Where(entry => form.Head || entry.Path.StartsWith("distilbert.", StringComparison.Ordinal))
            .Select(entry => (Name: Renamed(entry.Path, form),
                Tensor: Tensor(entry, Renamed(entry.Path, form), form.Type)))
            .Concat(form.Head ? [] : MaskedLanguageHead.Select(entry =>
                (entry.Name, Tensor: TensorToWrite.Floats(entry.Name, entry.Shape,
                    new float[entry.Shape.Aggregate(1L, (a, b) => a * b)], form.Type)))).ToList();
        if (form.Shards == 1)
        {
            SafeTensorsWriter.Write(Path.Combine(root, "model.safetensors"), tensors.Select(entry => entry.Tensor),
                new Dictionary<string, string> { ["format"] = "pt" });
            return;
        }
        string Shard(int i) => $"model-{i % form.Shards + 1:00000}-of-{form.Shards:00000}.safetensors";
        foreach (var shard in tensors.Index().GroupBy(entry => Shard(entry.Index)))
        {
            SafeTensorsWriter.Write(Path.Combine(root, shard.Key), shard.Select(entry => entry.Item.Tensor));
        }
        File.WriteAllText(Path.Combine(root, "model.safetensors.index.json"),
            JsonSerializer.Serialize(
                new
                {
                    metadata = new { total_size = 1 },
                    weight_map = tensors.Index()
                    .ToDictionary(entry => entry.Item.Name, entry => Shard(entry.Index))
                }));
    }

    private static TensorToWrite Tensor((string Path, Parameter Parameter) entry, string name, DType type) =>
        TensorToWrite.Of(name, entry.Parameter, type);

    private static string Renamed(string path, Form form)
    {
        if (form.OldNorms && path.Contains("orm."))
        {
            path = path.EndsWith(".weight", StringComparison.Ordinal) ? path[..^6] + "gamma" : path[..^4] + "beta";
        }
        return form.Prefix || !path.StartsWith("distilbert.", StringComparison.Ordinal)
            ? path : path["distilbert.".Length..];
    }
}
