using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Export;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Exported models in ONNX Runtime, another implementation, on padded batches: the logits are ours.
/// </summary>
public sealed class ExportedOnnxTests
{
    private const double Tolerance = 1e-5;

    private static readonly string[] Families = [.. TinyFamily.Names, "camembert", "distilbert"];
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);

    private TemporaryFolder folder = null!;

    private string File => folder.File("model.onnx");

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void Logits_of_padded_texts_and_pairs_are_ours([ValueSource(nameof(Families))] string family,
        [Values] bool adapter)
    {
        var model = Model(family);
        if (adapter)
        {
            _ = family == "distilbert" ? TinyDistilBert.Adapt(model) : TinyFamily.Adapt(model);
        }
        using var classifier = new TextClassifier(model, Tokenizer);
        var before = Forward.Logits(model, Texts);
        ModelExport.ToOnnx(classifier, File);
        Assert.That(Forward.Logits(model, Texts), Is.EqualTo(before), "the model is what it was, bit for bit");
        Assert.That(folder.Names, Is.EqualTo(new[] { "model.onnx" }), "nothing is left beside it");

        using var session = new OnnxSession(File);
        var config = model.Config;
        Assert.That(session.Inputs, Is.EqualTo(new[] { "input_ids", "attention_mask" }
            .Concat(config.TokenTypes > 1 ? ["token_type_ids"] : [])));
        Assert.That(session.Run(Texts, config.PadTokenId), Is.EqualTo(before).Within(Tolerance));
        foreach (var text in Texts)
        {
            Assert.That(session.Run([text], config.PadTokenId), Is.EqualTo(Forward.Logits(model, text))
                .Within(Tolerance));
        }
        Assert.That(JsonDocument.Parse(session.Properties["id2label"]).RootElement.EnumerateObject()
            .Select(entry => (entry.Name, entry.Value.GetString())),
            Is.EqualTo(config.Labels.Select((label, id) => ($"{id}", label))));
    }

    [Test]
    public void An_encoder_gives_the_vectors_of_its_tokens([ValueSource(nameof(Families))] string family)
    {
        var model = Model(family);
        using var classifier = new TextClassifier(model, Tokenizer, needsAdapter: true);
        Assert.That(() => ModelExport.ToOnnx(classifier, File), Throws.TypeOf<InputException>().With.Message
            .Contains("no trained classification head"));
        ModelExport.ToOnnx(classifier, File, encoderOnly: true);
        using var session = new OnnxSession(File);
        Assert.That(session.Outputs, Is.EqualTo(new[] { "last_hidden_state" }));
        foreach (var text in Texts)
        {
            Assert.That(session.Run([text], model.Config.PadTokenId), Is.EqualTo(Forward.Hidden(model, text))
                .Within(Tolerance));
        }
    }

    [TestCase("gelu_new")]
    [TestCase("gelu_pytorch_tanh")]
    [TestCase("relu")]
    public void Every_activation_is_ours(string activation)
    {
        var model = new EncoderForSequenceClassification(TinyFamily.Of("bert").Config with { Activation = activation });
        TinyDistilBert.Fill(model);
        Assert.That(Exported(model), Is.EqualTo(Forward.Logits(model, Texts)).Within(Tolerance));
    }

    [Test]
    public void Low_rank_layers_are_two_products()
    {
        var model = Model("bert");
        var compression = ModelCompression.Of(model, [ModulePattern.Named("query"), ModulePattern.Named("dense")]);
        var compressed = CompressedModel.Of(model, compression, [.. compression.Layers.Select(_ => (int?)3)]);
        Assert.That(compressed.NamedModules<LowRankLinear>(), Is.Not.Empty);
        Assert.That(Exported(compressed), Is.EqualTo(Forward.Logits(compressed, Texts)).Within(Tolerance));
    }

    /// <summary>The codes stand for the very floats that our products decode.</summary>
    [Test]
    public void Weights_of_few_bits_have_their_values_and_a_byte_each([Values(2, 4, 8)] int bits)
    {
        var model = Wide();
        var float32 = Size(model);
        ModelQuantizer.Quantize(model, ["query", "key", "value", "dense"], bits, groupSize: 32);
        Assert.That(Exported(model), Is.EqualTo(Forward.Logits(model, Texts)).Within(Tolerance));
        Assert.That(Size(model), Is.LessThan(0.55 * float32), "the embeddings stay as they are");
    }

    /// <summary>
    /// The sums of whole numbers are the same. Where an input lies at a half and is rounded to the
    /// other side, a code differs by 1: that is what the tolerance is for.
    /// </summary>
    [Test]
    public void Whole_numbers_of_eight_bits_are_multiplied_as_here()
    {
        var model = Wide();
        var (float32, exact) = (Size(model), Forward.Logits(model, Texts));
        using (var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model,
            [.. new[] { "query", "key", "value", "dense" }.Select(ModulePattern.Named)])))
        {
            quantization.Apply();
        }
        var (ours, theirs) = (Forward.Logits(model, Texts), Exported(model));
        Assert.That(theirs, Is.EqualTo(ours).Within(1e-3));
        Assert.That(Largest(ours, exact), Is.GreaterThan(3 * Largest(ours, theirs)));
        Assert.That(Size(model), Is.LessThan(0.55 * float32));
    }

    [Test]
    public void A_merged_QALoRA_adapter_is_in_the_zeros()
    {
        var model = Wide();
        ModelQuantizer.Quantize(model, ["query", "value"], bits: 4, groupSize: 32);
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 4), ["query", "value"], new RandomStream(3));
        foreach (var (_, layer) in adapter.Layers)
        {
            layer.Lora.B.Set(new RandomStream(4).Normal(layer.Lora.B.Shape.Count, 0.3f));
        }
        Assert.That(Exported(model), Is.EqualTo(Forward.Logits(model, Texts)).Within(Tolerance));
        Assert.That(adapter.IsMerged, Is.False);
    }

    [Test]
    public void A_model_of_more_than_the_format_takes_is_refused_and_nothing_written()
    {
        using var classifier = new TextClassifier(Model("bert"), Tokenizer);
        Assert.That(() => ModelExport.WriteOnnx(classifier, File, null, false, false, most: 10_000),
            Throws.TypeOf<InputException>().With.Message.Match(
                @"model\.onnx: the model takes [\d,]+ bytes, and an ONNX file with its weights may have 10,000 "));
        Assert.That(folder.Names, Is.Empty);
        ModelExport.ToOnnx(classifier, File);
        Assert.That(() => ModelExport.ToOnnx(classifier, File), Throws.TypeOf<InputException>().With.Message
            .Contains("the file exists already"));
        ModelExport.ToOnnx(classifier, File, overwrite: true);
    }

    [Test]
    public void The_size_is_known_before_it_is_written()
    {
        using var classifier = new TextClassifier(Model("electra"), Tokenizer);
        var summary = ModelExport.WriteOnnx(classifier, File, null, false, false);
        Assert.That(new FileInfo(File).Length, Is.EqualTo(summary.Bytes));
        Assert.That(summary.Outputs.Single().ToString(), Is.EqualTo("logits [batch, 3]"));
    }

    [Test]
    public void A_folder_has_the_model_its_config_and_its_tokenizer()
    {
        using var classifier = new TextClassifier(Model("bert"), Tokenizer);
        ModelExport.ToOnnx(classifier, folder.File("all"));
        Assert.That(Directory.GetFiles(folder.File("all")).Select(Path.GetFileName), Is.SupersetOf(new[]
        {
            "config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json",
        }));
        using var session = new OnnxSession(folder.File("all/model.onnx"));
        Assert.That(session.Run(Texts, 0), Is.EqualTo(Forward.Logits(classifier.Model, Texts)).Within(Tolerance));
    }

    [Test]
    public void The_built_in_base_gives_its_vectors()
    {
        using var classifier = TextClassifier.BuiltIn(["a", "b"]);
        ModelExport.ToOnnx(classifier, File, encoderOnly: true);
        using var session = new OnnxSession(File);
        var text = new EncodedExample(classifier.Encode("Not what I expected, but I like it."), TextExample.NoLabel);
        Assert.That(session.Run([text], 0), Is.EqualTo(Forward.Hidden(classifier.Model, text)).Within(Tolerance));
    }

    /// <summary>One with a pair, one without words, all of lengths of their own.</summary>
    private static EncodedExample[] Texts => TinyFamily.Of("bert").Texts;

    private static EncoderForSequenceClassification Model(string family)
    {
        if (family == "distilbert")
        {
            return TinyDistilBert.Create();
        }
        var config = family == "camembert"
            ? TinyFamily.Of("roberta").Config with { Family = LoraScratch.Lora.Families.Roberta.Camembert }
            : TinyFamily.Of(family).Config;
        var model = new EncoderForSequenceClassification(config);
        TinyDistilBert.Fill(model);
        return model;
    }

    /// <summary>Wide enough for groups of 32 inputs.</summary>
    private static EncoderForSequenceClassification Wide() => new(TinyFamily.Of("bert").Config with
    {
        Hidden = 64,
        Heads = 4,
        FeedForward = 128,
        InitializerRange = 0.2f,
    }, seed: 5);

    private float[] Exported(EncoderForSequenceClassification model)
    {
        // not disposed: the weights would go with it
        ModelExport.ToOnnx(new TextClassifier(model, Tokenizer), File, overwrite: true);
        using var session = new OnnxSession(File);
        return session.Run(Texts, model.Config.PadTokenId);
    }

    private long Size(EncoderForSequenceClassification model)
    {
        _ = Exported(model);
        return new FileInfo(File).Length;
    }

    private static double Largest(float[] one, float[] other) => one.Zip(other).Max(pair =>
        Math.Abs(pair.First - pair.Second));
}
