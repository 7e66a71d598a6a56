using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

internal class ModelFolderTests
{
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);

    [Test]
    public void A_saved_model_loads_with_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        ModelFolder.Save(folder.File("model"), model, Tokenizer);
        var loaded = ModelFolder.Load(folder.File("model"));
        foreach (var ((path, ours), (_, again)) in model.NamedParameters().Zip(loaded.Model.NamedParameters()))
        {
            Assert.That(again.ToArray(), Is.EqualTo(ours.ToArray()), path);
        }
        Assert.That(loaded.Notices(), Is.Empty);
        Assert.That(((WordPieceTokenizer)loaded.Tokenizer).Vocabulary, Is.EqualTo(Tokenizer.Vocabulary));
        Assert.That(loaded.Model.Config.Labels, Is.EqualTo(model.Config.Labels));
    }

    [Test]
    public void The_file_has_exactly_the_tensors_of_a_Hugging_Face_classifier()
    {
        using var folder = new TemporaryFolder();
        ModelFolder.Save(folder.File("model"), TinyDistilBert.Create(), Tokenizer);
        using var file = SafeTensorsFile.Open(Path.Combine(folder.File("model"), "model.safetensors"));
        string[] ofLinear = ["weight", "bias"];
        string[] ofBlock = ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
            "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"];
        string[] modules = ["distilbert.embeddings.LayerNorm", "pre_classifier", "classifier",
            .. Enumerable.Range(0, 2)
                .SelectMany(i => ofBlock.Select(name => $"distilbert.transformer.layer.{i}.{name}"))];
        Assert.That(file.Tensors.Keys,
            Is.EquivalentTo(modules.SelectMany(module => ofLinear.Select(name => $"{module}.{name}"))
            .Concat(["distilbert.embeddings.word_embeddings.weight",
                "distilbert.embeddings.position_embeddings.weight"])));
        Assert.That(file.Metadata["format"], Is.EqualTo("pt"));
        Assert.That(file.Tensors["distilbert.transformer.layer.0.ffn.lin1.weight"].Shape,
            Is.EqualTo(new long[] { 20, 12 }));
    }

    [Test]
    public void A_quantised_model_is_loaded_without_room_for_its_float_weights()
    {
        using var folder = new TemporaryFolder();
        var config = TinyDistilBert.Config with { Hidden = 64, Heads = 4, FeedForward = 256 };
        var model = new EncoderForSequenceClassification(config, seed: 1);
        ModelFolder.Save(folder.File("float"), model, Tokenizer);
        ModelQuantizer.Quantize(ModelQuantizer.Find(model, [ModulePattern.AllLinear])
            .Where(layer => !layer.Path.Contains("classifier")).ToList(), new QuantizationFormat(4, 32));
        ModelFolder.Save(folder.File("packed"), model, Tokenizer);
        Assert.That(Peak("packed"), Is.LessThan(0.4 * Peak("float")));

        long Peak(string name)
        {
            using var backend = new CpuBackend(threads: 1);
            ModelFolder.Load(folder.File(name), backend: backend);
            return backend.Memory.PeakInUse;
        }
    }

    [Test]
    public void A_masked_language_model_with_old_names_becomes_a_classifier_with_a_drawn_head()
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        SaveAs(folder, model, DType.F32,
            name => name.StartsWith("distilbert.", StringComparison.Ordinal) ? OldName(name) : null,
            ("vocab_transform.weight", [12, 12]), ("vocab_layer_norm.bias", [12]), ("vocab_projector.bias", [30]));
        var loaded = ModelFolder.Load(folder.File("model"), seed: 7, labels: ["down", "up"]);
        Assert.That(loaded.Report.Ignored,
            Is.EquivalentTo(new[] { "vocab_transform.weight", "vocab_layer_norm.bias", "vocab_projector.bias" }));
        Assert.That(loaded.Report.Initialized, Is.EquivalentTo(loaded.Model.HeadPaths));
        Assert.That(loaded.Report.Renamed,
            Has.Member(("embeddings.LayerNorm.gamma", "distilbert.embeddings.LayerNorm.weight")));
        Assert.That(loaded.Notices().Count(), Is.EqualTo(3), "ignored, drawn and renamed are said");
        Assert.That(loaded.Model.Config.Labels, Is.EqualTo(new[] { "down", "up" }));
        Assert.That(Find(loaded.Model, "classifier.weight").Shape, Is.EqualTo(new Shape(2, 12)));
        var name = "distilbert.transformer.layer.1.output_layer_norm.weight";
        Assert.That(Find(loaded.Model, name).ToArray(), Is.EqualTo(Find(model, name).ToArray()));

        var again = ModelFolder.Load(folder.File("model"), seed: 7, labels: ["down", "up"]);
        var other = ModelFolder.Load(folder.File("model"), seed: 8, labels: ["down", "up"]);
        Assert.That(Find(again.Model, "pre_classifier.weight").ToArray(),
            Is.EqualTo(Find(loaded.Model, "pre_classifier.weight").ToArray()));
        Assert.That(Find(other.Model, "pre_classifier.weight").ToArray(),
            Is.Not.EqualTo(Find(loaded.Model, "pre_classifier.weight").ToArray()));
        Assert.That(Find(loaded.Model, "classifier.bias").ToArray(), Is.All.Zero);
    }

    [TestCase(DType.F16, 1e-3)]
    [TestCase(DType.BF16, 8e-3)]
    public void Half_precision_is_converted_and_said(DType type, double tolerance)
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        SaveAs(folder, model, type, name => name);
        var loaded = ModelFolder.Load(folder.File("model"));
        Assert.That(loaded.Notices().Single(), Does.Contain($"from {model.NamedParameters().Count()} {type}"));
        foreach (var ((path, ours), (_, again)) in model.NamedParameters().Zip(loaded.Model.NamedParameters()))
        {
            Assert.That(again.ToArray(), Is.EqualTo(ours.ToArray()).Within(tolerance), path);
        }
    }

    [Test]
    public void Missing_unexpected_and_misshaped_tensors_are_all_listed()
    {
        using var folder = new TemporaryFolder();
        SaveAs(folder, TinyDistilBert.Create(), DType.F32, name => name switch
        {
            "distilbert.transformer.layer.1.ffn.lin1.bias" => null,
            "classifier.bias" => null,
            "pre_classifier.weight" => null,
            _ => name,
        }, ("pre_classifier.weight", [12, 13]), ("pooler.dense.weight", [2]));
        var error = Assert.Throws<InputException>(() => ModelFolder.Load(folder.File("model")))!;
        Assert.That(error.Message,
            Does.Contain("2 missing: distilbert.transformer.layer.1.ffn.lin1.bias, classifier.bias")
            .And.Contains("1 unexpected: pooler.dense.weight").And
            .Contains("pre_classifier.weight is [12, 13], [12, 12] expected"));
    }

    [Test]
    public void A_weight_that_is_no_number_is_refused()
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        var values = Find(model, "classifier.bias").ToArray();
        values[1] = float.NaN;
        Find(model, "classifier.bias").Set(values);
        ModelFolder.Save(folder.File("model"), model, Tokenizer);
        Assert.That(() => ModelFolder.Load(folder.File("model")),
            Throws.TypeOf<InputException>().With.Message.Contains("element 1 of 'classifier.bias' is NaN"));
    }

    [Test]
    public void A_model_with_an_adapter_is_not_saved_until_it_is_merged()
    {
        using var folder = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        var adapter = TinyDistilBert.Adapt(model);
        Assert.That(() => ModelFolder.Save(folder.File("model"), model, Tokenizer),
            Throws.TypeOf<InputException>().With.Message.Contains("Merge or detach"));
        Assert.That(folder.Names, Is.Empty, "nothing may be left behind");
        adapter.MergeAndDetach();
        ModelFolder.Save(folder.File("model"), model, Tokenizer);
        Assert.That(ModelFolder.Load(folder.File("model")).Notices(), Is.Empty);
    }

    [Test]
    public void A_folder_with_foreign_files_is_not_replaced()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("model"));
        File.WriteAllText(Path.Combine(folder.File("model"), "thesis.txt"), "years of work");
        Assert.That(() => ModelFolder.Save(folder.File("model"), TinyDistilBert.Create(), Tokenizer),
            Throws.TypeOf<InputException>().With.Message.Contains("thesis.txt"));
        Assert.That(File.ReadAllText(Path.Combine(folder.File("model"), "thesis.txt")), Is.EqualTo("years of work"));
    }

    private static Parameter Find(Module model, string path) =>
        model.NamedParameters().Single(entry => entry.Path == path).Parameter;

    /// <summary>As older BERT files name it: no prefix, γ and β spelled out.</summary>
    private static string OldName(string name)
    {
        name = name["distilbert.".Length..];
        return !name.Contains("orm.") ? name : name.EndsWith(".weight", StringComparison.Ordinal)
            ? name[..^6] + "gamma" : name[..^4] + "beta";
    }

    /// <summary>
    /// Writes a model folder by hand: every tensor under another name (null: left out) and some
    /// more.
    /// </summary>
    private static void SaveAs(TemporaryFolder folder, EncoderForSequenceClassification model, DType type,
        Func<string, string?> rename, params (string Name, long[] Shape)[] more)
    {
        var root = Directory.CreateDirectory(folder.File("model")).FullName;
        File.WriteAllText(Path.Combine(root, "config.json"), model.Config.ToJson());
        Tokenizer.SaveVocabulary(Path.Combine(root, "vocab.txt"));
        var tensors = model.NamedParameters().Where(entry => rename(entry.Path) is not null).Select(entry =>
            TensorToWrite.Of(rename(entry.Path)!, entry.Parameter, type));
        SafeTensorsWriter.Write(Path.Combine(root, "model.safetensors"),
            tensors.Concat(more.Select(entry =>
                TensorToWrite.Floats(entry.Name, entry.Shape, new float[entry.Shape.Aggregate(1L, (a, b) => a * b)]))));
    }
}
