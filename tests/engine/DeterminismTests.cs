using LoraScratch.Engine.Optim;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

internal class DeterminismTests
{
    private static IEnumerable<InstructionSet> Supported => InstructionSets.Supported;

    [TestCaseSource(nameof(Supported))]
    public void The_same_seed_gives_the_same_bits_for_1_2_and_3_threads_over_a_whole_training_run(InstructionSet set)
    {
        var (losses, weights) = Train(set, threads: 1);
        Assert.That(losses[^1], Is.LessThan(losses[0]), "the run learns its batches by heart");
        foreach (var threads in new[] { 1, 2, 3 })
        {
            var again = Train(set, threads);
            Values.AssertSameBits(again.Losses, losses, $"losses on {threads} threads");
            Values.AssertSameBits(again.Weights, weights, $"weights on {threads} threads");
        }
    }

    [Test]
    public void Another_seed_gives_another_run() =>
        Assert.That(Train(InstructionSets.Best, threads: 2, seed: 8).Losses,
            Is.Not.EqualTo(Train(InstructionSets.Best, threads: 2).Losses));

    private static (float[] Losses, float[] Weights) Train(InstructionSet set, int threads, ulong seed = 7)
    {
        using var backend = new CpuBackend(threads, set);
        var model = new SmallBlock(backend, hidden: 48, heads: 3, dropoutProbability: 0.1f, seed);
        model.Train();
        using var optimizer = new AdamW(model.TrainableParameters(), learningRate: 2e-3f);
        SmallBlock.Batch[] batches = [new(backend, 1, 60, 3, 17, 1, 90, 44), new(backend, 2, 33, 128, 5)];
        var losses = new float[12];
        for (var step = 0; step < losses.Length; step++)
        {
            losses[step] = model.Step(optimizer, batches[step % 2]);
        }
        return (losses, [.. model.Parameters().SelectMany(parameter => parameter.ToArray())]);
    }
}
