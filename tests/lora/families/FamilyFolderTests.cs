using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Model folders of every family, in the forms that checkpoints come in, and adapters that PEFT
/// wrote for them.
/// </summary>
[TestFixtureSource(typeof(TinyFamily), nameof(TinyFamily.Names))]
internal sealed class FamilyFolderTests(string name)
{
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);
    private readonly TinyFamily family = TinyFamily.Of(name);
    private TemporaryFolder folder = null!;

    private string Trunk => family.Config.Family.Trunk;

    private IReadOnlyList<string> Head => family.Config.Family.Head.OwnParameters;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void A_saved_model_is_read_again_bit_for_bit()
    {
        ModelFolder.Save(folder.File("model"), family.Create(), Tokenizer);
        var loaded = ModelFolder.Load(folder.File("model"));
        Assert.That(loaded.Notices(), Is.Empty);
        Assert.That(Bits(loaded.Model), Is.EqualTo(Bits(family.Create())));
        ModelFolder.Save(folder.File("again"), loaded.Model, Tokenizer);
        foreach (var file in (string[])["config.json", "model.safetensors"])
        {
            Assert.That(File.ReadAllBytes(Path.Combine(folder.File("again"), file)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(folder.File("model"), file))), file);
        }
    }

    [Test]
    public void The_config_has_every_key_of_transformers_with_its_value()
    {
        ModelFolder.Save(folder.File("model"), family.Create(), Tokenizer);
        var written = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.File("model"), "config.json")))!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(family.Reference.GetProperty("config").GetRawText())!.AsObject())
        {
            Assert.That(written.TryGetPropertyValue(key, out var found), key);
            Assert.That(JsonNode.DeepEquals(found, value) || $"{(double?)found}" == $"{(double?)value}", Is.True,
                $"{key} is {found?.ToJsonString()}, {value?.ToJsonString()} expected");
        }
        Assert.That(written.Select(entry => entry.Key).Except(family.Reference.GetProperty("config").EnumerateObject()
            .Select(entry => entry.Name)), Is.EquivalentTo(new[] { "problem_type", "torch_dtype" }));
    }

    [Test]
    public void Every_form_of_a_checkpoint_is_loaded([Values(DType.F32, DType.F16, DType.BF16)] DType type,
        [Values(1, 3)] int shards, [Values] bool prefix, [Values] bool oldNorms, [Values] bool head)
    {
        var model = family.Create();
        Write("model", model, path => !head && Head.Contains(path) ? null : Renamed(path, prefix, oldNorms), type,
            shards);
        var loaded = ModelFolder.Load(folder.File("model"), seed: 7, labels: ["a", "b", "c"]);
        var tolerance = type switch { DType.F32 => 0, DType.F16 => 1e-3, _ => 8e-3 };
        foreach (var ((path, ours), (_, again)) in model.NamedParameters().Zip(loaded.Model.NamedParameters())
            .Where(entry => head || !Head.Contains(entry.First.Path)))
        {
            Assert.That(again.ToArray(), Is.EqualTo(ours.ToArray()).Within(tolerance), path);
        }
        Assert.That(loaded.Report.Initialized, head ? Is.Empty : Is.EquivalentTo(Head));
        Assert.That(loaded.Report.Ignored, Is.Empty);
        Assert.That(loaded.Model.IsPoolerUntrained, Is.False);
    }

    [Test]
    public void Heads_of_other_tasks_are_no_classifiers([Values("ForTokenClassification", "ForMultipleChoice")]
        string task)
    {
        var config = JsonNode.Parse(family.Config.ToJson())!;
        config["architectures"] = new JsonArray(family.Config.Family.Architecture + task);
        Write("model", family.Create(), path => Head.Contains(path) ? null : path,
            more: [("classifier.weight", [3, 12]), ("classifier.bias", [3])], config: config.ToJsonString());
        var loaded = ModelFolder.Load(folder.File("model"), labels: ["down", "up"]);
        Assert.That(loaded.Report.Initialized, Is.EquivalentTo(Head));
        Assert.That(string.Join(' ', loaded.Notices()),
            Does.Contain($"but one of {(task == "ForMultipleChoice" ? "multiple choice" : "tokens")}; randomly"));
    }

    [Test]
    public void What_belongs_to_pretraining_is_ignored_and_said()
    {
        var others = family.Config.Family.OtherHeads.Select(other => ($"{other}dense.weight", new long[] { 2, 2 }));
        (string, long[])[] more = [.. others, ($"{Trunk}.embeddings.position_ids", [1, 16])];
        Write("model", family.Create(), path => path, more: more);
        var loaded = ModelFolder.Load(folder.File("model"));
        Assert.That(loaded.Report.Ignored, Is.EquivalentTo(more.Select(entry => entry.Item1)));
        Assert.That(loaded.Notices().Single(), Does.Contain("a classifier has no use for them"));
    }

    [Test]
    public void A_missing_layer_is_named_with_its_family()
    {
        var lost = $"{Trunk}.encoder.layer.1.output.dense.bias";
        Write("model", family.Create(), path => path == lost ? null : path);
        Assert.That(() => ModelFolder.Load(folder.File("model")), Throws.TypeOf<InputException>().With.Message
            .Contains($"those of a {family.Config.Family.Name} classifier").And.Message.Contains($"1 missing: {lost}"));
    }

    [Test]
    public void An_adapter_that_PEFT_wrote_is_loaded_and_written_back_under_the_same_names()
    {
        var model = family.Create();
        TinyFamily.Adapt(model);
        var expected = Logits(model);
        WritePeft("peft");
        var findings = AdapterCheck.Run(folder.File("peft"), family.Create());
        Assert.That(findings.Where(finding => finding.Kind == FindingKind.Error), Is.Empty);

        var fresh = family.Create();
        var loaded = PeftAdapter.Load(folder.File("peft"), fresh);
        Assert.That(Logits(fresh), Is.EqualTo(expected).Within(1e-6));
        Assert.That(PeftAdapter.ReadClassCount(folder.File("peft")), Is.EqualTo(3));
        PeftAdapter.Save(folder.File("ours"), loaded.Adapter);
        Assert.That(Tensors("ours"), Is.EquivalentTo(Tensors("peft")));
    }

    [Test]
    public void An_adapter_without_its_whole_head_is_refused()
    {
        WritePeft("half", without: Head[^1]);
        Assert.That(AdapterCheck.Run(folder.File("half")).Select(finding => finding.Message),
            Has.Some.Contains($"a part of the head is missing: 'base_model.model.{Head[^1]}'"));
        Assert.That(() => PeftAdapter.Load(folder.File("half"), family.Create()),
            Throws.TypeOf<InputException>().With.Message.Contains($"missing 'base_model.model.{Head[^1]}'"));
    }

    [Test]
    public void The_default_targets_are_those_of_PEFTs_map()
    {
        var patterns = LoRATargets.Patterns(family.Config.Family, LoRATargets.Default);
        Assert.That(patterns.Select(pattern => $"{pattern}"), Is.EqualTo(new[] { "query", "value" }));
    }

    [Test]
    public void Every_target_name_means_its_layers_and_no_others()
    {
        var block = $"{Trunk}.encoder.layer.";
        string[] Layers(params string[] names) =>
            [.. new[] { 0, 1 }.SelectMany(i => names.Select(layer => $"{block}{i}.{layer}"))];
        string[] head =
            name == "bert" ? ["bert.pooler.dense", "classifier"] : ["classifier.dense", "classifier.out_proj"];
        (string Name, string[] Paths)[] expected =
        [
            ("query", Layers("attention.self.query")), ("key", Layers("attention.self.key")),
            ("value", Layers("attention.self.value")), ("projection", Layers("attention.output.dense")),
            ("mlp", Layers("intermediate.dense", "output.dense")),
            ("embeddings", [$"{Trunk}.embeddings.word_embeddings"]), ("head", head),
        ];
        var paths = family.Create().NamedModules<WeightLayer>().Select(entry => entry.Path).ToList();
        Assert.That(expected.Select(entry => entry.Name), Is.EqualTo(LoRATargets.Names));
        foreach (var (target, meant) in expected)
        {
            var patterns = LoRATargets.Patterns(family.Config.Family, [target]);
            Assert.That(paths.Where(path => patterns.Any(pattern => pattern.Matches(path))), Is.EquivalentTo(meant),
                target);
        }
    }

    [Test]
    public void The_parameters_of_its_encoder_are_counted_without_making_it()
    {
        var made = family.Create().NamedParameters()
            .Where(entry => !family.Config.Family.Head.AllParameters.Contains(entry.Path))
            .Sum(entry => entry.Parameter.Shape.Count);
        Assert.That(ModelSize.EncoderParameters(family.Config), Is.EqualTo(made));
    }

    [Test]
    public void Training_draws_a_mask_for_every_dropout_of_transformers()
    {
        var model = family.Classifier(dropout: 0.1f).Model;
        model.Train();
        using var scope = new TensorScope();
        using var tokens = PackedTokens.From([[2, 7, 3]]);
        var before = model.DropoutStream.Position;
        _ = model.Forward(tokens);
        var drawn = model.DropoutStream.Position - before;
        // embeddings; in each block the probabilities, the attention's output, the feed-forward layers; the head
        Assert.That(drawn / SeedWords(), Is.EqualTo(1 + 2 * 3 + (name == "bert" ? 1 : 2)));
    }

    private static ulong SeedWords()
    {
        var stream = new RandomStream(1);
        stream.NextSeed();
        return stream.Position;
    }

    private string[] Tensors(string adapter)
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder.File(adapter), "adapter_model.safetensors"));
        return [.. file.Tensors.Values.Select(tensor => tensor.ToString())];
    }

    /// <summary>The script's LoRA as PEFT stores it: both matrices transposed.</summary>
    private void WritePeft(string to, string? without = null)
    {
        var model = family.Create();
        var adapter = TinyFamily.Adapt(model);
        var root = Directory.CreateDirectory(folder.File(to)).FullName;
        File.WriteAllText(Path.Combine(root, "adapter_config.json"), """
            {"peft_type": "LORA", "task_type": "SEQ_CLS", "r": 2, "lora_alpha": 6, "target_modules": ["query",
             "value"], "modules_to_save": ["classifier", "score"]}
            """);
        var matrices = adapter.Layers.SelectMany(entry => new[]
        {
            Transposed($"base_model.model.{entry.Path}.lora_A.weight", entry.Layer.Lora.A),
            Transposed($"base_model.model.{entry.Path}.lora_B.weight", entry.Layer.Lora.B),
        });
        var head = model.NamedParameters().Where(entry => Head.Contains(entry.Path) && entry.Path != without)
            .Select(entry => TensorToWrite.Of($"base_model.model.{entry.Path}", entry.Parameter));
        SafeTensorsWriter.Write(Path.Combine(root, "adapter_model.safetensors"), [.. matrices, .. head]);
    }

    private static TensorToWrite Transposed(string key, Parameter parameter)
    {
        var (rows, columns, values) = (parameter.Shape[0], parameter.Shape[1], parameter.ToArray());
        return TensorToWrite.Floats(key, [columns, rows],
            Enumerable.Range(0, values.Length).Select(i => values[i % rows * columns + i / rows]).ToArray());
    }

    private string Renamed(string path, bool prefix, bool oldNorms)
    {
        if (oldNorms && path.Contains("LayerNorm."))
        {
            path = path.EndsWith(".weight", StringComparison.Ordinal) ? path[..^6] + "gamma" : path[..^4] + "beta";
        }
        return prefix || !path.StartsWith($"{Trunk}.", StringComparison.Ordinal) ? path : path[(Trunk.Length + 1)..];
    }

    private void Write(string to, EncoderForSequenceClassification model, Func<string, string?> rename,
        DType type = DType.F32, int shards = 1, (string Name, long[] Shape)[]? more = null, string? config = null)
    {
        var root = Directory.CreateDirectory(folder.File(to)).FullName;
        File.WriteAllText(Path.Combine(root, "config.json"), config ?? model.Config.ToJson());
        Tokenizer.SaveVocabulary(Path.Combine(root, "vocab.txt"));
        var tensors = model.NamedParameters().Where(entry => rename(entry.Path) is not null)
            .Select(entry => (Name: rename(entry.Path)!, Tensor: TensorToWrite.Of(rename(entry.Path)!, entry.Parameter,
                type)))
            .Concat((more ?? []).Select(entry => (entry.Name, Tensor: TensorToWrite.Floats(entry.Name, entry.Shape,
                new float[entry.Shape.Aggregate(1L, (a, b) => a * b)])))).ToList();
        if (shards == 1)
        {
            SafeTensorsWriter.Write(Path.Combine(root, "model.safetensors"), tensors.Select(entry => entry.Tensor));
            return;
        }
        string Shard(int i) => $"model-{i % shards + 1:00000}-of-{shards:00000}.safetensors";
        foreach (var shard in tensors.Index().GroupBy(entry => Shard(entry.Index)))
        {
            SafeTensorsWriter.Write(Path.Combine(root, shard.Key), shard.Select(entry => entry.Item.Tensor));
        }
        File.WriteAllText(Path.Combine(root, "model.safetensors.index.json"), new JsonObject
        {
            ["weight_map"] = new JsonObject(tensors.Index().Select(entry =>
                KeyValuePair.Create<string, JsonNode?>(entry.Item.Name, Shard(entry.Index)))),
        }.ToJsonString());
    }

    private float[] Logits(EncoderForSequenceClassification model) => Forward.Logits(model, family.Texts);

    private static string[] Bits(Module model) => [.. model.NamedParameters()
        .Select(entry => $"{entry.Path} {Convert.ToHexString(System.Runtime.InteropServices.MemoryMarshal
            .AsBytes<float>(entry.Parameter.ToArray()))}")];
}
