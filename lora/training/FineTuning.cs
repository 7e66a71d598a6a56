using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Training;

/// <summary>
/// One fine-tuning of a classifier:
/// <see cref="Start(TextClassifier, TextDataset, TrainingOptions, CancellationToken)"/> makes the
/// model ready for the method (quantises it, attaches LoRA, freezes), then the run can be
/// estimated, watched and made, and <see cref="Save(string, bool)"/> writes what it left. The loss
/// is the mean cross-entropy of the examples' classes, weighted where the options say so. The
/// command line trains with it too.
/// <code>
/// var data = TextDataset.Load("reviews.csv");
/// using var classifier = TextClassifier.BuiltIn(data.Classes);
/// var tuning = FineTuning.Start(classifier, data);
/// var result = tuning.Run();
/// tuning.Save("my-adapter");
/// </code>
/// </summary>
public sealed class FineTuning
{
    private readonly ClassificationTask task;

    private FineTuning(ClassificationTask task, TrainingData data, IReadOnlyList<QuantizedLayer> quantized,
        TrainingOptions options)
    {
        (this.task, Data, Quantized) = (task, data, quantized);
        task.Classifier.Model.ReadsPairs |= data.Train.HasPairs;
        Training = new TrainingRun(task, options, data.Train.Examples, data.Validation?.Examples);
    }

    /// <summary>The model that is trained.</summary>
    public TextClassifier Classifier => task.Classifier;

    /// <summary>The adapter; null for methods that train none.</summary>
    public LoRAAdapter? Adapter => task.Adapter;

    /// <summary>What it trains on, and what is held out.</summary>
    internal TrainingData Data { get; }

    /// <summary>
    /// What was quantised for <see cref="TrainingMethod.QALoRA"/>; none for other methods, and
    /// where the model was quantised already.
    /// </summary>
    internal IReadOnlyList<QuantizedLayer> Quantized { get; }

    /// <summary>The layers below everything that is trained.</summary>
    internal FrozenLayers Frozen => task.Frozen;

    /// <summary>
    /// [classes] How much each class weighs in the loss; null where all weigh the same.
    /// </summary>
    internal IReadOnlyList<float>? ClassWeights => task.ClassWeights;

    /// <summary>
    /// Bytes of the frozen layers' output for every example; 0 where the run meets each once, or
    /// none are frozen.
    /// </summary>
    internal long FrozenBytes => Frozen.Count == 0 || !FrozenLayers.Repeats(Data.Train.Examples, Training.Options) ? 0
        : FrozenOutputs.Bytes(Classifier.Model.Config, Frozen.Count, Frozen.Type,
            [.. Data.Train.Examples, .. Data.Validation?.Examples ?? []]);

    /// <summary>Every option that has a meaning for the method, as training.json has it.</summary>
    internal IReadOnlyDictionary<string, object?> Options =>
        ResolvedOptions.Of(Classifier, Training.Options, Adapter);

    /// <summary>Elements that are trained.</summary>
    public long TrainableParameters => Training.TrainableParameters;

    /// <summary>What the run left; null before it.</summary>
    public TrainingResult? Result => Training.Result;

    /// <summary>The run: how long it will take, how it goes, where it is saved.</summary>
    internal TrainingRun Training { get; }

    /// <summary>
    /// Makes a model ready to be trained on a data set, which is limited, split and encoded as the
    /// options say.
    /// </summary>
    /// <param name="classifier">The model, without an adapter.</param>
    /// <param name="dataset">Every example with a class of the model's.</param>
    /// <param name="options">How; null: LoRA with the defaults.</param>
    /// <param name="cancellation">Ends the calibration of a quantisation.</param>
    /// <exception cref="InputException">
    /// The options make no sense or do not fit the model, or the data does not.
    /// </exception>
    public static FineTuning Start(TextClassifier classifier, TextDataset dataset, TrainingOptions? options = null,
        CancellationToken cancellation = default)
    {
        options ??= new TrainingOptions();
        options.Check();
        classifier.RequireTrainable();
        return Start(classifier, TrainingData.Prepare(dataset, classifier, options), options, cancellation);
    }

    /// <summary>The same on examples that are encoded already.</summary>
    /// <param name="classifier">The model, without an adapter.</param>
    /// <param name="train">At least one example.</param>
    /// <param name="validation">
    /// Held out to choose the best state; null or empty: the last state is kept.
    /// </param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Ends the calibration of a quantisation.</param>
    /// <exception cref="InputException">
    /// The options make no sense or do not fit the model, or a class is unknown.
    /// </exception>
    internal static FineTuning Start(TextClassifier classifier, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation, TrainingOptions options, CancellationToken cancellation = default)
    {
        options.Check();
        return Start(classifier, new TrainingData(Encoded(train), validation is null ? null : Encoded(validation)),
            options, cancellation);

        EncodedDataset Encoded(IReadOnlyList<EncodedExample> examples) => new(examples,
            new LabelSet(classifier.Labels), Truncated: 0, examples.Sum(example => (long)example.TokenIds.Length))
        {
            HasPairs = examples.Any(example => example.SecondSegment < example.TokenIds.Length),
        };
    }

    /// <summary>Trains.</summary>
    /// <param name="progress">
    /// Is told after every step and every validation how far the run is; may be null. A
    /// <see cref="Progress{T}"/> hands it to the thread that it was made on, or to the pool.
    /// </param>
    /// <param name="cancellation">
    /// Ends the run after the step in progress; the best validated state is kept, or else the last
    /// one.
    /// </param>
    /// <returns>
    /// What it left: loss and accuracy of every validation, the best one, every step. The model is
    /// in the state that was kept.
    /// </returns>
    /// <exception cref="InputException">The loss stops being a number.</exception>
    /// <exception cref="InvalidOperationException">
    /// The run has been made already; or the model predicts, or is changed or trained on another
    /// thread.
    /// </exception>
    public TrainingResult Run(IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default) =>
        Run(progress, checkpoint: null, cancellation);

    /// <summary>The same, saved as it goes.</summary>
    /// <param name="progress">As there.</param>
    /// <param name="checkpoint">As for <see cref="TrainingRun.Run"/>.</param>
    /// <param name="cancellation">As there.</param>
    /// <exception cref="InputException">Also where the saved run is another one.</exception>
    internal TrainingResult Run(IProgress<TrainingProgress>? progress, CheckpointOptions? checkpoint,
        CancellationToken cancellation, ProcessGroup? processes = null)
    {
        StepMetrics? step = null;
        ValidationMetrics? last = null;
        Score? best = null;
        Training.StepDone += Report;
        Training.Validated += Report;
        try
        {
            return Training.Run(cancellation, checkpoint, processes);
        }
        finally
        {
            Training.StepDone -= Report;
            Training.Validated -= Report;
        }

        void Report(object metrics)
        {
            step = metrics as StepMetrics ?? step;
            if (metrics is ValidationMetrics validation)
            {
                (last, best) = (validation, validation.IsBest ? validation.Validation : best);
            }
            // a run that is resumed may begin with a validation; where nothing is held out there is none
            if (step is not null && metrics is not ValidationMetrics { Validation: null })
            {
                progress?.Report(new TrainingProgress(step, last, best));
            }
        }
    }

    /// <summary>
    /// Writes the folder that the run leaves, whole or not at all: an adapter in PEFT's format
    /// where one was trained, else a model; with training.json and metrics.jsonl. An adapter on a
    /// model that was quantised for it is merged for good: no folder has the model that it would
    /// need.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    /// <exception cref="InvalidOperationException">Nothing was trained yet.</exception>
    public void Save(string folder, bool overwrite = false)
    {
        var result = Result ?? throw new InvalidOperationException(
            "FineTuning: nothing was trained yet; call Run() first.");
        TrainingFolder.Check(folder, overwrite);
        Save(folder, result, Classifier.Reference, overwrite);
    }

    /// <summary>The same, with what an adapter calls its base.</summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="result">What the run returned.</param>
    /// <param name="baseModel">
    /// Folder or name of the model that the run started from; null from scratch.
    /// </param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <param name="command">As <see cref="RunProvenance.Command"/>.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    internal void Save(string folder, TrainingResult result, string? baseModel, bool overwrite = false,
        IReadOnlyList<string>? command = null)
    {
        if (Quantized.Count > 0 && Adapter is { IsAttached: true })
        {
            Adapter.MergeAndDetach();
        }
        TrainingFolder.Save(folder, Classifier, Adapter, Training.Options, result, baseModel, overwrite, ClassWeights,
            command);
    }

    private static FineTuning Start(TextClassifier classifier, TrainingData data, TrainingOptions options,
        CancellationToken cancellation)
    {
        options = options.For(classifier.Source);
        classifier.RequireTrainable();
        classifier.RequireLabels(data.Train.Examples);
        var weights = Lora.Training.ClassWeights.Of(options, classifier.Labels, data.Train.Examples);
        var quantized = TrainingSetup.Quantize(classifier, options, data.Train.Examples, cancellation);
        var adapter = TrainingSetup.Prepare(classifier, options);
        return new FineTuning(new ClassificationTask(classifier, adapter, options, weights), data, quantized, options);
    }
}
