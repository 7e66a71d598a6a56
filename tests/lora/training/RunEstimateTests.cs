using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// How long a run will take, as it is foretold on devices whose clock the test turns.
/// </summary>
public class RunEstimateTests
{
    private const int TokensPerText = 10;

    [Test]
    public void The_second_batch_of_each_size_counts_for_the_first_one_compiles_kernels()
    {
        // A hundred times slower the first time that a size is met: 10,000 tokens/s otherwise.
        var task = new TimedTask((texts, isFirst) => texts * 1e-3 * (isFirst ? 100 : 1));
        var estimate = task.Estimate(Texts(64));
        Assert.That(estimate.TokensPerSecond, Is.EqualTo(10_000).Within(0.01).Percent);
        Assert.That(estimate.Seconds, Is.EqualTo(0.064).Within(0.01).Percent);
        Assert.That(task.Batches, Is.EqualTo(new[] { 1, 1, 16, 16 }));
    }

    [Test]
    public void Where_a_batch_takes_as_long_as_a_text_the_estimate_is_that_of_the_batches_of_the_run()
    {
        var task = new TimedTask((_, isFirst) => isFirst ? 0.5 : 0.002);
        Assert.That(task.Estimate(Texts(64)).Seconds, Is.EqualTo(4 * 0.002).Within(0.01).Percent, "4 steps");
    }

    /// <summary>The two batches of one text apart, without which nothing is known.</summary>
    [Test]
    public void Measuring_takes_a_hundredth_of_the_run_or_a_fifth_of_a_second(
        [Values(1e-4, 3e-3, 0.05, 1)] double secondsPerText, [Values(20, 1000, 30_000)] int texts)
    {
        var task = new TimedTask((count, _) => count * secondsPerText);
        var estimate = task.Estimate(Texts(texts));
        Assert.That(estimate.Seconds, Is.EqualTo(texts * secondsPerText).Within(0.01).Percent);
        Assert.That(task.Seconds - 2 * secondsPerText, Is.LessThanOrEqualTo(Math.Max(0.2, 0.01 * estimate.Seconds)));
        var forLarger = 0.01 * texts - 1 >= 2 * 16 || (2 * 16 + 1) * secondsPerText <= 0.2;
        Assert.That(task.Batches[^1], forLarger ? Is.EqualTo(16) : Is.LessThan(16), "as the run's, if time allows");
    }

    [Test]
    public void A_batch_of_one_text_that_takes_very_long_is_not_followed_by_larger_ones()
    {
        var task = new TimedTask((texts, isFirst) => texts * (isFirst ? 60 : 30));
        Assert.That(task.Estimate(Texts(12)).Seconds, Is.EqualTo(12 * 30).Within(0.01).Percent);
        Assert.That(task.Batches, Is.EqualTo(new[] { 1, 1 }));
    }

    private static EncodedExample[] Texts(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new EncodedExample(new int[TokensPerText], i % 2))];

    /// <summary>Training that only lets time pass.</summary>
    /// <param name="seconds">
    /// Of a batch, by its texts and whether there was none of that size yet.
    /// </param>
    private sealed class TimedTask(Func<int, bool, double> seconds) : ITrainingTask
    {
        private readonly List<int> batches = [];
        private readonly TurnedClock clock = new();

        public IReadOnlyList<int> Batches => batches;

        public double Seconds => TimeSpan.FromTicks(clock.GetTimestamp()).TotalSeconds;

        public Module Model { get; } = new Linear(1, 1, new RandomStream(1), backend: Backends.Any);

        public IBackend Backend => Backends.Any;

        public RandomStream DropoutStream { get; } = new(2);

        public RunEstimate Estimate(EncodedExample[] texts) =>
            new RunEstimator(this, new TrainingOptions { BatchSize = 16, Epochs = 1 }, texts, clock).Measure();

        public IReadOnlyList<float> SharesOf(IReadOnlyList<PackedBatch> group, int epoch) => [1];

        public Tensor AddGradients(PackedBatch batch, float share, int epoch)
        {
            var texts = batch.Rows;
            clock.Turn(seconds(texts, !batches.Contains(texts)));
            batches.Add(texts);
            return Tensor.Zeros(Shape.Scalar, Backend);
        }

        public Score Evaluate(IReadOnlyList<EncodedExample> examples, ProcessGroup processes,
            CancellationToken cancellation) => throw new NotSupportedException();

        public IReadOnlyDictionary<string, object?> OptionsByName() => throw new NotSupportedException();
    }

    private sealed class TurnedClock : TimeProvider
    {
        private long now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => now;

        public void Turn(double seconds) => now += TimeSpan.FromSeconds(seconds).Ticks;
    }
}
