using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The tiny classifier of tests/reference/distilbert.py, with the weights that the script makes by
/// formula, and small ones for training tests.
/// </summary>
internal static class TinyDistilBert
{
    public const int Rank = 2;
    public const double Alpha = 6;

    public static readonly int[][] Texts = [[2, 7, 29, 11, 3], [2, 3], [2, 5, 5, 17, 23, 9, 28, 4, 3], [2, 14, 3]];

    public static readonly int[] Labels = [0, 2, 1, 2];

    /// <summary>No dropout: what the script computes.</summary>
    public static EncoderConfig Config => new()
    {
        Layers = 2,
        Hidden = 12,
        Heads = 3,
        FeedForward = 20,
        VocabularySize = 30,
        MaxPositions = 16,
        Labels = ["a", "b", "c"],
        Dropout = 0,
        AttentionDropout = 0,
        ClassifierDropout = 0,
    };

    public static string[] Vocabulary =>
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Enumerable.Range(0, 25).Select(i => $"w{(char)('a' + i)}")];

    public static EncoderForSequenceClassification Create()
    {
        var model = new EncoderForSequenceClassification(Config);
        Fill(model);
        return model;
    }

    /// <summary>Gives every parameter the values that the scripts make of its path.</summary>
    public static void Fill(Module model)
    {
        foreach (var (path, parameter) in model.NamedParameters())
        {
            parameter.Set(Value(path, parameter.Shape));
        }
    }

    /// <summary>LoRA on q_lin and v_lin with the script's A and B.</summary>
    public static LoRAAdapter Adapt(Module model) => Adapt(model, ["q_lin", "v_lin"]);

    /// <summary>LoRA with the scripts' A and B.</summary>
    public static LoRAAdapter Adapt(Module model, IReadOnlyList<string> targets)
    {
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(Rank, Alpha), targets, new RandomStream(0));
        foreach (var (path, layer) in adapter.Layers)
        {
            layer.Lora.A.Set(Noise($"{path}.A", layer.Lora.A.Shape.Count, 0.5));
            layer.Lora.B.Set(Noise($"{path}.B", layer.Lora.B.Shape.Count, 0.5));
        }
        return adapter;
    }

    /// <summary>
    /// A classifier of two classes with HF's dropouts, whose words wa … wl mean 0 and wm … wx mean
    /// 1; and texts of it.
    /// </summary>
    public static TextClassifier Classifier(ulong seed = 3, float dropout = 0.1f, IBackend? backend = null) =>
        Of(Trained with { Dropout = dropout, AttentionDropout = dropout, ClassifierDropout = dropout }, seed, backend);

    /// <summary>The same of other widths, which groups of 16 divide.</summary>
    public static TextClassifier ClassifierForGroups(IBackend? backend = null) =>
        Of(Trained with { Hidden = 16, Heads = 2, FeedForward = 32 }, backend: backend);

    /// <summary>A classifier with random weights and the tiny vocabulary.</summary>
    public static TextClassifier Of(EncoderConfig config, ulong seed = 3, IBackend? backend = null) =>
        new(new EncoderForSequenceClassification(config, seed, backend), WordPieceTokenizer.FromVocabulary(Vocabulary));

    public static EncodedExample[] Sentences(int count, ulong seed)
    {
        var random = new RandomStream(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var label = random.NextBelow(2);
            return new EncodedExample(
                [2, .. Enumerable.Range(0, 1 + random.NextBelow(8)).Select(_ => 5 + 12 * label + random.NextBelow(12)),
                    3], label);
        })];
    }

    private static EncoderConfig Trained => Config with
    {
        Labels = ["neg", "pos"],
        Dropout = 0.1f,
        AttentionDropout = 0.1f,
        ClassifierDropout = 0.1f,
        InitializerRange = 0.2f,
    };

    private static float[] Value(string path, Shape shape) => path switch
    {
        _ when path.Contains("orm.weight") => [.. Noise(path, shape.Count, 0.3).Select(x => 1 + x)],
        _ when path.EndsWith("word_embeddings.weight", StringComparison.Ordinal) => Noise(path, shape.Count, 1),
        _ when path.EndsWith("_embeddings.weight", StringComparison.Ordinal) => Noise(path, shape.Count, 0.5),
        _ when path.EndsWith(".bias", StringComparison.Ordinal) => Noise(path, shape.Count, 0.2),
        _ => Noise(path, shape.Count, 0.6),
    };

    private static float[] Noise(string name, int count, double scale)
    {
        var h = name.Select((letter, k) => (k + 1) * letter).Sum() % 1000;
        return [.. Enumerable.Range(0, count).Select(i => 43758.5453 * Math.Sin(i + 1 + h))
            .Select(x => (float)(scale * (2 * (x - Math.Floor(x)) - 1)))];
    }
}
