using System.Collections;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// A run that was stopped and goes on ends where it would have ended without the stop, bit for bit;
/// and nothing else may go on with it.
/// </summary>
internal class ResumeTests
{
    private static readonly EncodedExample[] Train = TinyDistilBert.Sentences(26, 1),
        Validation = TinyDistilBert.Sentences(12, 2);

    private static readonly TrainingOptions Options =
        new()
        {
            Lora = new LoRASettings(4, 6, Dropout: 0.2f),
            Epochs = 3,
            BatchSize = 4,
            LearningRate = 0.02f,
            Seed = 5
        };

    private static readonly TestCaseData[] Kinds =
    [
        new TestCaseData(Options, true).SetArgDisplayNames("LoRA with dropout, AdamW"),
        new TestCaseData(Options with { Accumulate = 3, MaxSteps = 8 },
            true).SetArgDisplayNames("accumulated, ending within an epoch"),
        new TestCaseData(Options with { Method = TrainingMethod.Full, Optimizer = OptimizerKind.Sgd, Momentum = 0.9f,
            LearningRate = 0.3f, Clip = 0, Schedule = ScheduleKind.Constant },
                true).SetArgDisplayNames("everything, momentum, an early epoch is the best"),
        new TestCaseData(Options with { Method = TrainingMethod.LastLayers, Optimizer = OptimizerKind.Adam,
            Shuffle = false }, false).SetArgDisplayNames("last layers, no validation"),
        new TestCaseData(Options with { Method = TrainingMethod.Full, Optimizer = OptimizerKind.Sgd },
            true).SetArgDisplayNames("SGD, which has no state"),
        new TestCaseData(Options with { Epochs = 2, ValidateEvery = 3, LearningRate = 0.1f },
            true).SetArgDisplayNames("looks within an epoch"),
        new TestCaseData(Options with { Metric = ScoreMetric.MacroF1, EarlyStopping = 2, BalancedClasses = true,
            ValidateEvery = 3, LearningRate = 0.3f }, true).SetArgDisplayNames("macro F1, early stopping, weights"),
    ];

    [TestCaseSource(nameof(Kinds))]
    public void Stopped_after_any_step_it_ends_with_the_same_bits(TrainingOptions options, bool validate)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("run");
        var whole = Run(options, validate);
        for (var step = 1; step <= whole.Result.Steps; step++)
        {
            var stopped = Run(options, validate, new CheckpointOptions(path), stopAfter: step);
            Assert.That(stopped.Result.Steps, Is.EqualTo(step));
            var resumed = Run(options, validate, new CheckpointOptions(path, Resume: true));
            RequireSame(resumed, whole, $"stopped after step {step}");
            File.Delete(path);
        }
    }

    [Test]
    public void The_best_state_may_be_from_before_the_stop()
    {
        var (options, validate) = ((TrainingOptions)Kinds[2].Arguments[0]!, true);
        Assert.That(Run(options, validate).Result.KeptStep, Is.EqualTo(7),
            "the first epoch, or the cases above show nothing about it");
    }

    [Test]
    public void Stopped_again_and_again_it_ends_with_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        var whole = Run(Options, true);
        var steps = Run(Options, true, new CheckpointOptions(folder.File("run")), stopAfter: 1).Result.Steps;
        for (var stop = 3; steps < whole.Result.Steps; stop += 2)
        {
            var resumed = Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true), stopAfter: stop);
            Assert.That(resumed.Result.Metrics.Select(step => step.Step),
                Is.EqualTo(Enumerable.Range(1, Math.Min(stop, whole.Result.Steps))));
            steps = resumed.Result.Steps;
        }
        RequireSame(Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)), whole,
            "the run that had ended goes on to its end");
    }

    [Test]
    public void Stopped_during_validation_it_validates_again()
    {
        using var folder = new TemporaryFolder();
        var whole = Run(Options, true);
        using var cancellation = new CancellationTokenSource();
        var classifier = TinyDistilBert.Classifier();
        // Read three times before the run begins, then three times by each validation: the second of those is stopped.
        var validation = new WatchedList(Validation, reads => { if (reads == 8) { cancellation.Cancel(); } });
        var stopped = FineTuning.Start(classifier, Train, validation, Options).Training.Run(cancellation.Token,
            new CheckpointOptions(folder.File("run")));
        Assert.That((stopped.Steps, stopped.WasCancelled), Is.EqualTo((14, true)));
        Assert.That(stopped.Validations.Select(look => look.Validation is null), Is.EqualTo(new[] { false, true }));
        RequireSame(Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)), whole,
            "stopped during validation");
    }

    [Test]
    public void Saving_now_and_then_changes_nothing()
    {
        using var folder = new TemporaryFolder();
        var classifier = TinyDistilBert.Classifier();
        var saved = new List<int>();
        var tuning = FineTuning.Start(classifier, Train, Validation, Options);
        tuning.Training.CheckpointSaved += saved.Add;
        var result = tuning.Training.Run(default, new CheckpointOptions(folder.File("run"), Every: 5));
        Assert.That(saved, Is.EqualTo(new[] { 0, 5, 7, 10, 14, 15, 20, 21 }),
            "at the start, every five steps, after every epoch of seven");
        RequireSame((result, Bits(classifier)), Run(Options, true), "saved meanwhile");
        Assert.That(Directory.GetFileSystemEntries(folder.Root), Has.Length.EqualTo(1), "no temporary file stays");
    }

    private static IEnumerable<TestCaseData> OtherRuns()
    {
        TestCaseData Other(string expected, TrainingOptions? options = null, ulong model = 3,
            EncodedExample[]? train = null, EncodedExample[]? validation = null) =>
            new TestCaseData(options ?? Options, model, train ?? Train, validation ?? Validation,
                expected).SetArgDisplayNames(expected);
        yield return Other("option 'lr' was 0.02 and is 0.01 now", Options with { LearningRate = 0.01f });
        yield return Other("option 'rank' was 4 and is 5 now",
            Options with { Lora = new LoRASettings(5, 6, Dropout: 0.2f) });
        yield return Other("option 'targets' was query,value and is query now", Options with { Targets = ["query"] });
        yield return Other("option 'epochs' was 3 and is 4 now", Options with { Epochs = 4 });
        yield return Other("option 'max-steps' was not given and is 9 now", Options with { MaxSteps = 9 });
        yield return Other("option 'metric' was accuracy and is macro-f1 now",
            Options with { Metric = ScoreMetric.MacroF1 });
        yield return Other("option 'early-stopping' was not given and is 2 now", Options with { EarlyStopping = 2 });
        yield return Other("option 'class-weights' was not given and is balanced now",
            Options with { BalancedClasses = true });
        yield return Other("option 'class-weights' was not given and is pos=2 now",
            Options with { ClassWeights = new Dictionary<string, double> { ["pos"] = 2 } });
        yield return Other("option 'split' was stratified and is random now", Options with { Stratified = false });
        yield return Other("option 'method' was lora and is last-layers now",
            Options with { Method = TrainingMethod.LastLayers });
        yield return Other("option 'optimizer' was adamw and is adam now",
            Options with { Optimizer = OptimizerKind.Adam, WeightDecay = 0.01f });
        yield return Other("option 'seed' was 5 and is 6 now", Options with { Seed = 6 });
        yield return Other("Name the model", model: 4);
        yield return Other("option 'data' gave 26 examples to train on", train: TinyDistilBert.Sentences(26, 3));
        yield return Other("option 'data' gave 12 examples held out for validation",
            validation: TinyDistilBert.Sentences(11, 2));
    }

    [TestCaseSource(nameof(OtherRuns))]
    public void Another_run_does_not_go_on_with_it(TrainingOptions options, ulong model, EncodedExample[] train,
        EncodedExample[] validation, string expected)
    {
        using var folder = new TemporaryFolder();
        Run(Options, true, new CheckpointOptions(folder.File("run")), stopAfter: 2);
        var bytes = File.ReadAllBytes(folder.File("run"));
        var classifier = TinyDistilBert.Classifier(model);
        var tuning = FineTuning.Start(classifier, train, validation, options);
        Assert.That(() => tuning.Training.Run(
            default, new CheckpointOptions(folder.File("run"), Resume: true)),
            Throws.TypeOf<InputException>().With.Message.Contains(expected).And.Message
                .Contains("option 'resume'").And.Message.Contains(folder.File("run")));
        Assert.That(File.ReadAllBytes(folder.File("run")), Is.EqualTo(bytes), "the saved run is not lost");
    }

    [Test]
    public void Another_instruction_set_does_not_go_on_with_it()
    {
        if (InstructionSets.Best == InstructionSet.Portable)
        {
            Assert.Ignore("This processor has one code path only.");
        }
        using var folder = new TemporaryFolder();
        Run(Options, true, new CheckpointOptions(folder.File("run")), stopAfter: 2);
        var before = Device.Default;
        using var portable = new CpuBackend(1, InstructionSet.Portable);
        try
        {
            Device.Default = portable;
            Assert.That(() => Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)),
                Throws.TypeOf<InputException>().With.Message
                    .Contains($"'CPU, {InstructionSets.Best.Name()}, ").And.Message.Contains("'CPU, portable"));
        }
        finally
        {
            Device.Default = before;
        }
    }

    [Test]
    public void A_new_run_does_not_overwrite_a_saved_one_and_none_goes_on_with_nothing()
    {
        using var folder = new TemporaryFolder();
        Assert.That(() => Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)),
            Throws.TypeOf<InputException>().With.Message.Contains("there is no saved run"));
        Run(Options, true, new CheckpointOptions(folder.File("run")), stopAfter: 2);
        Assert.That(() => Run(Options, true, new CheckpointOptions(folder.File("run"))),
            Throws.TypeOf<InputException>().With.Message.Contains("by option 'resume', or delete"));
    }

    [Test]
    public void A_damaged_or_foreign_file_is_refused()
    {
        using var folder = new TemporaryFolder();
        Run(Options, true, new CheckpointOptions(folder.File("run")), stopAfter: 2);
        var bytes = File.ReadAllBytes(folder.File("run"));
        foreach (var length in new[] { 0, 7, 100, bytes.Length / 2, bytes.Length - 1 })
        {
            File.WriteAllBytes(folder.File("run"), bytes[..length]);
            Assert.That(() => Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)),
                Throws.TypeOf<InputException>().With.Message.Contains(folder.File("run")), $"{length} bytes");
        }
        SafeTensorsWriter.Write(folder.File("run"), []);
        Assert.That(() => Run(Options, true, new CheckpointOptions(folder.File("run"), Resume: true)),
            Throws.TypeOf<InputException>().With.Message.Contains("no saved run"));
    }

    [Test]
    public void What_a_kill_left_half_written_is_removed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File(".run.abcdefgh.xyz.tmp"), "half");
        File.WriteAllText(folder.File(".other.abcdefgh.xyz.tmp"), "not ours");
        new CheckpointOptions(folder.File("run")).Check();
        Assert.That(Directory.GetFiles(folder.Root).Select(Path.GetFileName),
            Is.EqualTo(new[] { ".other.abcdefgh.xyz.tmp" }));
    }

    private static (TrainingResult Result, int[] Weights) Run(TrainingOptions options, bool validate,
        CheckpointOptions? checkpoint = null, int stopAfter = int.MaxValue)
    {
        using var cancellation = new CancellationTokenSource();
        var classifier = TinyDistilBert.Classifier();
        var tuning = FineTuning.Start(classifier, Train, validate ? Validation : null, options);
        tuning.Training.StepDone += step =>
        {
            if (step.Step == stopAfter)
            {
                cancellation.Cancel();
            }
        };
        var result = tuning.Training.Run(cancellation.Token, checkpoint);
        return (result, Bits(classifier));
    }

    private static int[] Bits(TextClassifier classifier) =>
        [.. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())
            .Select(BitConverter.SingleToInt32Bits)];

    private static void RequireSame((TrainingResult Result, int[] Weights) run,
        (TrainingResult Result, int[] Weights) whole, string what)
    {
        Assert.That(run.Weights, Is.EqualTo(whole.Weights), what);
        Assert.That(run.Result.Metrics
            .Select(step => (step.Step, step.Epoch, step.Loss, step.LearningRate, step.GradientNorm)),
            Is.EqualTo(whole.Result.Metrics
                .Select(step => (step.Step, step.Epoch, step.Loss, step.LearningRate, step.GradientNorm))), what);
        Assert.That(run.Result.Validations
            .Select(look => (look.Epoch, look.Step, look.TrainLoss, look.Validation?.Loss, look.IsBest)),
            Is.EqualTo(whole.Result.Validations
                .Select(look => (look.Epoch, look.Step, look.TrainLoss, look.Validation?.Loss, look.IsBest))), what);
        Assert.That((run.Result.KeptStep, run.Result.WasCancelled), Is.EqualTo((whole.Result.KeptStep, false)), what);
        Assert.That(run.Result.Metrics.Select(step => step.Seconds), Is.Ordered, "the time of before counts");
    }

    /// <summary>A list that counts how often it was read from its beginning.</summary>
    private sealed class WatchedList(EncodedExample[] items, Action<int> read) : IReadOnlyList<EncodedExample>
    {
        private int reads;

        public int Count => items.Length;

        public EncodedExample this[int index] => items[index];

        public IEnumerator<EncodedExample> GetEnumerator()
        {
            read(++reads);
            return ((IEnumerable<EncodedExample>)items).GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
