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
    private readonly List<string> launches = [];

    [Test]
    public void A_LoRA_step_of_DistilBERTs_size_launches_few_kernels([Values] bool everyToken)
    {
        using var backend = GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 8, beforeWork: launches.Add,
            onlyCounts: true);
        var config = new EncoderConfig
        {
            Layers = 6,
            Hidden = 768,
            Heads = 12,
            FeedForward = 3072,
            VocabularySize = 100,
            Dropout = 0,
            AttentionDropout = 0,
            ClassifierDropout = 0,
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
        launches.Clear();
        Step();
        foreach (var kernel in launches.GroupBy(name => name).OrderByDescending(group => group.Count()))
        {
            TestContext.Out.WriteLine($"{kernel.Count(),4} {kernel.Key}");
        }
        Assert.That(launches.Count, Is.LessThanOrEqualTo(210));

        void Step()
        {
            tuning.Training.Task.AddGradients([batch], epoch: 1).Dispose();
            GradientClipping.ClipNorm(model.TrainableParameters(), 1);
            optimizer.Step();
            optimizer.ZeroGradient();
        }
    }
}
