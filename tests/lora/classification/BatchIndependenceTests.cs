using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Classification;

/// <summary>
/// What a text gets does not depend on where batches end: bit for bit the same alone, in lists, and
/// by many callers at a time.
/// </summary>
public sealed class BatchIndependenceTests
{
    // one, a few, sixteen and more tokens, long and short ones in turn
    private static readonly string[] Texts =
        [.. Enumerable.Range(0, 70).Select(i => string.Join(' ', Enumerable.Range(0, 1 + 13 * i % 40)
            .Select(j => $"w{(char)('a' + (7 * i + 3 * j) % 24)}")))];

    private static IEnumerable<TestCaseData> Models()
    {
        foreach (var (name, change) in new (string, Action<TextClassifier>)[]
        {
            ("plain", _ => { }),
            ("LoRA on every layer, a factor that is no power of two", Adapt(["query", "key", "value", "projection",
                "mlp", "embeddings"], new LoRASettings(4, 6))),
            ("LoRA of a large rank", Adapt(["query", "value"], new LoRASettings(20, 7))),
            ("weights of 4 bits", Quantize),
            ("QA-LoRA", classifier => { Quantize(classifier); QALoRA(classifier); }),
            ("products of bytes", classifier => DynamicQuantization.Of(ModelQuantizer.Find(classifier.Model,
                [ModulePattern.AllLinear])).Apply()),
        })
        {
            yield return new TestCaseData(change).SetArgDisplayNames(name);
        }
    }

    [TestCaseSource(nameof(Models))]
    public void A_text_gets_the_same_bits_alone_and_in_every_batch(Action<TextClassifier> change)
    {
        using var backend = new CpuBackend(threads: 2);
        using var classifier = Classifier(backend);
        change(classifier);
        AssertIndependent(classifier, Texts);
    }

    [TestCaseSource(typeof(Gpus), nameof(Gpus.Cases))]
    public void So_on_the_kernels_of_a_GPU(GpuCase gpu)
    {
        using var backend = gpu.Open(groupThreads: 4);
        using var classifier = TinyDistilBert.Classifier(backend: backend);
        TrainingSetup.Prepare(classifier, new TrainingOptions { Lora = new LoRASettings(2, 3) });
        Noise(classifier);
        AssertIndependent(classifier,
            gpu.IsSimulated ? [.. Texts[..6].Select(text => text[..Math.Min(text.Length, 40)])] : Texts);
    }

    [Test]
    public void So_does_the_built_in_base()
    {
        using var classifier = TextClassifier.BuiltIn(["a", "b"], backend: Device.Default);
        AssertIndependent(classifier, [.. Enumerable.Range(0, 40).Select(i => string.Join(' ',
            Enumerable.Repeat("an unpredictable story of love and war with a gentle villain", 1 + i % 3))[(i % 7)..])]);
    }

    private static void AssertIndependent(TextClassifier classifier, string[] texts)
    {
        var alone = Array.ConvertAll(texts, text => classifier.Predict(text).Logits);
        Assert.That(alone.Select(logits => logits[0]).Distinct().Count(), Is.GreaterThan(texts.Length / 3));
        foreach (var size in new[] { 2, 7, 32, 64 })
        {
            Assert.That(classifier.Predict(texts, batchSize: size).Select(answer => answer.Logits), Is.EqualTo(alone),
                $"batches of {size}");
        }
        Assert.That(Task.WhenAll(texts.Select(text => classifier.PredictAsync(text))).GetAwaiter().GetResult()
            .Select(answer => answer.Logits), Is.EqualTo(alone), "all at once");
    }

    private static TextClassifier Classifier(IBackend backend)
    {
        var config = TinyDistilBert.Config with
        {
            Hidden = 96,
            Heads = 3,
            FeedForward = 224,
            MaxPositions = 64,
            InitializerRange = 0.2f
        };
        return new TextClassifier(new EncoderForSequenceClassification(config, seed: 5, backend),
            TinyDistilBert.Classifier().Tokenizer);
    }

    private static Action<TextClassifier> Adapt(string[] targets, LoRASettings lora) => classifier =>
    {
        TrainingSetup.Prepare(classifier, new TrainingOptions { Targets = targets, Lora = lora });
        Noise(classifier);
    };

    private static void Quantize(TextClassifier classifier) =>
        ModelQuantizer.Quantize(classifier.Model, ["q_lin", "v_lin", "ffn.lin1"], bits: 4, groupSize: 32);

    private static void QALoRA(TextClassifier classifier)
    {
        TrainingSetup.Prepare(classifier,
            new TrainingOptions { Method = TrainingMethod.QALoRA, Lora = new LoRASettings(4, 6) });
        Noise(classifier);
    }

    /// <summary>A and B of a trained adapter are not zero.</summary>
    private static void Noise(TextClassifier classifier)
    {
        var random = new RandomStream(11);
        foreach (var parameter in classifier.Model.TrainableParameters())
        {
            parameter.Set(random.Normal(parameter.Shape.Count, 0.2f));
        }
    }
}
