using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// What lies below everything that is trained is computed once for each example, and a run does not
/// notice.
/// </summary>
public class FrozenLayersTests
{
    // some of them long: attention's products of few queries sum over so many keys in another order too
    private static readonly EncodedExample[] Train =
        [.. TinyDistilBert.Sentences(21, seed: 5), .. TinyDistilBert.Sentences(3, seed: 7).Select(Long)],
        Held = [.. TinyDistilBert.Sentences(8, seed: 6), .. TinyDistilBert.Sentences(1, seed: 8).Select(Long)];

    private static IEnumerable<TestCaseData> Runs()
    {
        yield return Case("LoRA in the last layer, no dropout", Last(), 0);
        yield return Case("LoRA in the last layer, frozen-dropout false", Last() with { FrozenDropout = false }, 0.2f);
        yield return Case("LoRA and a dropout of its own", Last() with
        {
            FrozenDropout = false,
            Lora = new(2, 4, Dropout: 0.2f),
            Targets = ["query", "key", "value", "projection", "mlp"],
        }, 0.2f);
        yield return Case("QA-LoRA in the last layer", Last() with { Method = TrainingMethod.QALoRA }, 0);
        yield return Case("the head alone",
            new() { Method = TrainingMethod.LastLayers, FrozenDropout = false, LearningRate = 0.05f }, 0.2f);
        yield return Case("LoRA in the last layer, kept in float16",
            Last() with { FrozenDropout = false, FrozenPrecision = FrozenPrecision.Float16 }, 0.2f);
        yield return Case("the head alone, kept in float16, a text a batch", new()
        {
            Method = TrainingMethod.LastLayers,
            FrozenDropout = false,
            FrozenPrecision = FrozenPrecision.Float16,
            LearningRate = 0.05f,
            BatchSize = 1,
        }, 0.2f);
        yield return Case("the head alone, several batches a step", new()
        {
            Method = TrainingMethod.LastLayers,
            FrozenDropout = false,
            LearningRate = 0.05f,
            Accumulate = 2,
        }, 0.2f);

        yield return Case("LoRA, a text a batch", Last() with { FrozenDropout = false, BatchSize = 1 }, 0.2f);
        yield return Case("the head alone, a text a batch", new()
        {
            Method = TrainingMethod.LastLayers,
            FrozenDropout = false,
            LearningRate = 0.05f,
            BatchSize = 1,
        }, 0.2f);

        static TrainingOptions Last() => new() { Layers = ["last:1"], Lora = new(2, 4), LearningRate = 0.02f };
        static TestCaseData Case(string name, TrainingOptions options, float dropout) =>
            new TestCaseData(options with
            {
                BatchSize = Math.Min(options.BatchSize, 6),
                Epochs = 3,
                ValidateEvery = 3,
            }, dropout)
                .SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Runs))]
    public void A_run_that_keeps_their_output_has_the_bits_of_one_that_does_not(TrainingOptions options, float dropout)
    {
        var without = Run(options with { CacheMemory = 0 }, dropout);
        foreach (var memory in new long?[] { null, 1, 200_000 })             // memory, file, and some of both
        {
            var kept = Run(options with { CacheMemory = memory }, dropout);
            Assert.That(kept.Result.Metrics.Select(step => step.Loss),
                Is.EqualTo(without.Result.Metrics.Select(step => step.Loss)), $"losses, memory {memory}");
            Assert.That(kept.Result.Validations.Select(look => look.Validation!.Loss),
                Is.EqualTo(without.Result.Validations.Select(look => look.Validation!.Loss)), $"validations, {memory}");
            Assert.That(kept.Weights, Is.EqualTo(without.Weights), $"weights, memory {memory}");
            Assert.That(kept.Tokens, Is.LessThan(without.Tokens), "tokens that the first layer sees");
        }
        Assert.That(without.Result.Metrics.Select(step => step.Loss).Distinct().Count(),
            Is.AtLeast(6), "the steps move the loss");
    }

    [Test]
    public void The_first_layer_sees_every_example_once()
    {
        var options = new TrainingOptions { Layers = ["1"], FrozenDropout = false, BatchSize = 6, Epochs = 4 };
        Assert.That(Run(options, 0.2f).Tokens, Is.EqualTo(Train.Concat(Held).Sum(text => text.TokenIds.Length)));
        Assert.That(Run(options with { CacheMemory = 0 }, 0.2f).Tokens,
            Is.AtLeast(4 * Train.Concat(Held).Sum(text => text.TokenIds.Length)));
    }

    /// <summary>
    /// As transformers does: dropout is in frozen layers too, and its masks change.
    /// </summary>
    [Test]
    public void With_dropout_in_them_nothing_is_kept_and_the_result_is_another()
    {
        var options = new TrainingOptions { Layers = ["1"], BatchSize = 6, Epochs = 2 };
        var (model, tuning) = Start(options, 0.2f);
        Assert.That((tuning.Frozen.Count, tuning.Frozen.RunsDropout, tuning.Frozen.CanBeKept),
            Is.EqualTo((1, true, false)));
        Assert.That(tuning.Training.Task.Keep(Train, null, Held, default), Is.Null);
        Assert.That(model.IsTraining, Is.False);
        Assert.That(Run(options, 0.2f).Result.Metrics[0].Loss,
            Is.Not.EqualTo(Run(options with { FrozenDropout = false }, 0.2f).Result.Metrics[0].Loss));
    }

    [Test]
    public void A_run_that_meets_each_example_once_keeps_nothing()
    {
        var options = new TrainingOptions { Layers = ["1"], FrozenDropout = false, BatchSize = 6, Epochs = 1 };
        var (_, tuning) = Start(options, 0);
        var kept = 0;
        tuning.Training.Kept += (_, _) => kept++;
        tuning.Run();
        Assert.That((kept, tuning.FrozenBytes), Is.EqualTo((0, 0L)));
    }

    private static IEnumerable<TestCaseData> Depths()
    {
        yield return new TestCaseData(new TrainingOptions { Layers = ["last:1"] }, 1);
        yield return new TestCaseData(new TrainingOptions(), 0);
        yield return new TestCaseData(new TrainingOptions { Layers = ["0"] }, 0);
        yield return new TestCaseData(new TrainingOptions { Layers = ["1"], Targets = ["query", "embeddings"] }, 0);
        yield return new TestCaseData(
            new TrainingOptions { Layers = ["1"], Lora = new LoRASettings() with { Bias = LoRABias.All } }, 0);
        yield return new TestCaseData(new TrainingOptions { Targets = ["head"] }, 2);
        yield return new TestCaseData(new TrainingOptions { Method = TrainingMethod.LastLayers }, 2);
        yield return new TestCaseData(new TrainingOptions { Method = TrainingMethod.Full }, 0);
    }

    [TestCaseSource(nameof(Depths))]
    public void Frozen_is_what_lies_below_everything_that_is_trained(TrainingOptions options, int layers) =>
        Assert.That(Start(options with { AdaptUntrainedHead = true }, 0).Tuning.Frozen.Count, Is.EqualTo(layers));

    [Test]
    public void Of_a_frozen_encoder_one_vector_of_each_example_is_kept()
    {
        var options = new TrainingOptions { Method = TrainingMethod.LastLayers, FrozenDropout = false };
        var (_, tuning) = Start(options, 0.1f);
        Assert.That(tuning.FrozenBytes, Is.EqualTo((24 + 9) * 128 * sizeof(float)));
        var whole = Start(options with { Method = TrainingMethod.LoRA, Layers = ["1"] }, 0.1f).Tuning;
        Assert.That(whole.FrozenBytes,
            Is.EqualTo(Train.Concat(Held).Sum(text => (long)text.TokenIds.Length) * 128 * sizeof(float)));
    }

    [Test]
    public void A_run_that_is_resumed_has_the_bits_of_one_that_was_not_stopped()
    {
        using var folder = new TemporaryFolder();
        var options = new TrainingOptions { Layers = ["1"], FrozenDropout = false, BatchSize = 6, Epochs = 3 };
        var whole = Run(options, 0.2f);
        using var stop = new CancellationTokenSource();
        var path = folder.File("run.ckpt");
        var (_, first) = Start(options, 0.2f);
        first.Training.StepDone += step => { if (step.Step == 5) { stop.Cancel(); } };
        first.Training.Run(stop.Token, new CheckpointOptions(path, 0, Resume: false));
        // where the outputs lie is no part of what the run is
        var (model, second) = Start(options with { CacheMemory = 1 }, 0.2f);
        var result = second.Training.Run(default, new CheckpointOptions(path, 0, Resume: true));
        Assert.That(result.Metrics.Select(step => step.Loss),
            Is.EqualTo(whole.Result.Metrics.Select(step => step.Loss)));
        Assert.That(Weights(model), Is.EqualTo(whole.Weights));
    }

    [Test]
    public void A_run_that_is_cancelled_while_they_compute_ends_before_its_first_step()
    {
        var (_, tuning) = Start(new() { Layers = ["1"], FrozenDropout = false, Epochs = 2 }, 0);
        using var stop = new CancellationTokenSource();
        tuning.Training.Kept += (_, _) => stop.Cancel();
        Assert.That(tuning.Run(cancellation: stop.Token).Steps, Is.Zero);
    }

    /// <summary>
    /// By count of operations, in DistilBERT's proportions: six layers, a feed-forward of four
    /// times the width.
    /// </summary>
    [Test]
    public void A_step_in_the_last_two_of_six_layers_costs_a_quarter_of_one_in_all_or_less()
    {
        EncodedExample[] texts = [.. Enumerable.Range(0, 4)
            .Select(i => new EncodedExample([.. Enumerable.Range(0, 32).Select(j => (7 * i + j) % 30)], i % 2))];
        var (whole, forward) = Flops([]);
        var (kept, _) = Flops(["last:2"]);
        Assert.That(kept, Is.LessThan(whole / 4));
        Assert.That(kept, Is.LessThan(forward), "even less than a forward pass of all");

        (long Step, long Forward) Flops(string[] layers)
        {
            var config = TinyDistilBert.Config with
            {
                Layers = 6,
                Hidden = 64,
                Heads = 4,
                FeedForward = 256,
                MaxPositions = 32,
                Labels = ["neg", "pos"],
            };
            var classifier = TinyDistilBert.Of(config);
            var tuning = FineTuning.Start(classifier, texts, null,
                new() { Layers = layers, Lora = new(2, 4), TrainHead = false });
            using var tokens = new PackedTokens(PackedBatch.Of(texts));
            using var labels = new Indices([0, 1, 0, 1]);
            using var store = new RowStore(long.MaxValue, 0);
            var outputs = new FrozenOutputs(classifier.Model, tuning.Frozen.Count, texts, store);
            if (tuning.Frozen.Count > 0)
            {
                outputs.Keep([0, 1, 2, 3], default);
            }
            var step = Explain.Run(() => (tuning.Frozen.Count > 0
                ? outputs.Logits(tokens, [0, 1, 2, 3]) : classifier.Model.Forward(tokens)).CrossEntropy(labels), []);
            return (step.ForwardFlops + step.BackwardFlops, step.ForwardFlops);
        }
    }

    [Test]
    public void The_estimate_counts_the_frozen_layers_once()
    {
        var (_, tuning) = Start(new() { Layers = ["1"], FrozenDropout = false, Epochs = 3, BatchSize = 6 }, 0.1f);
        var estimate = tuning.Training.Estimate();
        Assert.That(estimate.KeepingSeconds, Is.Positive);
        Assert.That(estimate.Seconds,
            Is.EqualTo(estimate.KeepingSeconds + estimate.Tokens / estimate.TokensPerSecond).Within(1e-9));
        var (_, other) = Start(new() { Epochs = 3, BatchSize = 6 }, 0.1f);
        Assert.That(other.Training.Estimate().KeepingSeconds, Is.Zero);
    }

    [Test]
    public void Rows_are_kept_in_memory_then_in_a_file_that_has_no_name_and_then_not()
    {
        var before = Directory.GetFiles(Path.GetTempPath(), "lora-*.tmp");
        using var store = new RowStore(memoryBytes: 40, fileBytes: 20);
        float[][] rows = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [10, 11, 12], [13, 14, 15, 16, 17]];
        Assert.That(rows.Select((values, i) => store.Add(i, values)), Is.EqualTo(new[] { true, true, true, false }));
        Assert.That((store.MemoryBytes, store.FileBytes), Is.EqualTo((36L, 12L)));
        for (var i = 0; i < 3; i++)
        {
            var read = new float[rows[i].Length];
            Assert.That(store.TryRead(i, read));
            Assert.That(read, Is.EqualTo(rows[i]));
        }
        Assert.That(store.TryRead(3, new float[5]), Is.False);
        if (!OperatingSystem.IsWindows())
        {
            Assert.That(Directory.GetFiles(Path.GetTempPath(), "lora-*.tmp"), Is.EqualTo(before));
        }
    }

    private static EncodedExample Long(EncodedExample text) => text with
    {
        TokenIds = [.. Enumerable.Range(0, 150).Select(i => text.TokenIds[i % text.TokenIds.Length])],
    };

    private static (TrainingResult Result, float[][] Weights, int Tokens) Run(TrainingOptions options, float dropout)
    {
        var (model, tuning) = Start(options, dropout);
        var tokens = 0;
        var (_, key) = model.NamedSubmodules().First(entry => entry.Path.EndsWith("layer.0.attention.k_lin",
            StringComparison.Ordinal));
        var linear = (Layer)key.Current;
        key.Replace(new CountingLayer(linear, count => tokens += count));
        var result = tuning.Run();
        key.Replace(linear);
        return (result, Weights(model), tokens);
    }

    private static float[][] Weights(EncoderForSequenceClassification model) =>
        [.. model.Parameters().Select(parameter => parameter.ToArray())];

    private static (EncoderForSequenceClassification Model, FineTuning Tuning) Start(TrainingOptions options,
        float dropout)
    {
        var config = TinyDistilBert.Config with
        {
            MaxPositions = 160,
            Hidden = 128,                       // from here on, products of few rows sum in an order of their own
            Heads = 2,
            FeedForward = 128,
            Labels = ["neg", "pos"],
            Dropout = dropout,
            AttentionDropout = dropout,
            ClassifierDropout = 0.1f,
            InitializerRange = 0.2f,
        };
        var classifier = TinyDistilBert.Of(config);
        if (options.Method == TrainingMethod.QALoRA)
        {
            options = options with { Quantization = new() { Format = new(4, 16) } };
        }
        return (classifier.Model, FineTuning.Start(classifier, Train, Held, options));
    }
}
