using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// A training that computes the encoder's layers again in the backward pass has the bits of one
/// that holds all their values, and may be resumed as the other.
/// </summary>
public class RecomputedTrainingTests
{
    private const string Key = "layer.1.attention.k_lin";
    private static readonly string[] AllLinear = ["query", "key", "value", "projection", "mlp"];

    private static readonly EncodedExample[] Train = TinyDistilBert.Sentences(24, seed: 5),
        Held = TinyDistilBert.Sentences(8, seed: 6);

    private static IEnumerable<TestCaseData> Trainings()
    {
        yield return Case("LoRA on query and value", new() { Lora = Rank(0.2f) });
        yield return Case("LoRA on every layer and the word embeddings",
            new() { Lora = Rank(0.2f), Targets = [.. AllLinear, "embeddings"] });
        yield return Case("LoRA with every bias, batches added up",
            new() { Lora = Rank(0) with { Bias = LoRABias.All }, Accumulate = 2 });
        yield return Case("LoRA in the last layer", new() { Lora = Rank(0.2f), Layers = ["last:1"] });
        yield return Case("LoRA in the last layer, the output of the other kept",
            new() { Lora = Rank(0.2f), Layers = ["last:1"], FrozenDropout = false });
        yield return Case("QA-LoRA", new()
        {
            Method = TrainingMethod.QALoRA,
            Lora = Rank(0.2f),
            Targets = AllLinear,
            Quantization = new() { Format = new(4, 16) },
        });
        yield return Case("full fine-tuning", new() { Method = TrainingMethod.Full, LearningRate = 5e-3f });

        static LoRASettings Rank(float dropout) => new(2, 4, Dropout: dropout);
        static TestCaseData Case(string name, TrainingOptions options) => new TestCaseData(options with
        {
            BatchSize = 5,
            Epochs = 2,
            LearningRate = options.LearningRate ?? 0.02f,
            Seed = 7,
        }).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Trainings))]
    public void Losses_validations_and_weights_have_the_same_bits(TrainingOptions options)
    {
        foreach (var everyToken in new[] { false, true })
        {
            var plain = Run(options, everyToken);
            var recomputed = Run(options with { Recompute = true }, everyToken);
            Assert.That(recomputed.Tokens, Is.GreaterThan(plain.Tokens), "what the last layer computed");
            Assert.That(Outcome(recomputed.Result), Is.EqualTo(Outcome(plain.Result)));
            Assert.That(recomputed.Weights, Is.EqualTo(plain.Weights), $"every token: {everyToken}");
            Assert.That(plain.Result.Metrics.Select(step => step.Loss).Distinct().Count(), Is.AtLeast(5),
                "the steps move the loss");
        }
    }

    [Test]
    public void Gradients_have_the_same_bits_in_training_and_in_evaluation([Values] bool train)
    {
        var (plain, recomputed) = (Gradients(recompute: false), Gradients(recompute: true));
        Assert.That(recomputed.Keys, Is.EqualTo(plain.Keys));
        foreach (var (path, gradient) in plain)
        {
            Values.AssertSameBits(recomputed[path], gradient, path);
        }

        Dictionary<string, float[]> Gradients(bool recompute)
        {
            var model = TinyDistilBert.Classifier(dropout: 0.3f).Model;
            model.RecomputesBlocks = recompute;
            model.Train(train);
            model.Unfreeze();
            using var tokens = PackedTokens.From(TinyDistilBert.Texts);         // 5, 2, 9 and 4 tokens
            using var labels = new Indices([0, 1, 1, 0]);
            using var scope = new TensorScope();
            model.Forward(tokens).CrossEntropy(labels).Backward();
            return model.NamedParameters()
                .ToDictionary(entry => entry.Path, entry => entry.Parameter.Gradient!.ToArray());
        }
    }

    [Test]
    public void Pretraining_has_the_same_bits_and_is_resumed_with_the_other()
    {
        using var folder = new TemporaryFolder();
        var plain = Pretrain(false);
        var recomputed = Pretrain(true);
        Assert.That(recomputed.Tokens, Is.GreaterThan(1.4 * plain.Tokens));
        Assert.That(Outcome(recomputed.Result), Is.EqualTo(Outcome(plain.Result)));
        Assert.That(recomputed.Weights, Is.EqualTo(plain.Weights));
        Pretrain(true, new CheckpointOptions(folder.File("run")), stopAfter: 2);
        var resumed = Pretrain(false, new CheckpointOptions(folder.File("run"), Resume: true));
        Assert.That(Outcome(resumed.Result), Is.EqualTo(Outcome(plain.Result)));
        Assert.That(resumed.Weights, Is.EqualTo(plain.Weights));

        static (TrainingResult Result, float[][] Weights, int Tokens) Pretrain(bool recompute,
            CheckpointOptions? checkpoint = null, int stopAfter = 0)
        {
            var model = new EncoderForMaskedLM(TinyDistilBert.Config with
            {
                Dropout = 0.2f,
                AttentionDropout = 0.2f,
                InitializerRange = 0.2f,
            }, seed: 3);
            var tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);
            var pretraining = Pretraining.Start(model, new TokenMasking(tokenizer),
                new PretrainingData(Train, Held, Train.Length, Held.Length), new()
                {
                    Method = TrainingMethod.Full,
                    BatchSize = 4,
                    Accumulate = 2,
                    Epochs = 2,
                    LearningRate = 5e-3f,
                    Recompute = recompute,
                });
            return Watched(model, pretraining.Training, checkpoint, stopAfter);
        }
    }

    [Test]
    public void A_run_is_resumed_with_it_or_without_it([Values] bool first)
    {
        using var folder = new TemporaryFolder();
        var options = (TrainingOptions)Trainings().First().Arguments[0]!;
        var whole = Run(options);
        Run(options with { Recompute = first }, checkpoint: new(folder.File("run")), stopAfter: 3);
        var resumed = Run(options with { Recompute = !first }, checkpoint: new(folder.File("run"), Resume: true));
        Assert.That(Outcome(resumed.Result), Is.EqualTo(Outcome(whole.Result)));
        Assert.That(resumed.Weights, Is.EqualTo(whole.Weights));
    }

    [Test]
    public void The_values_held_for_the_backward_pass_are_less_than_a_quarter(
        [Values(TrainingMethod.LoRA, TrainingMethod.Full)] TrainingMethod method)
    {
        var (held, peak) = Memory(false);
        var (heldAgain, peakAgain) = Memory(true);
        Assert.That(heldAgain, Is.LessThan(held / 4));
        Assert.That(peak - peakAgain, Is.GreaterThan(held / 2), "of the peak, half of what was held is saved, or more");

        (long Held, long Peak) Memory(bool recompute)
        {
            // six layers of a feed-forward of four times the width: DistilBERT's proportions
            using var backend = new CpuBackend(threads: 1);
            var classifier = TinyDistilBert.Of(TinyDistilBert.Config with
            {
                Layers = 6,
                Hidden = 16,
                Heads = 2,
                FeedForward = 64,
                MaxPositions = 64,
                Labels = ["neg", "pos"],
            }, backend: backend);
            var model = classifier.Model;
            var tuning = FineTuning.Start(classifier, Train, null, new() { Method = method });
            model.RecomputesBlocks = recompute;
            foreach (var parameter in model.Parameters())
            {
                _ = parameter.Data;
            }
            using var tokens = PackedTokens.From(Enumerable.Range(0, 32).Select(_ => new int[64]), backend);
            using var labels = new Indices(new int[32], backend);
            var before = backend.Memory.InUse;
            using var scope = new TensorScope();
            Tensor loss;
            using (var forward = new TensorScope())
            {
                loss = forward.Return(model.Forward(tokens).CrossEntropy(labels));
            }
            var held = backend.Memory.InUse - before;
            loss.Backward();
            return (held, backend.Memory.PeakInUse - before);
        }
    }

    private static IEnumerable<object?> Outcome(TrainingResult result) =>
        [.. result.Metrics.Select(step => (step.Loss, step.GradientNorm)),
            .. result.Validations.Select(validation => validation.Validation?.Loss)];

    private static (TrainingResult Result, float[][] Weights, int Tokens) Run(TrainingOptions options,
        bool everyToken = false, CheckpointOptions? checkpoint = null, int stopAfter = 0)
    {
        var classifier = TinyDistilBert.ClassifierForGroups();
        var tuning = FineTuning.Start(classifier, Train, Held, options);
        classifier.Model.ComputesEveryToken = everyToken;
        return Watched(classifier.Model, tuning.Training, checkpoint, stopAfter);
    }

    /// <summary>Trains, and counts the tokens that the last layer computes keys of.</summary>
    private static (TrainingResult Result, float[][] Weights, int Tokens) Watched(Module model, TrainingRun run,
        CheckpointOptions? checkpoint, int stopAfter)
    {
        var tokens = 0;
        using var stop = new CancellationTokenSource();
        run.StepDone += step =>
        {
            if (step.Step == stopAfter)
            {
                stop.Cancel();
            }
        };
        var place = model.NamedSubmodules()
            .First(entry => entry.Path.EndsWith(Key, StringComparison.Ordinal)).Submodule;
        var layer = (Layer)place.Current;
        place.Replace(new CountingLayer(layer, count => tokens += count));
        var result = run.Run(stop.Token, checkpoint);
        place.Replace(layer);
        return (result, [.. model.Parameters().Select(parameter => parameter.ToArray())], tokens);
    }
}
