using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Every fault that can be put into a sound adapter folder is found and named, with its model at
/// hand and without.
/// </summary>
internal sealed class AdapterCheckTests
{
    private const string Q0 = "base_model.model.distilbert.transformer.layer.0.attention.q_lin";
    private const string V1 = "base_model.model.distilbert.transformer.layer.1.attention.v_lin";

    /// <summary>name, change, what the check says without a model, what it says with one</summary>
    private static IEnumerable<TestCaseData> Faults()
    {
        (string Name, Action<AdapterFolder> Damage, string Alone, string WithModel)[] rows =
        [
            ("A without B", folder => folder.Remove($"{Q0}.lora_B.weight"), "stands alone: '",
                "the layer's other matrix is there"),
            ("B without A", folder => folder.Remove($"{V1}.lora_A.weight"), "stands alone: '",
                "the layer's other matrix is there"),
            ("a rank that the config does not say", folder => folder.Config["r"] = 3,
                "do not fit r = 3 of adapter_config.json", "mend r (3) or rank_pattern there"),
            ("a rank pattern that the file contradicts",
                folder => folder.Config["rank_pattern"] = new JsonObject { ["v_lin"] = 5 }, "do not fit r = 5",
                    "mend r (2) or rank_pattern there"),
            ("matrices the other way round", folder => folder.Transpose($"{Q0}.lora_A.weight", $"{Q0}.lora_B.weight"),
                "stored the other way round", "it is the transpose"),
            ("NaN", folder => folder.Set($"{V1}.lora_A.weight", 7, float.NaN), "element 7 is NaN", "element 7 is NaN"),
            ("infinity in the head",
                folder => folder.Set("base_model.model.classifier.bias", 1, float.PositiveInfinity), "element 1 is",
                    "element 1 is"),
            ("a wrong prefix", folder =>
                folder.Rename($"{Q0}.lora_A.weight", $"{Q0}.lora_A.weight"["base_model.".Length..]),
                "would load nothing from this one", "the names in an adapter begin with"),
            ("the adapter's name in a key",
                folder => folder.Rename($"{Q0}.lora_A.weight", $"{Q0}.lora_A.default.weight"),
                    "an adapter's own name stands in it", "an adapter's own name stands in it"),
            ("loralib's names", folder =>
                folder.RenameAll(name => name.Replace("base_model.model.", "").Replace(".weight", "")),
                "is of loralib's convention", "is of loralib's convention"),
            ("the tutorials' names",
                folder => folder.RenameAll(name => name.Replace("base_model.model.", "")
                    .Replace(".lora_A.weight", ".lora.A").Replace(".lora_B.weight", ".lora.B")),
                "is of tutorial's convention", "is of tutorial's convention"),
            ("no head", folder => folder.RemoveAll("classifier"), "the head is missing",
                "the adapter was saved without its trained head"),
            ("half a head", folder => folder.RemoveAll("pre_classifier"),
                "a part of the head is missing: 'base_model.model.pre_classifier.weight'",
                    "the adapter was saved without its trained head"),
            ("a layer that no target means", folder => folder.Config["target_modules"] = new JsonArray("q_lin"),
                "does not mean it, and they would not be loaded", "target_modules means no layer"),
            ("a bias of B that nothing asks for", folder => folder.Add($"{Q0}.lora_B.bias", 12),
                "lora_bias in the config does not ask for one", "lora_bias in the config does not ask for one"),
            ("DoRA's magnitudes", folder => folder.Add($"{Q0}.lora_magnitude_vector", 12), "it belongs to DoRA",
                "it belongs to DoRA"),
            ("a bias under two names", folder => folder.Add("base_model.model.classifier.base_layer.bias", 2),
                "it is the same parameter as", "it is the same parameter as"),
            ("an alpha of 0", folder => folder.Config["lora_alpha"] = 0, "lora_alpha is 0", "lora_alpha is 0"),
            ("matrices without columns", folder => folder.Empty($"{Q0}.lora_A.weight", $"{Q0}.lora_B.weight"),
                "do not fit r = 2", "mis-shaped"),
            ("a pattern that is no expression", folder => folder.Config["rank_pattern"] = new JsonObject { ["("] = 5 },
                "'(' is no regular expression", "'(' is no regular expression"),
            ("a short name of loralib's", folder => folder.Rename($"{Q0}.lora_A.weight", "q.lora_A"),
                "is of loralib's convention", "is of loralib's convention"),
            ("an unsupported setting", folder => folder.Config["use_dora"] = true, "use_dora is true",
                "use_dora is true"),
            ("integers", folder => folder.Integers("base_model.model.classifier.bias"), "expected one of F32",
                "expected one of F32"),
            ("no config", folder => folder.Delete(PeftAdapter.ConfigName), "adapter_config.json: there is no such file",
                "adapter_config.json: there is no such file"),
            ("no tensors", folder => folder.Delete(PeftAdapter.WeightsName), "adapter_model.safetensors: no such file",
                "adapter_model.safetensors: no such file"),
            ("an empty file of tensors", folder => folder.RemoveAll(""), "there is no tensor in it", "missing '"),
        ];
        return rows.SelectMany(row => new[]
        {
            new TestCaseData(row.Damage, false, row.Alone).SetArgDisplayNames(row.Name, "alone"),
            new TestCaseData(row.Damage, true, row.WithModel).SetArgDisplayNames(row.Name, "with the model"),
        });
    }

    [TestCaseSource(nameof(Faults))]
    public void A_fault_is_an_error(Action<AdapterFolder> damage, bool withModel, string message)
    {
        using var folder = new AdapterFolder();
        Assert.That(Errors(folder, withModel), Is.Empty, "sound before");
        damage(folder);
        folder.Write();
        Assert.That(Errors(folder, withModel), Has.Some.Contains(message));
    }

    /// <summary>name, change, the warning without a model, what is said with one</summary>
    private static IEnumerable<TestCaseData> ForeignNames()
    {
        (string Name, Action<AdapterFolder> Change, string Alone, FindingKind Kind, string WithModel)[] rows =
        [
            ("a target of this model without matrices",
                folder => folder.Config["target_modules"] = new JsonArray("q_lin", "v_lin", "k_lin"),
                "target_modules has 'k_lin'", FindingKind.Error, "but the file has nothing for it"),
            ("a target of another model",
                folder => folder.Config["target_modules"] = new JsonArray("q_lin", "v_lin", "query"),
                "target_modules has 'query'", FindingKind.Warning, "target_modules has 'query', which means no layer"),
            ("a pattern for no layer", folder => folder.Config["alpha_pattern"] = new JsonObject { ["k_lin"] = 5 },
                "alpha_pattern has 'k_lin'", FindingKind.Warning, "alpha_pattern has 'k_lin', which means no layer"),
            ("a saved module of another model", folder => folder.Config["modules_to_save"] = new JsonArray("pooler"),
                "modules_to_save names 'pooler'", FindingKind.Warning, "which neither the model nor the file has"),
        ];
        return rows.Select(row => new TestCaseData(row.Change, row.Alone, row.Kind, row.WithModel)
            .SetArgDisplayNames(row.Name));
    }

    [TestCaseSource(nameof(ForeignNames))]
    public void A_name_without_tensors_is_a_fault_only_where_the_model_has_such_a_layer(
        Action<AdapterFolder> change, string alone, FindingKind kind, string withModel)
    {
        using var folder = new AdapterFolder();
        change(folder);
        folder.Write();
        Assert.That(AdapterCheck.Run(folder.Path).Where(finding => finding.Kind == FindingKind.Warning)
            .Select(finding => finding.Message), Has.One.Contains(alone));
        Assert.That(Errors(folder, withModel: false), Is.Empty);
        Assert.That(AdapterCheck.Run(folder.Path, TinyDistilBert.Create()).Where(finding => finding.Kind == kind)
            .Select(finding => finding.Message), Has.Some.Contains(withModel));
        Assert.That(Errors(folder, withModel: true), kind == FindingKind.Error ? Is.Not.Empty : Is.Empty);
    }

    [Test]
    public void All_faults_are_listed_and_not_only_the_first([Values] bool withModel)
    {
        using var folder = new AdapterFolder();
        folder.Remove($"{Q0}.lora_B.weight");
        folder.Set($"{V1}.lora_A.weight", 0, float.NaN);
        folder.RemoveAll("pre_classifier.bias");
        folder.Add($"{Q0}.lora_magnitude_vector", 12);
        folder.Write();
        var errors = Errors(folder, withModel);
        Assert.That(errors, Has.Length.EqualTo(4).And.Some.Contains("lora_B.weight").And.Some.Contains("NaN").And.Some
            .Contains("pre_classifier.bias").And.Some.Contains("DoRA"));
    }

    [Test]
    public void An_untrained_B_and_a_lost_A_are_warnings([Values] bool withModel)
    {
        using var folder = new AdapterFolder();
        folder.Zero($"{Q0}.lora_B.weight");
        folder.Write();
        var findings = AdapterCheck.Run(folder.Path, withModel ? TinyDistilBert.Create() : null);
        Assert.That(findings.Select(finding => finding.Kind), Has.None.EqualTo(FindingKind.Error));
        Assert.That(findings.Where(finding => finding.Kind == FindingKind.Warning).Select(finding => finding.Message),
            Has.One.Contains("lora_B.weight").And.One.Contains("all zero"));
    }

    [Test]
    public void A_tokenizer_that_would_give_other_ids_is_an_error()
    {
        using var folder = new AdapterFolder();
        var model = TinyDistilBert.Create();
        var tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);
        tokenizer.SaveJson(Path.Combine(folder.Path, "tokenizer.json"));
        Assert.That(Errors(), Is.Empty);
        File.WriteAllText(Path.Combine(folder.Path, "added_tokens.json"), """{"goodness": 30}""");
        Assert.That(Errors(), Has.One.Contains("added token 'goodness' with id 30"));

        IEnumerable<string> Errors() => AdapterCheck.Run(folder.Path, model, tokenizer)
            .Where(finding => finding.Kind == FindingKind.Error).Select(finding => finding.Message);
    }

    [Test]
    public void The_scale_is_said_in_every_convention_and_the_base_compared()
    {
        using var folder = new AdapterFolder();
        var notes = AdapterCheck.Run(folder.Path, TinyDistilBert.Create())
            .Where(finding => finding.Kind == FindingKind.Note).Select(finding => finding.Message).ToList();
        Assert.That(notes, Has.One.Contains("4 layers: s = alpha-over-rank = 3 with lora_alpha 6 and r 2; alpha "
            + "would be 6, alpha-over-sqrt-rank would be 4.24264"));
        Assert.That(notes, Has.One.Contains("4 hashes agree"));
        var other = TinyDistilBert.Create();
        other.NamedParameters().Single(entry =>
            entry.Path.EndsWith("0.attention.q_lin.weight", StringComparison.Ordinal)).Parameter.Set(new float[144]);
        Assert.That(AdapterCheck.Run(folder.Path, other).Where(finding => finding.Kind == FindingKind.Error)
            .Select(finding => finding.Message),
            Has.One.Contains("trained on another base: W of distilbert.transformer.layer.0.attention.q_lin"));
    }

    [Test]
    public void The_reference_librarys_folder_is_sound()
    {
        var reference = System.IO.Path
            .Combine(Environment.GetEnvironmentVariable("LORASCRATCH_DATA") ?? "", "peft", "distilbert-imdb-r8-a32");
        if (!Directory.Exists(reference))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with peft/distilbert-imdb-r8-a32.");
        }
        Assert.That(AdapterCheck.Run(reference).Where(finding => finding.Kind != FindingKind.Note), Is.Empty);
    }

    private static string[] Errors(AdapterFolder folder, bool withModel) =>
        [.. AdapterCheck.Run(folder.Path, withModel ? TinyDistilBert.Create() : null)
            .Where(finding => finding.Kind == FindingKind.Error).Select(finding => finding.Message)];

    /// <summary>
    /// An adapter of the tiny DistilBERT with its head, sound until it is changed and written
    /// again.
    /// </summary>
    public sealed class AdapterFolder : IDisposable
    {
        private readonly TemporaryFolder root = new();
        private readonly Dictionary<string, (long[] Shape, float[] Values)> tensors = [];
        private readonly HashSet<string> deleted = [], integers = [];
        private readonly Dictionary<string, string> metadata;

        public AdapterFolder()
        {
            var model = TinyDistilBert.Create();
            var adapter = LoRAAdapter.Attach(model, new LoRASettings(TinyDistilBert.Rank, TinyDistilBert.Alpha),
                ["q_lin", "v_lin"], new RandomStream(1), ["pre_classifier", "classifier"]);
            foreach (var (_, layer) in adapter.Layers)
            {
                layer.Lora.B.Set(new RandomStream(5).Normal(layer.Lora.B.Shape.Count, 1));
            }
            PeftAdapter.Save(Path, adapter);
            Config = JsonNode.Parse(File.ReadAllText(System.IO.Path.Combine(Path, PeftAdapter.ConfigName)))!.AsObject();
            using var file = SafeTensorsFile.Open(System.IO.Path.Combine(Path, PeftAdapter.WeightsName));
            metadata = file.Metadata.ToDictionary();
            foreach (var tensor in file.Tensors.Values)
            {
                var values = new float[tensor.ElementCount];
                file.Read(tensor.Name, values);
                tensors[tensor.Name] = ([.. tensor.Shape], values);
            }
        }

        public string Path => root.File("adapter");

        public JsonObject Config { get; }

        public void Remove(string name) => Assert.That(tensors.Remove(name), name);

        public void RemoveAll(string part) =>
            tensors.Keys.Where(name => name.Contains(part)).ToList().ForEach(name => tensors.Remove(name));

        public void Set(string name, int element, float value) => tensors[name].Values[element] = value;

        public void Zero(string name) => tensors[name].Values.AsSpan().Clear();

        public void Add(string name, int size) => Add(name, [size], new float[size]);

        public void Add(string name, long[] shape, float[] values) => tensors.Add(name, (shape, values));

        /// <summary>Makes a pair of matrices [r, 0] and [0, r].</summary>
        public void Empty(string a, string b) =>
            (tensors[a], tensors[b]) = (([TinyDistilBert.Rank, 0], []), ([0, TinyDistilBert.Rank], []));

        public void Integers(string name) => integers.Add(name);

        public void Delete(string file) => deleted.Add(file);

        public void Rename(string name, string newName)
        {
            tensors[newName] = tensors[name];
            tensors.Remove(name);
        }

        public void RenameAll(Func<string, string> rename) =>
            tensors.Keys.Where(name => name.Contains("lora")).ToList().ForEach(name => Rename(name, rename(name)));

        public void Transpose(params string[] names)
        {
            foreach (var name in names)
            {
                tensors[name] = ([.. tensors[name].Shape.Reverse()], tensors[name].Values);
            }
        }

        public void Write()
        {
            File.WriteAllText(System.IO.Path.Combine(Path, PeftAdapter.ConfigName), Config.ToJsonString());
            SafeTensorsWriter.Write(System.IO.Path.Combine(Path, PeftAdapter.WeightsName),
                tensors.Select(entry => integers.Contains(entry.Key)
                ? TensorToWrite.Integers(entry.Key, entry.Value.Shape, new long[entry.Value.Values.Length])
                : TensorToWrite.Floats(entry.Key, entry.Value.Shape, entry.Value.Values)), metadata);
            foreach (var file in deleted)
            {
                File.Delete(System.IO.Path.Combine(Path, file));
            }
        }

        public void Dispose() => root.Dispose();
    }
}
