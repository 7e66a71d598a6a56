using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>Shows an experiment to its user.</summary>
internal interface IExperimentProgress
{
    /// <summary>Calls <paramref name="train"/> while showing it.</summary>
    TrainingResult Show(ExperimentRun run, FineTuning tuning, Func<TrainingResult> train);

    /// <summary>So many texts of a run's evaluation are done.</summary>
    void Evaluating(ExperimentRun run, string texts, int done, int count);
}

/// <summary>
/// Carries out the runs of an experiment, each on a model as it was at the beginning.
/// </summary>
/// <param name="load">
/// Loads the model; a head that it lacks is randomly initialised from the seed.
/// </param>
/// <param name="data">The same texts for every run.</param>
/// <param name="folder">Where an unfinished run is saved.</param>
/// <param name="checkpointEvery">
/// Saves it after every so many steps; 0: only when it is cancelled.
/// </param>
/// <param name="progress">Shows it.</param>
/// <param name="cancellation">Ends it.</param>
/// <param name="trainTexts">
/// The accuracy on training examples is taken on so many of them; null: on all.
/// </param>
/// <param name="processes">
/// They share the runs, each of which one process carries out; null: this process alone.
/// </param>
internal sealed class RunExecutor(
    Func<ulong, TextClassifier> load, ExperimentData data, string folder, int checkpointEvery,
    IExperimentProgress progress, CancellationToken cancellation, int? trainTexts = null,
    ProcessGroup? processes = null)
{
    private readonly ProcessGroup processes = processes ?? ProcessGroup.Alone;

    /// <summary>Whether this process writes what the experiment as a whole comes to.</summary>
    public bool IsFirst => processes.IsFirst;

    /// <summary>
    /// Where several processes share the runs: does the work for each of this process's, and waits
    /// for the others. One process has nothing to share and does its runs when their results are
    /// asked for.
    /// </summary>
    /// <param name="runs">The same in every process.</param>
    /// <param name="work">Stores its result in the folder that all see.</param>
    /// <exception cref="OperationCanceledException">
    /// It was cancelled; what is done is stored.
    /// </exception>
    public void Share<T>(IEnumerable<T> runs, Action<T> work)
    {
        if (!processes.HasOthers)
        {
            return;
        }
        OperationCanceledException? stopped = null;
        try
        {
            foreach (var run in runs.Where((_, i) => i % processes.Size == processes.Rank))
            {
                work(run);
            }
        }
        catch (OperationCanceledException e)
        {
            stopped = e;
        }
        if (processes.Any(stopped is not null))
        {
            throw stopped ?? new OperationCanceledException("Another process was stopped.");
        }
    }

    /// <summary>Trains, or resumes a training that a kill or Ctrl-C ended.</summary>
    /// <param name="run">What to do.</param>
    /// <param name="store">
    /// Stores the result, the model in its best state; only then the saved run is deleted.
    /// </param>
    /// <exception cref="OperationCanceledException">It was cancelled; the run is saved.</exception>
    public RunRecord Train(ExperimentRun run, Action<RunRecord, TextClassifier> store)
    {
        cancellation.ThrowIfCancellationRequested();
        return With(run, data.Validation.Examples, tuning =>
        {
            var path = CheckpointOf(run);
            var checkpoint = new CheckpointOptions(path, checkpointEvery, Resume: File.Exists(path));
            var result = progress.Show(run, tuning, () => tuning.Run(null, checkpoint, cancellation));
            if (result.WasCancelled)
            {
                throw new OperationCanceledException(cancellation);
            }
            var bytes = tuning.Classifier.Model.WeightBytes();
            var record = new RunRecord(run.Name, tuning.TrainableParameters, result.Steps, result.KeptStep,
                result.Best!.Accuracy, result.Best.Loss, result.Seconds,
                [.. result.Metrics.Select(step => step.Loss)])
            {
                Validations = result.Curve(run.Name).Validations,
                TokensPerSecond = result.Metrics.Sum(step => (long)step.Tokens)
                    / result.Metrics.Sum(step => step.StepSeconds),
                TrainingBytes = bytes,
                DeployedBytes = bytes - sizeof(float)
                    * (tuning.Adapter?.Layers.Sum(layer => (long)layer.Layer.Lora.A.Shape.Count
                        + layer.Layer.Lora.B.Shape.Count) ?? 0),
            };
            store(record, tuning.Classifier);
            checkpoint.Delete();
            return record;
        });
    }

    /// <summary>
    /// Deletes the saved state of a run that has ended: a kill may have come between storing its
    /// result and that.
    /// </summary>
    public void Tidy(ExperimentRun run) => File.Delete(CheckpointOf(run));

    /// <summary>
    /// The record with the accuracies on training and test examples, of the state that the run
    /// kept.
    /// </summary>
    /// <param name="run">A run that has ended.</param>
    /// <param name="record">Its record.</param>
    /// <param name="weights">Where its weights are.</param>
    /// <param name="quantization">
    /// Of a LoRA run: the accuracy on test examples is taken once more when the adapter is merged
    /// and the result quantised so; null: it is not.
    /// </param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public RunRecord Evaluate(ExperimentRun run, RunRecord record, string weights,
        QuantizationSettings? quantization = null) => With(run, data.Validation.Examples, tuning =>
    {
        var classifier = tuning.Classifier;
        TrainedWeights.Load(weights, classifier.Model);
        var evaluated = record with
        {
            Train =
            Accuracy(trainTexts is { } count ? Sample(count) : data.Train.Examples, "training"),
            Test = Accuracy(data.Test.Examples, "test")
        };
        if (quantization is null || run.Options.Method != TrainingMethod.LoRA)
        {
            return evaluated;
        }
        tuning.Adapter!.MergeAndDetach();
        TrainingSetup.Quantize(classifier,
            run.Options with { Method = TrainingMethod.QALoRA, Quantization = quantization }, data.Train.Examples,
                cancellation);
        return evaluated with { TestQuantized = Accuracy(data.Test.Examples, "test, quantised") };

        double Accuracy(IReadOnlyList<EncodedExample> texts, string name) =>
            classifier.Evaluate(texts, cancellation: cancellation,
            progress: done => progress.Evaluating(run, name, done, texts.Count)).Accuracy;
    });

    /// <summary>
    /// Training examples, the same for every run: every n-th one, so that each class has its share
    /// of data that are sorted by class.
    /// </summary>
    private EncodedExample[] Sample(int count)
    {
        var all = data.Train.Examples;
        return count >= all.Count
            ? [.. all] : [.. Enumerable.Range(0, count).Select(i => all[(int)((long)i * all.Count / count)])];
    }

    /// <summary>Measures with a few steps how fast a run would be.</summary>
    /// <returns>Tokens per second of training and of evaluation.</returns>
    public (double Training, double Evaluation) Measure(ExperimentRun run)
    {
        const int steps = 3, texts = 64;
        var options = run.Options with { MaxSteps = steps, Warmup = 0 };
        // without held-out examples: they would be validated on at the end
        return With(run with { Options = options }, validation: null, tuning =>
        {
            var measured = tuning.Run(cancellation: cancellation).Metrics;
            cancellation.ThrowIfCancellationRequested();
            // the first step fills the memory pool
            var warm = measured.Count > 1 ? measured.Skip(1).ToArray() : measured;
            var evaluation = tuning.Classifier.Evaluate([.. data.Validation.Examples.Take(texts)],
                cancellation: cancellation);
            return (warm.Sum(step => (long)step.Tokens) / warm.Sum(step => step.StepSeconds),
                evaluation.TokensPerSecond);
        });
    }

    private string CheckpointOf(ExperimentRun run) => Path.Combine(folder, $"{run.Name}.checkpoint.safetensors");

    /// <summary>
    /// A model for one run; its memory goes back at once, for the next run wants as much.
    /// </summary>
    private T With<T>(ExperimentRun run, IReadOnlyList<EncodedExample>? validation, Func<FineTuning, T> work)
    {
        using var classifier = load(run.Options.Seed);
        return work(FineTuning.Start(classifier, data.Train.Examples, validation, run.Options, cancellation));
    }
}
