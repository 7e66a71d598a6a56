using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Which state of a run is kept, and that a run ends early where none gets better.
/// </summary>
internal class BestStateTests
{
    private static readonly EncodedExample[] Train = TinyDistilBert.Sentences(26, 1),
        Validation = TinyDistilBert.Sentences(12, 2);

    // a rate that destroys what was learned: an early state is the best
    private static readonly TrainingOptions Destructive = new()
    {
        Method = TrainingMethod.Full,
        Optimizer = OptimizerKind.Sgd,
        Momentum = 0.9f,
        LearningRate = 0.3f,
        Clip = 0,
        Schedule = ScheduleKind.Constant,
        Epochs = 3,
        BatchSize = 4,
        Seed = 5,
    };

    // the best in each metric at another step: macro F1, accuracy, weighted F1, loss
    private static readonly Score[] Script =
    [
        new(10, 5, 0.5, 1, 1) { MacroF1 = 0.9, WeightedF1 = 0.1 },
        new(10, 9, 0.6, 1, 1) { MacroF1 = 0.2, WeightedF1 = 0.2 },
        new(10, 4, 0.7, 1, 1) { MacroF1 = 0.3, WeightedF1 = 0.8 },
        new(10, 3, 0.1, 1, 1) { MacroF1 = 0.1, WeightedF1 = 0.1 },
    ];

    [TestCase(ScoreMetric.MacroF1, null, 1, 4)]
    [TestCase(ScoreMetric.Accuracy, null, 2, 4)]
    [TestCase(ScoreMetric.WeightedF1, null, 3, 4)]
    [TestCase(ScoreMetric.Loss, null, 4, 4)]
    [TestCase(ScoreMetric.MacroF1, 2, 1, 3)]
    [TestCase(ScoreMetric.Accuracy, 1, 2, 3)]
    [TestCase(ScoreMetric.Loss, 2, 1, 3)]
    public void The_state_that_is_best_in_the_metric_is_kept(ScoreMetric metric, int? earlyStopping, int kept,
        int steps)
    {
        var options = new TrainingOptions
        {
            Method = TrainingMethod.Full,
            BatchSize = Train.Length,
            Epochs = Script.Length,
            Metric = metric,
            EarlyStopping = earlyStopping,
        };
        var classifier = TinyDistilBert.Classifier();
        var states = new List<float[]>();
        var run = new TrainingRun(new ScriptedTask(new ClassificationTask(classifier, null, options)), options, Train,
            Validation);
        run.Validated += _ => states.Add(Values(classifier));
        var result = run.Run();
        Assert.That((result.KeptStep, result.Steps, result.StoppedEarly), Is.EqualTo((kept, steps, steps < 4)));
        Assert.That(result.Best, Is.EqualTo(Script[kept - 1]));
        Assert.That(Values(classifier), Is.EqualTo(states[kept - 1]));

        static float[] Values(TextClassifier classifier) =>
            [.. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())];
    }

    [Test]
    public void A_run_ends_after_so_many_validations_without_a_better_state()
    {
        var whole = Run(Destructive);
        Assert.That((whole.Result.KeptStep, whole.Result.Steps, whole.Result.StoppedEarly),
            Is.EqualTo((7, 21, false)), "or the cases below show nothing");
        var one = Run(Destructive with { EarlyStopping = 1 });
        Assert.That((one.Result.Steps, one.Result.TotalSteps, one.Result.KeptStep, one.Result.StoppedEarly,
            one.Result.WasCancelled), Is.EqualTo((14, 21, 7, true, false)));
        Assert.That(one.Weights, Is.EqualTo(whole.Weights), "the best state");
        var two = Run(Destructive with { EarlyStopping = 2 });
        Assert.That((two.Result.Steps, two.Result.StoppedEarly), Is.EqualTo((21, false)), "it was at its end");
        Assert.That(two.Weights, Is.EqualTo(whole.Weights));
    }

    [Test]
    public void A_run_that_stopped_early_is_at_its_end_when_it_is_resumed_and_one_before_it_goes_on_to_there()
    {
        using var folder = new TemporaryFolder();
        var options = Destructive with { EarlyStopping = 1 };
        var whole = Run(options);
        var path = folder.File("run");
        Run(options, new CheckpointOptions(path), stopAfter: 10);
        var resumed = Run(options, new CheckpointOptions(path, Every: 1, Resume: true));
        Assert.That((resumed.Result.Steps, resumed.Result.KeptStep, resumed.Result.StoppedEarly),
            Is.EqualTo((14, 7, true)));
        Assert.That(resumed.Weights, Is.EqualTo(whole.Weights));
        // as if a kill had come before its result was written
        var again = Run(options, new CheckpointOptions(path, Resume: true));
        Assert.That((again.Result.Steps, again.Result.KeptStep, again.Result.StoppedEarly, again.Result.WasCancelled),
            Is.EqualTo((14, 7, true, false)));
        Assert.That(again.Weights, Is.EqualTo(whole.Weights));
        Assert.That(() => Run(options with { EarlyStopping = 2 }, new CheckpointOptions(path, Resume: true)),
            Throws.TypeOf<InputException>().With.Message.Contains("option 'early-stopping' was 1 and is 2 now"));
    }

    [Test]
    public void A_run_of_before_these_options_goes_on_with_their_defaults()
    {
        var model = TinyDistilBert.Classifier().Model;
        RunIdentity Identity(TrainingOptions options) =>
            RunIdentity.Of(model, model.Backend, ResolvedOptions.Of(options), (RunInputs.Train, Train));
        var now = Identity(Destructive);
        string[] added = [.. ValidationOptionList.All.Select(option => option.Name)];
        Assert.That(now.Options.Keys, Is.SupersetOf(added));
        var saved = now with
        {
            Options = now.Options.Where(option => !added.Contains(option.Key)).ToDictionary(),
        };
        Assert.That(() => now.RequireSame(saved, "run"), Throws.Nothing);
        Assert.That(() => Identity(Destructive with { Stratified = false }).RequireSame(saved, "run"),
            Throws.TypeOf<InputException>().With.Message.Contains("option 'split' was stratified and is random now"));
    }

    private static (TrainingResult Result, int[] Weights) Run(TrainingOptions options,
        CheckpointOptions? checkpoint = null, int stopAfter = int.MaxValue)
    {
        using var cancellation = new CancellationTokenSource();
        var classifier = TinyDistilBert.Classifier();
        var tuning = FineTuning.Start(classifier, Train, Validation, options);
        tuning.Training.StepDone += step =>
        {
            if (step.Step == stopAfter)
            {
                cancellation.Cancel();
            }
        };
        var result = tuning.Training.Run(cancellation.Token, checkpoint);
        return (result, [.. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())
            .Select(BitConverter.SingleToInt32Bits)]);
    }

    /// <summary>Trains as another task does, and validates as the script says.</summary>
    private sealed class ScriptedTask(ITrainingTask task) : ITrainingTask
    {
        private int validations;

        public Module Model => task.Model;

        public IBackend Backend => task.Backend;

        public RandomStream DropoutStream => task.DropoutStream;

        public IReadOnlyList<float> SharesOf(IReadOnlyList<PackedBatch> group, int epoch) =>
            task.SharesOf(group, epoch);

        public Tensor AddGradients(PackedBatch batch, float share, int epoch) => task.AddGradients(batch, share, epoch);

        public Score Evaluate(IReadOnlyList<EncodedExample> examples, ProcessGroup processes,
            CancellationToken cancellation) => Script[validations++];

        public IReadOnlyDictionary<string, object?> OptionsByName() => task.OptionsByName();
    }
}
