using System.Diagnostics;
using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Benchmarks.Report;

/// <summary>
/// LoRA steps of one size on a model with random weights, whose values do not change the cost:
/// fresh random ids every time, no dropout, a frozen head, SGD. The model and what the backend
/// keeps for it go with the bench.
/// </summary>
internal sealed class StepBench : IDisposable
{
    private const int Classes = 2;

    private readonly IBackend backend;
    private readonly StepSize size;
    private readonly EncoderConfig config;
    private readonly EncoderForSequenceClassification model;
    private readonly FineTuning tuning;
    private readonly Optimizer optimizer;
    private readonly RandomStream random = new(7);

    public StepBench(StepSize size, int threads)
    {
        this.size = size;
        backend = new CpuBackend(threads);
        config = new EncoderConfig
        {
            Layers = size.Layers,
            Hidden = size.Hidden,
            Heads = size.Hidden / 64,
            FeedForward = 4 * size.Hidden,
            MaxPositions = Math.Max(512, size.Length),
            Dropout = 0,
            AttentionDropout = 0,
            ClassifierDropout = 0,
        };
        model = new EncoderForSequenceClassification(config, seed: 1, backend);
        var options = new TrainingOptions
        {
            Lora = new LoRASettings(size.Rank, Alpha: 16),
            TrainHead = false,
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 1e-3f,
        };
        var classifier = new TextClassifier(model,
            WordPieceTokenizer.FromVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]));
        tuning = FineTuning.Start(classifier, Batch(), null, options);
        optimizer = TrainingSetup.CreateOptimizer(model, options);
        model.Train();
    }

    /// <summary>Bytes that the device held at most, the weights among them.</summary>
    public long PeakBytes => backend.Memory.PeakInUse;

    /// <summary>Bytes of the weights.</summary>
    public long WeightBytes => model.Parameters().Sum(parameter => 4L * parameter.Shape.Count);

    /// <summary>A forward pass that keeps nothing.</summary>
    public void Forward()
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(PackedBatch.Of(Batch()), backend);
        model.Forward(tokens);
        backend.Synchronize();
    }

    /// <summary>Forward, backward, update.</summary>
    public void Step()
    {
        optimizer.ZeroGradient();
        tuning.Training.Task.AddGradients([PackedBatch.Of(Batch())], epoch: 1);
        optimizer.Step();
        backend.Synchronize();
    }

    /// <summary>Median seconds of an action, after one that does not count.</summary>
    public static double Seconds(int repetitions, Action action)
    {
        action();
        return Statistics.Median(Enumerable.Range(0, repetitions).Select(_ =>
        {
            var clock = Stopwatch.StartNew();
            action();
            return clock.Elapsed.TotalSeconds;
        }).ToArray());
    }

    public void Dispose()
    {
        optimizer.Dispose();
        backend.Dispose();
    }

    private EncodedExample[] Batch() => [.. Enumerable.Range(0, size.Batch).Select(_ => new EncodedExample(
        [.. Enumerable.Range(0, size.Length).Select(_ => random.NextBelow(config.VocabularySize))],
        random.NextBelow(Classes)))];
}
