using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

public class FineTuningTests
{
    private static readonly TrainingOptions Options = new()
    {
        Lora = new LoRASettings(4, 8),
        Epochs = 2,
        BatchSize = 8,
        LearningRate = 0.01f,
        Seed = 5,
    };

    [TestCase(TrainingMethod.LoRA)]
    [TestCase(TrainingMethod.LastLayers)]
    [TestCase(TrainingMethod.Full)]
    public void Learns_a_task_that_words_decide_with(TrainingMethod method)
    {
        var classifier = TinyDistilBert.Classifier();
        var before = classifier.Evaluate(TinyDistilBert.Sentences(200, 2));
        // The last layers read what a random encoder makes of the words, the positions mixed in: that takes longer.
        var (rate, epochs) = method == TrainingMethod.LastLayers ? (0.05f, 20) : (0.01f, 6);
        var result = Train(classifier, Options with { Method = method, Epochs = epochs, LearningRate = rate },
            TinyDistilBert.Sentences(200, 1));
        var after = classifier.Evaluate(TinyDistilBert.Sentences(200, 2));
        Assert.That(result.Metrics, Has.Count.EqualTo(epochs * 25));
        Assert.That(after.Loss, Is.LessThan(0.9 * before.Loss));
        Assert.That(after.Accuracy, Is.GreaterThan(method == TrainingMethod.LastLayers ? 0.7 : 0.9));
    }

    /// <summary>A data set sorts its classes, a model has them in the order of its head.</summary>
    [Test]
    public void Classes_in_another_order_than_the_models_are_matched_by_their_names()
    {
        using var classifier = TinyDistilBert.Of(
            TinyDistilBert.Config with { Labels = ["pos", "neg"], InitializerRange = 0.2f });
        var data = new TextDataset(Enumerable.Range(0, 120).Select(i => i % 2 == 0
            ? ($"w{(char)('a' + i % 12)} wb", "neg") : ($"w{(char)('m' + i % 12)} wn", "pos")));
        Assert.That(data.Classes, Is.EqualTo(new[] { "neg", "pos" }));
        FineTuning.Start(classifier, data, Options with { Method = TrainingMethod.Full, Epochs = 6 }).Run();
        Assert.That(classifier.Predict(["wc wb", "wp wn"]).Select(answer => answer.Label),
            Is.EqualTo(new[] { "neg", "pos" }));
    }

    [Test]
    public void Predictions_come_as_soon_as_a_batch_is_full()
    {
        var read = 0;
        IEnumerable<string> Texts()
        {
            for (; read < 10;)
            {
                read++;
                yield return "wa wn";
            }
        }
        using var predictions = TinyDistilBert.Classifier().Predict(Texts(), batchSize: 4).GetEnumerator();
        Assert.That(predictions.MoveNext());
        Assert.That(read, Is.EqualTo(4), "a fifth text may be a while in coming");
    }

    [Test]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others()
    {
        var first = Weights(Options);
        Assert.That(Weights(Options), Is.EqualTo(first));
        Assert.That(Weights(Options with { Seed = 6 }), Is.Not.EqualTo(first));

        static float[] Weights(TrainingOptions options)
        {
            var classifier = TinyDistilBert.Classifier();
            Train(classifier, options with { Lora = options.Lora with { Dropout = 0.1f } },
                TinyDistilBert.Sentences(50, 1));
            return [.. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())];
        }
    }

    [Test]
    public void An_estimate_before_the_run_changes_no_bit_of_it([Values(1, 8, 64)] int batchSize)
    {
        Assert.That(Weights(estimated: true), Is.EqualTo(Weights(estimated: false)));

        float[] Weights(bool estimated)
        {
            var classifier = TinyDistilBert.Classifier();           // dropout in the model, and LoRA's own
            var options = Options with { BatchSize = batchSize, Lora = Options.Lora with { Dropout = 0.1f } };
            var texts = TinyDistilBert.Sentences(50, 1);
            var tuning = FineTuning.Start(classifier, texts, null, options);
            if (estimated)
            {
                var estimate = tuning.Training.Estimate();
                Assert.That(estimate.Steps, Is.EqualTo(2 * ((50 + batchSize - 1) / batchSize)));
                Assert.That(estimate.Tokens, Is.EqualTo(2 * texts.Sum(text => text.TokenIds.Length)));
                Assert.That(estimate.Seconds, Is.EqualTo(estimate.Tokens / estimate.TokensPerSecond).And.Positive);
                Assert.That(classifier.Model.IsTraining, Is.False);
            }
            tuning.Run();
            return [.. tuning.Adapter!.Layers
                .SelectMany(layer => layer.Layer.Lora.A.ToArray().Concat(layer.Layer.Lora.B.ToArray())),
                .. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())];
        }
    }

    [Test]
    public void Frozen_weights_stay_bit_for_bit()
    {
        var classifier = TinyDistilBert.Classifier();
        var before = classifier.Model.NamedParameters()
            .Where(entry => entry.Path.StartsWith("distilbert.", StringComparison.Ordinal))
            .ToDictionary(entry => entry.Parameter, entry => entry.Parameter.ToArray());
        Train(classifier, Options, TinyDistilBert.Sentences(50, 1));
        foreach (var (parameter, values) in before)
        {
            Assert.That(parameter.ToArray(), Is.EqualTo(values));
        }
    }

    [Test]
    public void Accumulating_ragged_batches_equals_one_large_batch()
    {
        // 10 texts in batches of 4: 4 + 4 + 2 in one step, against a batch of 10.
        var texts = TinyDistilBert.Sentences(10, 1);
        var options = Options with
        {
            Method = TrainingMethod.Full,
            Epochs = 3,
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 0.1f,
            Shuffle = false
        };
        var large = TinyDistilBert.Classifier(dropout: 0);
        var small = TinyDistilBert.Classifier(dropout: 0);
        var ofLarge = Train(large, options with { BatchSize = 10 }, texts);
        var ofSmall = Train(small, options with { BatchSize = 4, Accumulate = 3 }, texts);
        Assert.That(ofSmall.Steps, Is.EqualTo(3).And.EqualTo(ofLarge.Steps));
        Assert.That(ofSmall.Metrics.Select(step => step.Loss),
            Is.EqualTo(ofLarge.Metrics.Select(step => step.Loss)).Within(1e-5));
        foreach (var (ours, theirs) in small.Model.Parameters().Zip(large.Model.Parameters()))
        {
            Assert.That(ours.ToArray(), Is.EqualTo(theirs.ToArray()).Within(1e-5));
        }
    }

    [Test]
    public void The_state_of_the_best_validation_is_kept()
    {
        var classifier = TinyDistilBert.Classifier();
        // A rate that destroys what was learned: some epoch before the last one is the best.
        var validation = TinyDistilBert.Sentences(60, 9);
        var result = Train(classifier,
            Options with
            {
                Method = TrainingMethod.Full,
                Epochs = 8,
                LearningRate = 0.3f,
                Schedule = ScheduleKind.Constant,
                Clip = 0
            }, TinyDistilBert.Sentences(40, 1), validation);
        var best = result.Validations.Last(look => look.IsBest);
        Assert.That(result.KeptStep, Is.EqualTo(best.Step).And.LessThan(result.Steps),
            "the last epoch should not be the best one here, or the test shows nothing");
        var again = classifier.Evaluate(validation);
        Assert.That(again.Score with { Seconds = 0 }, Is.EqualTo(best.Validation! with { Seconds = 0 }));
    }

    [Test]
    public void Looks_between_the_ends_of_epochs_change_nothing_but_the_choice()
    {
        // 10 steps an epoch.
        var (train, validation, options) =
            (TinyDistilBert.Sentences(40, 1), TinyDistilBert.Sentences(20, 9),
                Options with { BatchSize = 4, Epochs = 2 });
        var plain = Train(TinyDistilBert.Classifier(), options, train, validation);
        var result = Train(TinyDistilBert.Classifier(), options with { ValidateEvery = 4 }, train, validation);
        Assert.That(result.Validations.Select(look => (look.Epoch, look.Step)),
            Is.EqualTo(new[] { (1, 4), (1, 8), (1, 10), (2, 12), (2, 16), (2, 20) }));
        Assert.That(result.Validations.Select(look => look.Validation), Has.All.Not.Null);
        Assert.That(result.Metrics.Select(step => step.Loss), Is.EqualTo(plain.Metrics.Select(step => step.Loss)));
        Assert.That(result.Validations[1].TrainLoss,
            Is.EqualTo(result.Metrics.Skip(4).Take(4).Average(step => step.Loss)).Within(1e-6),
                "of the steps since the last look");
        Assert.That(result.KeptStep, Is.EqualTo(result.Validations.Last(look => look.IsBest).Step));
    }

    [Test]
    public void A_last_step_that_goes_astray_is_an_error_and_not_a_model()
    {
        var options = Options with
        {
            Method = TrainingMethod.Full,
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 1e38f,
            WeightDecay = 1e3f,
            Clip = 0,
            MaxSteps = 1,
            Warmup = 0,
            Schedule = ScheduleKind.Constant
        };
        Assert.That(() => Train(TinyDistilBert.Classifier(), options, TinyDistilBert.Sentences(20, 1)),
            Throws.TypeOf<InputException>().With.Message.Contains("After step 1").And.Message
                .Contains("no numbers").And.Message.Contains("option 'LearningRate'"));
    }

    [Test]
    public void More_batches_a_step_than_there_are_make_one_step_an_epoch() =>
        Assert.That(Train(TinyDistilBert.Classifier(), Options with { Accumulate = int.MaxValue, Epochs = 2 },
            TinyDistilBert.Sentences(20, 1)).Steps, Is.EqualTo(2));

    [Test]
    public void Without_validation_the_last_state_is_kept()
    {
        var result = Train(TinyDistilBert.Classifier(), Options, TinyDistilBert.Sentences(20, 1));
        Assert.That((result.KeptStep, result.Best, result.WasCancelled),
            Is.EqualTo((result.Steps, (Evaluation?)null, false)));
    }

    [Test]
    public void Max_steps_ends_the_run_within_an_epoch_and_the_rate_reaches_zero_there()
    {
        var result = Train(TinyDistilBert.Classifier(), Options with { MaxSteps = 4, Warmup = 2 },
            TinyDistilBert.Sentences(50, 1), TinyDistilBert.Sentences(10, 2));
        Assert.That(result.Metrics.Select(step => step.LearningRate),
            Is.EqualTo(new[] { 0, 0.005f, 0.01f, 0.005f }).Within(1e-7));
        Assert.That(result.Validations.Single().Validation, Is.Not.Null, "the state at the end is validated");
        Assert.That(result.Metrics[^1].SecondsLeft, Is.Zero);
    }

    [Test]
    public void Cancelling_ends_after_the_step_in_progress_and_keeps_what_is_there()
    {
        using var cancellation = new CancellationTokenSource();
        var classifier = TinyDistilBert.Classifier();
        var tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(50, 1), TinyDistilBert.Sentences(10, 2),
            Options);
        tuning.Training.StepDone += step =>
        {
            if (step.Step == 3)
            {
                cancellation.Cancel();
            }
        };
        var result = tuning.Run(cancellation: cancellation.Token);
        Assert.That((result.Steps, result.WasCancelled, result.KeptStep), Is.EqualTo((3, true, 3)));
        Assert.That(classifier.Model.IsTraining, Is.False);
    }

    [Test]
    public void Progress_tells_every_step_and_every_validation_with_the_best_so_far()
    {
        var told = new List<TrainingProgress>();
        var tuning = FineTuning.Start(TinyDistilBert.Classifier(), TinyDistilBert.Sentences(24, 1),
            TinyDistilBert.Sentences(10, 2), Options with { Epochs = 3, BatchSize = 8 });
        var result = tuning.Run(new Listener(told.Add));
        Assert.That(told.Select(progress => progress.Step).Distinct(), Is.EqualTo(result.Metrics));
        Assert.That(told.Select(progress => progress.Validation).Where(validation => validation is not null).Distinct(),
            Is.EqualTo(result.Validations));
        Assert.That(told, Has.Count.EqualTo(9 + 3), "three validations after nine steps");
        Assert.That((told[0].Validation, told[0].Best), Is.EqualTo(((ValidationMetrics?)null, (Score?)null)));
        Assert.That(told[^1].Best, Is.EqualTo(result.Best));
        Assert.That(result.Best, Is.Not.Null);
    }

    private sealed class Listener(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }

    [Test]
    public void A_diverging_run_says_so()
    {
        Assert.That(() => Train(TinyDistilBert.Classifier(),
            Options with
            {
                Method = TrainingMethod.Full,
                LearningRate = 1e30f,
                Optimizer = OptimizerKind.Sgd,
                Clip = 0
            }, TinyDistilBert.Sentences(50, 1)),
            Throws.TypeOf<InputException>().With.Message.Contains("diverged").And.Message
                .Contains("option 'LearningRate'"));
    }

    [Test]
    public void A_class_that_the_model_lacks_is_refused()
    {
        Assert.That(() => Train(TinyDistilBert.Classifier(), Options, [new EncodedExample([2, 3], 2)]),
            Throws.TypeOf<InputException>().With.Message.Contains("class 2").And.Message.Contains("0 = neg, 1 = pos"));
    }

    [TestCase("q", "query,value", false, 147_456)]
    [TestCase("q,mlp", "query,value,mlp", false, 516_096)]
    public void LoRA_on_the_real_size_trains(string _, string targets, bool head, int parameters) =>
        Assert.That(Trainable(new TrainingOptions { Targets = targets.Split(','), TrainHead = head }),
            Is.EqualTo(parameters));

    [Test]
    public void The_last_layers_of_the_real_size_have() =>
        Assert.That(Trainable(new TrainingOptions { Method = TrainingMethod.LastLayers }), Is.EqualTo(592_130));

    [Test]
    public void All_layers_of_the_real_size_have() =>
        Assert.That(Trainable(new TrainingOptions { Method = TrainingMethod.Full }), Is.EqualTo(66_955_010));

    [Test]
    public void Every_target_at_rank_16_on_the_real_size_trains()
    {
        var linear = new TrainingOptions
        {
            Targets = [.. LoRATargets.OfEncoder, LoRATargets.Head],
            Lora = new LoRASettings(16)
        };
        Assert.That(Trainable(linear), Is.EqualTo(1_364_000));
        Assert.That(Trainable(linear with { Targets = LoRATargets.Names }), Is.EqualTo(1_364_000 + 16 * (30_522 + 768)),
            "a row of A for every piece of the vocabulary");
    }

    private static long Trainable(TrainingOptions options)
    {
        var model = new EncoderForSequenceClassification(new EncoderConfig(), 0, null, draw: false);
        var classifier = new TextClassifier(model, WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary));
        TrainingSetup.Prepare(classifier, options);
        var count = model.TrainableParameters().Sum(parameter => (long)parameter.Shape.Count);
        foreach (var parameter in model.Parameters())
        {
            parameter.Dispose();
        }
        return count;
    }

    private static TrainingResult Train(TextClassifier classifier, TrainingOptions options, EncodedExample[] train,
        EncodedExample[]? validation = null) =>
        FineTuning.Start(classifier, train, validation, options).Run();
}
