using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The memory that a run takes, foretold without computing, beside what is then measured.
/// </summary>
public sealed class MemoryEstimateTests
{
    private static readonly TrainingOptions Options = new()
    {
        BatchSize = 8,
        Epochs = 2,
        Targets = ["query", "value"],
        Lora = new LoRASettings(8, 16),
    };

    private static IEnumerable<TestCaseData> Runs =>
    [
        new TestCaseData(Options).SetArgDisplayNames("LoRA"),
        new TestCaseData(Options with { Lora = new LoRASettings(4, 8) { Dropout = 0.1f }, BatchSize = 3, Accumulate = 2,
            Targets = [.. LoRATargets.OfBuiltIn] }).SetArgDisplayNames("LoRA on all layers, small batches"),
        new TestCaseData(Options with { Method = TrainingMethod.QALoRA }).SetArgDisplayNames("QA-LoRA"),
        new TestCaseData(Options with { Method = TrainingMethod.LastLayers }).SetArgDisplayNames("last layers"),
        new TestCaseData(Options with { Method = TrainingMethod.LastLayers, FrozenDropout = false })
            .SetArgDisplayNames("last layers on kept outputs"),
        new TestCaseData(Options with { Method = TrainingMethod.Full }).SetArgDisplayNames("full"),
        new TestCaseData(Options with { Method = TrainingMethod.Full, Optimizer = OptimizerKind.Sgd, Momentum = 0.9f })
            .SetArgDisplayNames("full by SGD with momentum"),
        new TestCaseData(Options with { Method = TrainingMethod.Full, Recompute = true })
            .SetArgDisplayNames("full, recomputed"),
        new TestCaseData(Options with { BatchSize = 1, Layers = ["last:1"] })
            .SetArgDisplayNames("LoRA on the last layer, one by one"),
    ];

    [TestCaseSource(nameof(Runs))]
    public void What_is_predicted_is_measured_to_within_a_tenth(TrainingOptions options)
    {
        using var backend = new CpuBackend(1);
        var tuning = Start(backend, options);
        // what is filled with one value takes no memory before it is first read
        Array.ForEach([.. tuning.Classifier.Model.Parameters()], (Parameter parameter) => parameter.ToArray());
        var before = backend.Memory.InUse;
        var predicted = tuning.Training.Estimate().Memory!;
        Assert.That(backend.Memory.InUse, Is.EqualTo(before), "nothing stays");
        Assert.That(tuning.Training.Estimate().Memory!.Total, Is.EqualTo(predicted.Total));
        var result = tuning.Run();
        TestContext.Out.WriteLine($"{predicted}: {predicted.Total:N0}, measured {result.DeviceMemory:N0}");
        Assert.That(predicted.Total, Is.EqualTo(result.DeviceMemory).Within(10).Percent);
        Assert.That(predicted.Weights, Is.EqualTo(before));
        if (options is { Method: TrainingMethod.Full, Recompute: false, Optimizer: OptimizerKind.AdamW })
        {
            Assert.That(predicted.Optimizer,
                Is.EqualTo(2 * sizeof(float) * tuning.TrainableParameters).Within(2).Percent);
            Assert.That(predicted.Activations, Is.GreaterThan(predicted.Workspace));
        }
    }

    [Test]
    public void Recomputing_holds_less_and_LoRA_has_less_to_optimise()
    {
        using var backend = new CpuBackend(1);
        MemoryEstimate Of(TrainingOptions options)
        {
            var tuning = Start(backend, options);
            using var classifier = tuning.Classifier;
            return tuning.Training.Estimate().Memory!;
        }
        var (lora, full) = (Of(Options), Of(Options with { Method = TrainingMethod.Full }));
        var recomputed = Of(Options with { Method = TrainingMethod.Full, Recompute = true });
        Assert.That(recomputed.Activations, Is.LessThan(0.5 * full.Activations));
        Assert.That(lora.Optimizer, Is.LessThan(0.1 * full.Optimizer));
    }

    /// <summary>The run's bits must not depend on whether somebody asked what it costs.</summary>
    [Test]
    public void Asking_changes_nothing()
    {
        using var backend = new CpuBackend(1);
        float[] Train(bool asks)
        {
            var tuning = Start(backend, Options with { Lora = new LoRASettings(8, 16) { Dropout = 0.1f } });
            using var classifier = tuning.Classifier;
            _ = asks ? tuning.Training.Estimate() : null;
            tuning.Run();
            return tuning.Adapter!.Layers[0].Layer.Lora.B.ToArray();
        }
        Assert.That(Train(asks: true), Is.EqualTo(Train(asks: false)));
    }

    private static FineTuning Start(IBackend backend, TrainingOptions options)
    {
        var config = new EncoderConfig
        {
            Layers = 2,
            Hidden = 64,
            Heads = 4,
            FeedForward = 128,
            VocabularySize = 200,
            MaxPositions = 64,
            Labels = ["a", "b"],
        };
        var classifier = TinyDistilBert.Of(config, 1, backend);
        EncodedExample[] examples = [.. Enumerable.Range(0, 60).Select(i =>
            new EncodedExample([.. Enumerable.Range(0, 6 + 7 * i % 31).Select(j => 5 + (i * j) % 190)], i % 2))];
        return FineTuning.Start(classifier, examples[..48], examples[48..], options);
    }
}
