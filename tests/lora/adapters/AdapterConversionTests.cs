using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The same adapter in PEFT's, loralib's and the tutorials' convention: other names, another
/// orientation, another alpha, and the same model.
/// </summary>
public sealed class AdapterConversionTests
{
    /// <summary>
    /// Scale rules and ranks that differ from layer to layer; alpha ≠ rank, B ≠ 0.
    /// </summary>
    private static IEnumerable<LoRASettings> AllSettings() =>
    [
        new(3, 5), new(4, 16, LoRAScaling.Alpha), new(3, 7, LoRAScaling.AlphaOverSqrtRank, Dropout: 0.1f),
        new(2, 7) { RankPattern = new Dictionary<string, int> { ["v_lin"] = 5 },
            AlphaPattern = new Dictionary<string, double> { ["q_lin"] = 0.3 } },
        new(3, 5) { Bias = LoRABias.LoRAOnly }, new(3, 5) { Bias = LoRABias.All },
    ];

    [Test]
    public void Through_every_convention_and_back_the_logits_are_the_same([ValueSource(nameof(AllSettings))]
        LoRASettings settings, [Values] bool withHead)
    {
        using var folder = new TemporaryFolder();
        var logits = Trained(folder, settings, withHead);
        string[] path = ["tutorial", "loralib", "tutorial", "peft", "loralib", "peft", "peft"];
        var source = folder.File("adapter");
        foreach (var (i, name) in path.Index())
        {
            var target = folder.File($"{i}-{name}");
            var converted = AdapterConversion.Convert(source, target, AdapterConventions.Parse(name));
            Assert.That((converted.Layers, converted.Warnings.Count), Is.EqualTo((2, 0)));
            if (name == "peft")
            {
                var fresh = new Classifier(new RandomStream(1));
                var loaded = PeftAdapter.Load(target, fresh);
                Assert.That(loaded.Warnings, Is.Empty, "the base's fingerprint came along");
                using var scope = new TensorScope();
                Assert.That(fresh.Forward(LoRAAdapterTests.Input()).Doubles(), Is.EqualTo(logits).Within(1e-6),
                    string.Join(" → ", path.Take(i + 1)));
                Assert.That((loaded.Config.Dropout, loaded.Config.Bias), Is.EqualTo((settings.Dropout, settings.Bias)));
                Assert.That(AdapterCheck.Run(target).Where(finding => finding.Kind != FindingKind.Note), Is.Empty);
            }
            source = target;
        }
    }

    [TestCase("tutorial", "alpha", 16, 4)]
    [TestCase("loralib", "alpha", 16, 4)]
    [TestCase("tutorial", "alpha-over-rank", 5, 3)]
    [TestCase("loralib", "alpha-over-rank", 5, 3)]
    [TestCase("loralib", "alpha-over-sqrt-rank", 7, 4)]
    public void Each_file_means_the_same_change_of_W_by_its_own_formula(string convention, string rule, double alpha,
        int rank)
    {
        using var folder = new TemporaryFolder();
        Trained(folder, new LoRASettings(rank, alpha, LoRASettings.ParseScaling(rule)), withHead: true);
        AdapterConversion.Convert(folder.File("adapter"), folder.File("converted"),
            AdapterConventions.Parse(convention));
        using var file = SafeTensorsFile.Open(folder.File("converted"));
        var stored = double.Parse(file.Metadata["lora_alpha"], System.Globalization.CultureInfo.InvariantCulture);
        var fresh = new Classifier(new RandomStream(1));
        var ours = PeftAdapter.Load(folder.File("adapter"), fresh).Adapter;
        foreach (var (path, layer) in ours.Layers)
        {
            var s = rule switch { "alpha" => alpha, "alpha-over-rank" => alpha / rank, _ => alpha / Math.Sqrt(rank) };
            // (ΔW)ᵀ [in, out]
            var expected = Maths.Product(layer.Lora.A.Doubles(), layer.Lora.B.Doubles(), 6, rank, 6)
                .Select(value => s * value);
            var change = convention == "tutorial"
                ? Maths.Product(Read(file, $"{path}.lora.A", 6, rank), Read(file, $"{path}.lora.B", rank, 6), 6, rank,
                    6).Select(value => stored * value)
                : Maths.Transpose([.. Maths.Product(Read(file, $"{path}.lora_B", 6, rank),
                    Read(file, $"{path}.lora_A", rank, 6), 6, rank, 6).Select(value => stored / rank * value)], 6, 6);
            Assert.That(change, Is.EqualTo(expected).Within(1e-6));
        }
        Assert.That(file.Tensors.Keys, Does.Contain("pre_classifier.weight").And.Contain("classifier.bias"));
        Assert.That(file.Metadata["lora_convention"], Is.EqualTo(convention));
    }

    [Test]
    public void The_tutorials_default_run_becomes_PEFTs_documented_numbers()
    {
        using var folder = new TemporaryFolder();
        WriteTutorial(folder.File("run.safetensors"), rank: 8);
        var converted = AdapterConversion.Convert(folder.File("run.safetensors"), folder.File("peft"),
            AdapterConvention.Peft, alpha: 16);
        Assert.That(converted.Scale, Is.EqualTo("s = 16 with r 8: lora_alpha 128, divided by r"));
        var config = PeftConfig.Read(Path.Combine(folder.File("peft"), PeftAdapter.ConfigName));
        Assert.That((config.Rank, config.Alpha, config.TaskType, config.ModulesToSave),
            Is.EqualTo((8, 128.0, (string?)null, (IReadOnlyList<string>?)null)));
        Assert.That(config.TargetNames, Is.EqualTo(new[] { "distilbert.transformer.layer.0.attention.q_lin" }));
    }

    [Test]
    public void The_state_of_a_whole_model_gives_its_adapter_and_its_head()
    {
        using var folder = new TemporaryFolder();
        WriteTutorial(folder.File("whole.safetensors"), rank: 2,
            "distilbert.transformer.layer.0.attention.q_lin.linear.weight",
                "distilbert.transformer.layer.0.attention.q_lin.linear.bias",
            "distilbert.embeddings.LayerNorm.weight", "pre_classifier.weight", "pre_classifier.bias",
                "classifier.weight", "classifier.bias");
        var converted = AdapterConversion.Convert(folder.File("whole.safetensors"), folder.File("peft"),
            AdapterConvention.Peft, alpha: 1);
        Assert.That(converted.Warnings.Single(), Does.Contain("its 3 base tensors"));
        using var file = SafeTensorsFile.Open(Path.Combine(folder.File("peft"), PeftAdapter.WeightsName));
        Assert.That(file.Tensors.Keys.Select(key => key["base_model.model.".Length..])
            .Where(key => !key.Contains("lora")).Order(StringComparer.Ordinal),
            Is.EqualTo(new[] { "classifier.bias", "classifier.weight", "pre_classifier.bias",
                "pre_classifier.weight" }));
        Assert.That(PeftConfig.Read(Path.Combine(folder.File("peft"), PeftAdapter.ConfigName)),
            Has.Property("TaskType").EqualTo("SEQ_CLS").And.Property("Bias").EqualTo(LoRABias.None));
    }

    [Test]
    public void What_cannot_be_converted_is_refused_and_nothing_is_written()
    {
        using var folder = new TemporaryFolder();
        WriteTutorial(folder.File("run"), rank: 2);
        WriteTutorial(folder.File("half-head"), rank: 2, "classifier.weight");
        const string adapted = "distilbert.transformer.layer.0.attention.q_lin";
        WriteTutorial(folder.File("twice"), rank: 2, $"{adapted}.linear.bias", $"{adapted}.bias");
        SafeTensorsWriter.Write(folder.File("half"), [TensorToWrite.Floats("a.b.lora_A", [1, 3], new float[3])],
            new Dictionary<string, string> { ["lora_alpha"] = "1" });
        SafeTensorsWriter.Write(folder.File("none"), [TensorToWrite.Floats("a.weight", [1, 3], new float[3])]);
        SafeTensorsWriter.Write(folder.File("mixed"),
            [TensorToWrite.Floats("a.b.lora_A", [1, 3], new float[3]),
                TensorToWrite.Floats("a.b.lora.A", [1, 3], new float[3])]);
        SafeTensorsWriter.Write(folder.File("word"), [TensorToWrite.Floats("a.b.lora_A", [1, 3], new float[3])],
            new Dictionary<string, string> { ["lora_alpha"] = "large" });
        TensorToWrite[] pair = [TensorToWrite.Floats("a.b.lora_A", [1, 3], new float[3]),
            TensorToWrite.Floats("a.b.lora_B", [3, 1], new float[3])];
        SafeTensorsWriter.Write(folder.File("negative"), pair,
            new Dictionary<string, string> { ["lora_alpha"] = "1", ["lora_alpha.a.b"] = "-3" });
        SafeTensorsWriter.Write(folder.File("dropout"), pair,
            new Dictionary<string, string> { ["lora_alpha"] = "1", ["lora_dropout"] = "1" });
        Trained(folder, new LoRASettings(3, 5), withHead: false);
        var before = Directory.GetFileSystemEntries(folder.Root);
        void Refuse(string source, double? alpha, string message) =>
            Assert.That(() => AdapterConversion.Convert(folder.File(source), folder.File("out"), AdapterConvention.Peft,
                alpha), Throws.TypeOf<InputException>().With.Message.Contains(message), source);
        Refuse("run", null, "does not say its alpha");
        Refuse("run", 0, "alpha is 0; a number above 0");
        Refuse("half-head", 1, "has a part of the head only");
        Refuse("twice", 1, "are the same parameter");
        Refuse("half", null, "stands alone");
        Refuse("half", 2, "alpha is 2, but the metadata");
        Refuse("none", 1, "no tensor is named as a low-rank matrix");
        Refuse("mixed", 1, "of several conventions");
        Refuse("word", null, "lora_alpha in the metadata is 'large'");
        Refuse("negative", null, "lora_alpha.a.b in the metadata is -3; a number above 0");
        Refuse("dropout", null, "lora_dropout in the metadata is 1; a probability in [0, 1)");
        Refuse("adapter", 2, "says its own lora_alpha");
        Refuse(Path.Combine("adapter", PeftAdapter.WeightsName), 2, "Name the folder");
        Refuse("missing", 2, "no such file");
        Assert.That(Directory.GetFileSystemEntries(folder.Root), Is.EquivalentTo(before));
    }

    private static double[] Trained(TemporaryFolder folder, LoRASettings settings, bool withHead)
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, settings, ["q_lin", "v_lin"], new RandomStream(2),
            withHead ? ["pre_classifier", "classifier"] : null);
        LoRAAdapterTests.Train(model, new RandomStream(3));
        PeftAdapter.Save(folder.File("adapter"), adapter);
        using var scope = new TensorScope();
        return model.Forward(LoRAAdapterTests.Input()).Doubles();
    }

    private static double[] Read(SafeTensorsFile file, string name, int rows, int columns)
    {
        Assert.That(file.Tensors[name].Shape, Is.EqualTo(new long[] { rows, columns }), name);
        var values = new float[rows * columns];
        file.Read(name, values);
        return Array.ConvertAll(values, value => (double)value);
    }

    /// <summary>
    /// A state dict as the tutorials' layers give it, with some more tensors of 4 elements.
    /// </summary>
    private static void WriteTutorial(string path, int rank, params string[] more) => SafeTensorsWriter.Write(path,
        [
            TensorToWrite.Floats("distilbert.transformer.layer.0.attention.q_lin.lora.A", [4, rank],
                Enumerable.Range(1, 4 * rank).Select(i => i / 8f).ToArray()),
            TensorToWrite.Floats("distilbert.transformer.layer.0.attention.q_lin.lora.B", [rank, 4],
                Enumerable.Range(1, 4 * rank).Select(i => i / 4f).ToArray()),
            .. more.Select(name => TensorToWrite.Floats(name, [4], new float[4])),
        ]);
}
