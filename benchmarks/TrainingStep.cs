using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Training steps of a classifier with random weights, whose values do not change the cost, on
/// fresh random ids. The tests have this file too: what the check of a GPU measures is this step.
/// </summary>
internal sealed class TrainingStep : IDisposable
{
    private const int Classes = 2;

    private readonly IBackend backend;
    private readonly RandomStream random = new(7);

    /// <param name="backend">Where it computes.</param>
    /// <param name="config">The model's sizes.</param>
    /// <param name="options">What is trained, and how.</param>
    public TrainingStep(IBackend backend, EncoderConfig config, TrainingOptions options)
    {
        this.backend = backend;
        Model = new EncoderForSequenceClassification(config, seed: 1, backend);
        var classifier = new TextClassifier(Model,
            WordPieceTokenizer.FromVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]));
        Tuning = FineTuning.Start(classifier, Texts(options.BatchSize, length: 2), null, options);
        Optimizer = TrainingSetup.CreateOptimizer(Model, options);
    }

    /// <summary>
    /// The tutorial's training: LoRA on query and value, alpha 16, a frozen head, SGD.
    /// </summary>
    /// <param name="rank">r</param>
    public static TrainingOptions QueryAndValue(int rank = 8) => new()
    {
        Lora = new LoRASettings(rank, Alpha: 16),
        Targets = ["query", "value"],
        TrainHead = false,
        Optimizer = OptimizerKind.Sgd,
        LearningRate = 1e-3f,
    };

    /// <summary>A model's sizes with one dropout wherever it has one.</summary>
    public static EncoderConfig Dropping(EncoderConfig config, float dropout = 0) =>
        config with { Dropout = dropout, AttentionDropout = dropout, ClassifierDropout = dropout };

    /// <summary>What is trained.</summary>
    public EncoderForSequenceClassification Model { get; }

    /// <summary>How.</summary>
    public FineTuning Tuning { get; }

    /// <summary>By what.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>Examples of random ids and classes.</summary>
    public EncodedExample[] Texts(int count, int length) => [.. Enumerable.Range(0, count).Select(_ =>
        new EncodedExample(
            [.. Enumerable.Range(0, length).Select(_ => random.NextBelow(Model.Config.VocabularySize))],
            random.NextBelow(Classes)))];

    /// <summary>A forward pass that keeps nothing, to its end.</summary>
    public void Forward(PackedBatch examples)
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        using var tokens = new PackedTokens(examples, backend);
        Model.Forward(tokens);
        backend.Synchronize();
    }

    /// <summary>A whole step, as training makes it: reading the loss waits for all of it.</summary>
    /// <returns>The mean loss before the step.</returns>
    public float Step(PackedBatch examples)
    {
        Optimizer.ZeroGradient();
        using var loss = Tuning.Training.Task.AddGradients([examples], epoch: 1);
        Optimizer.Step();
        return loss.Item();
    }

    /// <summary>
    /// Gives the device the kernels of a whole step, and does not wait for it: the loss is not
    /// read.
    /// </summary>
    public void Issue(PackedBatch examples)
    {
        Optimizer.ZeroGradient();
        Tuning.Training.Task.AddGradients([examples], epoch: 1).Dispose();
        Optimizer.Step();
    }

    /// <summary>The model stays where its backend is, which frees it.</summary>
    public void Dispose() => Optimizer.Dispose();
}
