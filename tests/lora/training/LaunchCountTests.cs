using LoraScratch.Benchmarks;
using LoraScratch.Kernels.Gpu;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
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
    /// however many parts its depth has, 74 others; clipping would add three.
    /// </summary>
    [TestCase(0f, false, 206)]
    [TestCase(0f, true, 206)]
    [TestCase(0.1f, false, 221, Description = "a mask for embeddings, attention's output and the head")]
    public void A_LoRA_step_of_DistilBERTs_size_launches_few_kernels(float dropout, bool everyToken, int expected)
    {
        using var backend = GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 8, beforeWork: work.Add,
            onlyCounts: true);
        var config = TrainingStep.Dropping(new EncoderConfig { VocabularySize = 100 }, dropout);
        var options = TrainingStep.QueryAndValue() with { BatchSize = 8, Epochs = 1 };
        using var training = new TrainingStep(backend, config, options);
        training.Model.ComputesEveryToken = everyToken;
        training.Model.Train();
        var steps = 0;
        using var loop = new TrainingLoop(training.Tuning.Training.Task, options, training.Texts(16, 128),
            validation: null, CancellationToken.None, checkpoint: null, ProcessGroup.Alone);
        string[] ofStep = [];
        loop.StepDone += _ =>
        {
            ofStep = [.. work];
            work.Clear();
            steps++;
        };
        loop.Run();

        Assert.That(steps, Is.EqualTo(2), "the first fills the pool");
        Assert.That(ofStep, Has.None.EqualTo("Copy"), "a gradient that is passed on is not copied");
        var kernels = ofStep.Where(name => name is not ("Upload" or "Download")).ToArray();
        Assert.That(kernels, Has.Length.EqualTo(expected), string.Join('\n', kernels.CountBy(name => name)
            .OrderByDescending(kernel => kernel.Value).Select(kernel => $"{kernel.Value} {kernel.Key}")));
        Assert.That(ofStep.Count(name => name is "Download" or "Synchronize"), Is.EqualTo(1), "waits for the device");
    }
}
