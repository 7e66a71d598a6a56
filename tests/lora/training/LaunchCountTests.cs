using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels.Gpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// What a LoRA step of DistilBERT's size launches on a GPU: below some hundred tokens a GPU waits
/// for the host, which needs microseconds for every launch.
/// </summary>
[Category(Categories.Simulator)]
public class LaunchCountTests
{
    private readonly List<string> work = [];

    /// <summary>
    /// With the norm of the gradients and SGD over 24 matrices: 132 products, each one launch
    /// however many parts its depth has, 74 others.
    /// </summary>
    [TestCase(0f, false, 206)]
    [TestCase(0f, true, 206)]
    [TestCase(0.1f, false, 221, Description = "a mask for embeddings, attention's output and the head")]
    public void A_LoRA_step_of_DistilBERTs_size_launches_few_kernels(float dropout, bool everyToken, int expected)
    {
        using var backend = GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 8, beforeWork: work.Add,
            onlyCounts: true);
        var config = new EncoderConfig
        {
            Layers = 6,
            Hidden = 768,
            Heads = 12,
            FeedForward = 3072,
            VocabularySize = 100,
            Dropout = dropout,
            AttentionDropout = dropout,
            ClassifierDropout = dropout,
        };
        var options = new TrainingOptions
        {
            Lora = new LoRASettings(8, 16),
            Targets = ["query", "value"],
            TrainHead = false,
            Optimizer = OptimizerKind.Sgd,
        };
        var model = new EncoderForSequenceClassification(config, seed: 1, backend) { ComputesEveryToken = everyToken };
        EncodedExample[] examples = [.. Enumerable.Range(0, 8).Select(i => new EncodedExample(new int[128], i % 2))];
        var tuning = FineTuning.Start(new TextClassifier(model,
            WordPieceTokenizer.FromVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])), examples, null, options);
        using var optimizer = TrainingSetup.CreateOptimizer(model, options);
        model.Train();
        var batch = PackedBatch.Of(examples);
        Step();
        work.Clear();
        Step();

        var kernels = work.Where(name => name is not ("Upload" or "Download")).ToArray();
        Assert.That(kernels, Has.Length.EqualTo(expected), string.Join('\n', kernels.CountBy(name => name)
            .OrderByDescending(kernel => kernel.Value).Select(kernel => $"{kernel.Value} {kernel.Key}")));
        Assert.That(work.Count(name => name is "Download" or "Synchronize"), Is.EqualTo(1), "waits for the device");

        void Step()
        {
            using var loss = tuning.Training.Task.AddGradients([batch], epoch: 1);
            var gradients = GradientClipping.Gradients(optimizer.Parameters);
            using var squares = GradientClipping.SumOfSquares(gradients)!;
            Tensor.Items(loss, squares);
            GradientClipping.Clip(gradients, norm: 1, largest: 2);
            optimizer.Step();
            optimizer.ZeroGradient();
        }
    }
}
