using System.Diagnostics;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Lora.Training;

/// <summary>What a run left. The model holds the state that was kept.</summary>
/// <param name="Steps">Steps taken.</param> <param name="KeptStep">The step after which the kept state was: the last one, or that of the best validation.</param>
/// <param name="Best">Validation of the kept state; null without any.</param> <param name="WasCancelled">Whether it ended before its time.</param>
/// <param name="TrainableParameters">Numbers that were trained.</param> <param name="Seconds">The whole run.</param>
/// <param name="Metrics">Every step.</param> <param name="Epochs">Every epoch that came to its end, or to the run's.</param>
public sealed record TrainingResult(
    int Steps, int KeptStep, Evaluation? Best, bool WasCancelled, long TrainableParameters, double Seconds, IReadOnlyList<StepMetrics> Metrics, IReadOnlyList<EpochMetrics> Epochs);

/// <summary>
/// The training loop: batches in an order drawn by seed, gradients added up over <see cref="TrainingOptions.Accumulate"/> of them, clipped, a step, and after
/// every epoch a look at the validation texts, whose best state is kept. Same options, data and model: same weights, bit for bit.
/// </summary>
public sealed class Trainer
{
    private readonly TextClassifier classifier;
    private readonly TrainingOptions options;
    private readonly Parameter[] trainable;

    /// <summary>A trainer of everything in the model that is trainable now; see <see cref="TrainingSetup.Prepare"/>.</summary>
    /// <param name="classifier">The model and its tokenizer.</param> <param name="options">How.</param>
    /// <exception cref="InputException">The options make no sense, or nothing is trainable.</exception>
    public Trainer(TextClassifier classifier, TrainingOptions options)
    {
        options.Check();
        (this.classifier, this.options) = (classifier, options);
        trainable = [.. Model.TrainableParameters()];
        if (trainable.Length == 0)
            throw new InputException("Nothing in the model is trainable: everything is frozen.");
    }

    /// <summary>After every step.</summary>
    public event Action<StepMetrics>? StepDone;

    /// <summary>After every epoch, validation included.</summary>
    public event Action<EpochMetrics>? EpochDone;

    /// <summary>Numbers that are trained.</summary>
    public long TrainableParameters => trainable.Sum(parameter => (long)parameter.Shape.Count);

    private DistilBertForSequenceClassification Model => classifier.Model;

    /// <summary>Trains.</summary>
    /// <param name="train">At least one text.</param> <param name="validation">Chooses the best epoch; null or empty: the last state is kept.</param>
    /// <param name="cancellation">Ends the run after the step in progress; the best validated state is kept, or else the last one.</param>
    /// <exception cref="InputException">There is no text, a class is unknown, or the loss stops being a number.</exception>
    public TrainingResult Train(IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation = null, CancellationToken cancellation = default)
    {
        classifier.RequireLabels(train);
        validation = validation is { Count: > 0 } ? validation : null;
        Model.DropoutStream.Restore(Seeds.Dropout(options.Seed));
        Model.Train();
        try
        {
            using var run = new Run(this, train, validation, cancellation);
            return run.Go();
        }
        finally
        {
            Model.Evaluate();
            Model.ZeroGradient();
        }
    }

    /// <summary>The state of one call of <see cref="Train"/>.</summary>
    private sealed class Run(Trainer trainer, IReadOnlyList<EncodedExample> train, IReadOnlyList<EncodedExample>? validation, CancellationToken cancellation) : IDisposable
    {
        private readonly TrainingOptions options = trainer.options;
        private readonly BatchSampler sampler = new(train, trainer.options.BatchSize, trainer.options.Seed, trainer.options.Shuffle);
        private readonly Optimizer optimizer = TrainingSetup.CreateOptimizer(trainer.Model, trainer.options);
        private readonly List<StepMetrics> metrics = [];
        private readonly List<EpochMetrics> epochs = [];
        private readonly Stopwatch clock = Stopwatch.StartNew();
        private readonly int steps = StepsOf(train.Count, trainer.options);
        private Evaluation? best;
        private float[][]? bestState;           // null while the model itself holds the best state
        private int bestStep;

        public TrainingResult Go()
        {
            var schedule = Schedule(steps, options);
            for (var epoch = 1; metrics.Count < steps && !cancellation.IsCancellationRequested; epoch++)
            {
                var first = metrics.Count;
                foreach (var group in sampler.Epoch(epoch - 1).Chunk(options.Accumulate))
                {
                    SetBestAside();
                    Step(group, epoch, schedule);
                    if (metrics.Count == steps || cancellation.IsCancellationRequested)
                        break;
                }
                EndEpoch(epoch, [.. metrics.Skip(first)]);
            }
            return Finish();
        }

        public void Dispose() => optimizer.Dispose();

        private void Step(PackedBatch[] group, int epoch, LinearSchedule schedule)
        {
            var start = clock.Elapsed.TotalSeconds;
            var texts = group.Sum(batch => batch.Rows);
            // Each batch's mean weighs as many texts as it has, so that the sum is the mean of the whole group even where batches differ in size.
            var loss = group.Sum(batch => AddGradients(batch, (float)batch.Rows / texts));
            var norm = GradientClipping.ClipNorm(trainer.trainable, options.Clip > 0 ? options.Clip : float.MaxValue);
            if (!float.IsFinite(loss) || !float.IsFinite(norm))
                throw Diverged(loss, norm);
            optimizer.LearningRate = options.ResolvedLearningRate * schedule.Factor(metrics.Count);
            optimizer.Step();
            optimizer.ZeroGradient();

            var end = clock.Elapsed.TotalSeconds;
            var stepSeconds = end - start;
            var mean = (metrics.Sum(step => step.StepSeconds) + stepSeconds) / (metrics.Count + 1);
            metrics.Add(new StepMetrics(metrics.Count + 1, steps, epoch, loss, optimizer.LearningRate, norm, group.Sum(batch => batch.Tokens), stepSeconds, end,
                mean * (steps - metrics.Count - 1)));
            trainer.StepDone?.Invoke(metrics[^1]);
        }

        /// <summary>Forward and backward of one batch; the gradients add to those that are there.</summary>
        /// <returns>The batch's share of the loss.</returns>
        private float AddGradients(PackedBatch batch, float weight)
        {
            using var scope = new TensorScope();
            using var tokens = new PackedTokens(batch, trainer.Model.Backend);
            using var labels = new Indices(batch.Labels, trainer.Model.Backend);
            var loss = trainer.Model.Forward(tokens).CrossEntropy(labels).Scale(weight);
            loss.Backward();
            return loss.Item();
        }

        private void EndEpoch(int epoch, StepMetrics[] ofEpoch)
        {
            Evaluation? result = null;
            if (Validate() is { } evaluation)
            {
                result = evaluation;
                if (best is null || result.IsBetterThan(best))
                    (best, bestStep, bestState) = (result, metrics.Count, null);
            }
            // Steps have different numbers of tokens but, the last one apart, equally many texts.
            epochs.Add(new EpochMetrics(epoch, metrics.Count, ofEpoch.Average(step => step.Loss), result, result is not null && result == best));
            trainer.EpochDone?.Invoke(epochs[^1]);
        }

        /// <summary>Null without validation texts, and where the run is cancelled before or during it.</summary>
        private Evaluation? Validate()
        {
            try
            {
                return validation is null ? null : trainer.classifier.Evaluate(validation, cancellation: cancellation);
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }

        /// <summary>Copies the best state before the next step overwrites it; the last epoch's needs no copy.</summary>
        private void SetBestAside()
        {
            if (best is not null && bestState is null && bestStep == metrics.Count)
                bestState = [.. trainer.trainable.Select(parameter => parameter.ToArray())];
        }

        private TrainingResult Finish()
        {
            if (bestState is not null)
            {
                foreach (var (parameter, values) in trainer.trainable.Zip(bestState))
                    parameter.Set(values);
            }
            return new TrainingResult(metrics.Count, best is null ? metrics.Count : bestStep, best, metrics.Count < steps, trainer.TrainableParameters,
                clock.Elapsed.TotalSeconds, metrics, epochs);
        }

        private InputException Diverged(float loss, float norm) => new(FormattableString.Invariant(
            $"Step {metrics.Count + 1}: the loss is {loss} and the gradient norm {norm}: the training has diverged. Lower --lr (now {options.ResolvedLearningRate}), or clip the gradients (--clip 1)."));
    }

    private static int StepsOf(int texts, TrainingOptions options)
    {
        var batches = ((long)texts + options.BatchSize - 1) / options.BatchSize;
        var ofEpoch = (batches + options.Accumulate - 1) / options.Accumulate;
        return (int)Math.Min(options.MaxSteps ?? int.MaxValue, ofEpoch * options.Epochs);
    }

    private static LinearSchedule Schedule(int steps, TrainingOptions options)
    {
        if (options.Warmup >= steps && options.Warmup >= 1)
            throw new InputException(FormattableString.Invariant($"--warmup is {options.Warmup} steps, and the run has {steps}: the learning rate would never reach --lr. Warm up for fewer steps, or name a share below 1."));
        // A share never takes the whole run: its only step would have the learning rate 0.
        var warmup = options.Warmup < 1 ? Math.Min(steps - 1, Math.Ceiling(options.Warmup * steps)) : options.Warmup;
        return new LinearSchedule((int)warmup, steps, options.Schedule == ScheduleKind.Linear);
    }
}
