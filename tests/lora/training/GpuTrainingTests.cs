using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Training by the GPU's kernels beside the CPU's: the same draws, so the same run but for
/// rounding.
/// </summary>
[TestFixtureSource(typeof(Gpus), nameof(Gpus.Fixtures))]
public class GpuTrainingTests(GpuCase gpu)
{
    /// <summary>
    /// How far a loss or an adapter's element may be from the CPU's, against the largest. Products
    /// are summed in another order, which leaves about 1e-6 in a gradient, and Adam divides by its
    /// size.
    /// </summary>
    private const double Bound = 1e-4;

    [Test]
    public void A_network_with_LoRA_trains_as_on_the_CPU() => AssertSameRun(backend =>
    {
        var random = new RandomStream(3);
        var model = new Sequential(Adapted(9, 12), new Relu(), new Dropout(0.2f, random), Adapted(12, 3));
        model.Train();
        using var x = Values.Leaf(backend, 1, new Shape(20, 9), requiresGradient: false);
        using var labels = new Indices([.. Enumerable.Range(0, 20).Select(i => i * i % 3)], backend);
        using var optimizer = new AdamW(model.TrainableParameters(), learningRate: 0.02f);
        var losses = new float[8];
        for (var step = 0; step < losses.Length; step++)
        {
            using var scope = new TensorScope();
            var loss = model.Forward(x).CrossEntropy(labels);
            loss.Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
            losses[step] = loss.Item();
        }
        return (losses, Trained(model));

        LinearWithLoRA Adapted(int inFeatures, int outFeatures) =>
            new(new Linear(inFeatures, outFeatures, random, backend: backend),
                new LoRASettings(3, 6) { Dropout = 0.1f }, random);
    });

    [Test]
    public void DistilBERT_with_LoRA_trains_as_on_the_CPU() => AssertSameRun(backend =>
    {
        var classifier = TinyDistilBert.Classifier(backend: backend);
        var options = new TrainingOptions
        {
            Lora = new LoRASettings(4, 8) { Dropout = 0.1f },
            Epochs = 1,
            BatchSize = 4,
            LearningRate = 0.01f,
            Seed = 5
        };
        var result = FineTuning.Start(classifier, TinyDistilBert.Sentences(12, 1), null, options).Run();
        return ([.. result.Metrics.Select(step => step.Loss)], Trained(classifier.Model));
    });

    [Test]
    public void At_a_fixed_shape_a_step_takes_no_new_buffer_and_waits_for_nothing()
    {
        using var backend = new RecordingBackend(Open());
        var model = new SmallBlock(backend, hidden: 8, heads: 2);
        model.Train();
        var optimizer = new AdamW(model.TrainableParameters(), learningRate: 1e-3f);
        using var batch = new SmallBlock.Batch(backend, seed: 1, 5, 1, 3);
        Step();
        Step();
        backend.Synchronize();
        var settled = backend.Memory;
        backend.Forget();
        Step();
        Assert.That(backend.Kernels,
            Is.Not.Empty.And.No.Member(nameof(IBackend.Download)).And.No.Member(nameof(IBackend.Upload)).And.No
                .Member(nameof(IBackend.Synchronize)));
        Assert.That(backend.Memory, Is.EqualTo(settled), "reserved, in use, and the most that was in use");
        optimizer.Dispose();

        void Step()
        {
            using var scope = new TensorScope();
            model.Loss(batch).Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }
    }

    private void AssertSameRun(Func<IBackend, (float[] Losses, float[] Adapter)> train)
    {
        var trained = On(Open);
        var again = On(Open);
        Values.AssertSameBits(again.Losses, trained.Losses, "losses of a second run");
        Values.AssertSameBits(again.Adapter, trained.Adapter, "adapter of a second run");
        var expected = On(() => new CpuBackend(threads: 1));
        TestContext.Out.WriteLine($"largest difference: losses {Furthest(trained.Losses, expected.Losses):E1}, "
            + $"adapter {Furthest(trained.Adapter, expected.Adapter):E1}");
        Assert.That(expected.Adapter.Count(value => value != 0), Is.GreaterThan(expected.Adapter.Length * 0.9),
            "B has left zero");
        Values.AssertClose(trained.Losses, expected.Losses, Bound, "losses");
        Values.AssertClose(trained.Adapter, expected.Adapter, Bound, "adapter");

        (float[] Losses, float[] Adapter) On(Func<IBackend> open)
        {
            using var backend = open();
            return train(backend);
        }

        static float Furthest(float[] a, float[] b) => a.Zip(b, (x, y) => MathF.Abs(x - y)).Max();
    }

    private static float[] Trained(Module model) =>
        [.. model.TrainableParameters().SelectMany(parameter => parameter.ToArray())];

    private IBackend Open() => gpu.Open(groupThreads: 8);
}
