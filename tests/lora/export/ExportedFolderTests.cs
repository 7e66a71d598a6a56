using System.Text.Json.Nodes;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Export;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Exported folders have the tensors and keys of transformers' own checkpoints, which
/// tests/reference/families.py knows.
/// </summary>
[TestFixtureSource(typeof(TinyFamily), nameof(TinyFamily.Names))]
internal sealed class ExportedFolderTests(string name)
{
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);
    private readonly TinyFamily family = TinyFamily.Of(name);
    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [TestCase("plain")]
    [TestCase("with an adapter")]
    [TestCase("low-rank")]
    [TestCase("dynamic INT8")]
    public void Its_tensors_are_those_of_transformers_and_its_logits_ours(string form)
    {
        var model = family.Create();
        var expected = Logits(model);
        switch (form)
        {
            case "with an adapter":
                TinyFamily.Adapt(model);
                expected = Logits(model);
                break;
            case "low-rank":
                var compression = ModelCompression.Of(model, [ModulePattern.Named("query")]);
                model = CompressedModel.Of(model, compression, [.. compression.Layers.Select(_ => (int?)3)]);
                TinyFamily.Adapt(model);
                expected = Logits(model);
                break;
            case "dynamic INT8":
                using (var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model,
                    [ModulePattern.Named("query")])))
                {
                    quantization.Apply();
                }
                break;
        }
        using var classifier = new TextClassifier(model, Tokenizer);
        ModelExport.ToFolder(classifier, folder.File("model"));

        using var files = Checkpoint.Open(folder.File("model"));
        Assert.That(files.Tensors.Values.Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]"),
            Is.EquivalentTo(family.Reference.GetProperty("shapes").EnumerateObject().Select(tensor =>
                $"{tensor.Name} [{string.Join(", ", tensor.Value.EnumerateArray())}]")));
        var config = Config("model");
        Assert.That(((string?)config["model_type"], (string?)config["architectures"]![0],
            (string?)config["id2label"]!["2"]),
            Is.EqualTo((name, family.Config.Family.ClassifierArchitecture, "c")));
        var loaded = ModelFolder.Load(folder.File("model"));
        Assert.That(loaded.Notices(), Is.Empty);
        Assert.That(Logits(loaded.Model), Is.EqualTo(expected).Within(form == "dynamic INT8" ? 0.05 : 1e-5));
    }

    [Test]
    public void An_encoder_has_the_names_of_the_class_without_a_head()
    {
        var model = family.Create();
        using var classifier = new TextClassifier(model, Tokenizer, isHeadUntrained: true);
        ModelExport.ToFolder(classifier, folder.File("encoder"), encoderOnly: true);
        using var files = Checkpoint.Open(folder.File("encoder"));
        var trunk = $"{family.Config.Family.Trunk}.";
        Assert.That(files.Tensors.Keys, Is.EquivalentTo(model.NamedParameters().Select(entry => entry.Path)
            .Where(path => path.StartsWith(trunk, StringComparison.Ordinal)).Select(path => path[trunk.Length..])));
        var config = Config("encoder");
        Assert.That((string?)config["architectures"]![0], Is.EqualTo($"{family.Config.Family.Architecture}Model"));
        Assert.That(config.ContainsKey("id2label"), Is.False);
        var loaded = ModelFolder.Load(folder.File("encoder"));
        Assert.That(loaded.Report.Initialized, Is.EquivalentTo(family.Config.Family.Head.OwnParameters));
        Assert.That(Forward.Hidden(loaded.Model, family.Texts), Is.EqualTo(Forward.Hidden(model, family.Texts)));
    }

    private JsonObject Config(string model) =>
        JsonNode.Parse(File.ReadAllText(folder.File($"{model}/config.json")))!.AsObject();

    private float[] Logits(EncoderForSequenceClassification model) => Forward.Logits(model, family.Texts);
}
