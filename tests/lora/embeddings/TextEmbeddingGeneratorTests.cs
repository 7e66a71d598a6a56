using System.Text.Json;
using LoraScratch.Embeddings;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Export;
using LoraScratch.Lora.Tokenizers;
using Microsoft.Extensions.AI;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Vectors of texts: pooled and normalised as the files of sentence-transformers say, and equal to
/// what ONNX Runtime makes of the same weights.
/// </summary>
public sealed class TextEmbeddingGeneratorTests
{
    private static readonly string MiniLM =
        Path.Combine(Environment.GetEnvironmentVariable("LORASCRATCH_DATA") ?? "", "minilm");

    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public async Task Vectors_of_MiniLM_are_those_of_ONNX_Runtime()
    {
        RequireMiniLM();
        using var firsts = TextEmbeddingGenerator.Load(MiniLM, EmbeddingPooling.FirstToken, normalize: false);
        using var means = TextEmbeddingGenerator.Load(MiniLM);
        using var classifier = TextClassifier.Load(MiniLM);
        ModelExport.ToOnnx(classifier, folder.File("model.onnx"), encoderOnly: true);
        using var session = new OnnxSession(folder.File("model.onnx"));
        foreach (var line in await File.ReadAllLinesAsync(Path.Combine(MiniLM, "reference.jsonl")))
        {
            var expected = JsonDocument.Parse(line).RootElement;
            int[] ids = [.. expected.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            var text = classifier.Tokenizer.Decode(ids);
            Assert.That(classifier.Encode(text), Is.EqualTo(ids), "the text of these ids");
            var first = await firsts.GenerateVectorAsync(text);
            Assert.That(first.ToArray(), Is.EqualTo(Numbers(expected.GetProperty("first"))).Within(2e-5));

            var hidden = session.Run([new EncodedExample(ids, TextExample.NoLabel)], padding: 0);
            var sums = Enumerable.Range(0, 384).Select(i => hidden.Where((_, at) => at % 384 == i)
                .Sum(value => (double)value)).ToArray();
            var length = Math.Sqrt(sums.Sum(sum => sum * sum));
            Assert.That((await means.GenerateVectorAsync(text)).ToArray(),
                Is.EqualTo(sums.Select(sum => sum / length)).Within(1e-5));
        }
    }

    [Test]
    public async Task Texts_of_one_meaning_are_nearer_than_others()
    {
        RequireMiniLM();
        using var generator = TextEmbeddingGenerator.Load(MiniLM);
        var vectors = await generator.GenerateAsync(["The cast is great.", "The actors are wonderful.",
            "My parcel has not arrived."]);
        Assert.That(Product(vectors[0], vectors[1]), Is.GreaterThan(0.3 + Product(vectors[0], vectors[2])));
    }

    [Test]
    public async Task A_vector_has_the_same_bits_alone_and_among_others()
    {
        using var generator = TextEmbeddingGenerator.Load();
        string[] texts = [.. Enumerable.Range(0, 40).Select(i =>
            string.Join(' ', Enumerable.Repeat("a lovely film", 1 + i % 13)))];
        var together = await generator.GenerateAsync(texts);
        Assert.That(together, Has.Count.EqualTo(40));
        Assert.That(together.Usage!.InputTokenCount, Is.EqualTo(texts.Sum(text => 2 + 3 * text.Split(' ').Length / 3)));
        var alone = await Task.WhenAll(texts.Select(text => generator.GenerateVectorAsync(text)));
        Assert.That(alone.Select(vector => vector.ToArray()),
            Is.EqualTo(together.Select(embedding => embedding.Vector.ToArray())));
        Assert.That(alone.Select(vector => vector.ToArray().Sum(x => (double)x * x)), Is.All.EqualTo(1).Within(1e-6));
    }

    [Test]
    public async Task What_the_files_say_is_done_and_what_they_leave_open_is_said()
    {
        var model = SentenceModel("mean_tokens", normalize: true, maxLength: 5);
        var warnings = new List<string>();
        using var mean = TextEmbeddingGenerator.Load(model, warn: warnings.Add);
        Assert.That(warnings, Has.None.Contains("modules.json"));
        Assert.That((mean.Pooling, mean.Normalizes, mean.MaxLength, mean.Dimensions),
            Is.EqualTo((EmbeddingPooling.Mean, true, 5, 12)));
        var embeddings = await mean.GenerateAsync(["wa wb wc wd we", "wa"]);
        Assert.That(embeddings.Select(embedding => embedding.AdditionalProperties?["truncated"]),
            Is.EqualTo(new object?[] { true, null }));

        using var first = TextEmbeddingGenerator.Load(SentenceModel("cls_token", normalize: false));
        Assert.That((first.Pooling, first.Normalizes, first.MaxLength),
            Is.EqualTo((EmbeddingPooling.FirstToken, false, 16)));
        using var chosen = TextEmbeddingGenerator.Load(model, EmbeddingPooling.FirstToken, normalize: false);
        Assert.That((await chosen.GenerateVectorAsync("wa wb")).ToArray(),
            Is.EqualTo((await first.GenerateVectorAsync("wa wb")).ToArray()), "the same weights");

        File.Delete(Path.Combine(model, "modules.json"));
        using var unsaid = TextEmbeddingGenerator.Load(model, warn: warnings.Add);
        Assert.That((unsaid.Pooling, unsaid.Normalizes), Is.EqualTo((EmbeddingPooling.Mean, true)));
        Assert.That(warnings, Has.Exactly(1).Contains("modules.json"));
    }

    [TestCase("max_tokens", "Pooling", "pooling_mode_max_tokens")]
    [TestCase("mean_tokens", "Dense", "the module 'Dense' is not supported")]
    public void Another_pooling_or_module_is_refused_by_name(string pooling, string module, string message) =>
        Assert.That(() => TextEmbeddingGenerator.Load(SentenceModel(pooling, normalize: false, module: module)),
            Throws.TypeOf<InputException>().With.Message.Contains(message));

    [Test]
    public void It_says_what_it_is_and_refuses_what_it_is_not()
    {
        var generator = TextEmbeddingGenerator.Load(SentenceModel("mean_tokens", normalize: true));
        var metadata = generator.GetRequiredService<EmbeddingGeneratorMetadata>();
        Assert.That((metadata.DefaultModelDimensions, metadata.ProviderName), Is.EqualTo((12, "lorascratch")));
        Assert.That(generator.GetService<TextEmbeddingGenerator>(), Is.SameAs(generator));
        Assert.That(generator.GetService(typeof(string)), Is.Null);
        Assert.That(() => generator.GenerateAsync(["wa"], new EmbeddingGenerationOptions { Dimensions = 5 }),
            Throws.TypeOf<InputException>().With.Message.Contains("have 12"));
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.That(() => generator.GenerateAsync(["wa"], cancellationToken: stop.Token),
            Throws.InstanceOf<OperationCanceledException>());
        generator.Dispose();
        generator.Dispose();
        Assert.That(() => generator.GenerateAsync(["wa"]), Throws.TypeOf<ObjectDisposedException>());
    }

    /// <summary>
    /// A tiny encoder with the files of sentence-transformers; returns its folder.
    /// </summary>
    private string SentenceModel(string pooling, bool normalize, int? maxLength = null, string module = "Pooling")
    {
        var name = Path.GetRandomFileName();
        ModelExport.ToFolder(new TextClassifier(TinyFamily.Of("bert").Create(),
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary)), folder.File(name), encoderOnly: true);
        object Module(int index, string path, string type) =>
            new { idx = index, name = $"{index}", path, type = $"sentence_transformers.models.{type}" };
        folder.Write($"{name}/modules.json", JsonSerializer.Serialize(new[]
        {
            Module(0, "", "Transformer"), Module(1, "1_Pooling", module), Module(2, "2_Normalize", "Normalize"),
        }.Take(normalize ? 3 : 2)));
        folder.Write($"{name}/1_Pooling/config.json", JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["word_embedding_dimension"] = 12,
            ["pooling_mode_cls_token"] = pooling == "cls_token",
            ["pooling_mode_mean_tokens"] = pooling == "mean_tokens",
            ["pooling_mode_max_tokens"] = pooling == "max_tokens",
        }));
        if (maxLength is { } tokens)
        {
            folder.Write($"{name}/sentence_bert_config.json", $$"""{"max_seq_length": {{tokens}}}""");
        }
        return folder.File(name);
    }

    private static double Product(Embedding<float> one, Embedding<float> other) =>
        one.Vector.ToArray().Zip(other.Vector.ToArray(), (a, b) => (double)a * b).Sum();

    private static double[] Numbers(JsonElement values) => [.. values.EnumerateArray().Select(x => x.GetDouble())];

    private static void RequireMiniLM()
    {
        if (!File.Exists(Path.Combine(MiniLM, "model.safetensors")))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with minilm/model.safetensors.");
        }
    }
}
