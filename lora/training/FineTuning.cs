using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Training;

/// <summary>
/// One fine-tuning of a classifier: <see cref="Start(TextClassifier, TextDataset, TrainingOptions,
/// CancellationToken)"/> makes the model ready for the method (quantises it, attaches LoRA,
/// freezes), then the run can be estimated, watched and made, and <see cref="Save"/> writes what it
/// left. The loss is the mean cross-entropy of the examples' classes.
/// </summary>
public sealed class FineTuning : TrainingRun
{
    private FineTuning(ClassificationTask task, TrainingData data, IReadOnlyList<QuantizedLayer> quantized,
        TrainingOptions options)
        : base(task, options, data.Train.Examples, data.Validation?.Examples) =>
        (Task, Data, Quantized) = (task, data, quantized);

    /// <summary>The model that is trained.</summary>
    public TextClassifier Classifier => Task.Classifier;

    /// <summary>The adapter; null for methods that train none.</summary>
    public LoRAAdapter? Adapter => Task.Adapter;

    /// <summary>What it trains on, and what is held out.</summary>
    public TrainingData Data { get; }

    /// <summary>
    /// What was quantised for <see cref="TrainingMethod.QALoRA"/>; none for other methods, and
    /// where the model was quantised already.
    /// </summary>
    public IReadOnlyList<QuantizedLayer> Quantized { get; }

    /// <summary>Forward and backward.</summary>
    internal ClassificationTask Task { get; }

    /// <summary>
    /// Makes a model ready to be trained on a data set, which is limited, split and encoded as the
    /// options say.
    /// </summary>
    /// <param name="classifier">The model, without an adapter.</param>
    /// <param name="dataset">Every example with a class of the model's.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Ends the calibration of a quantisation.</param>
    /// <exception cref="InputException">
    /// The options make no sense or do not fit the model, or the data does not.
    /// </exception>
    public static FineTuning Start(TextClassifier classifier, TextDataset dataset, TrainingOptions options,
        CancellationToken cancellation = default)
    {
        options.Check();
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
    public static FineTuning Start(TextClassifier classifier, IReadOnlyList<EncodedExample> train,
        IReadOnlyList<EncodedExample>? validation, TrainingOptions options, CancellationToken cancellation = default)
    {
        options.Check();
        return Start(classifier, new TrainingData(Encoded(train), validation is null ? null : Encoded(validation)),
            options, cancellation);

        EncodedDataset Encoded(IReadOnlyList<EncodedExample> examples) => new(examples,
            new LabelSet(classifier.Labels), Truncated: 0, examples.Sum(example => (long)example.TokenIds.Length));
    }

    /// <summary>
    /// Writes the folder that the run leaves, whole or not at all: an adapter where one was
    /// trained, else a model. An adapter on a model that was quantised for it is merged for good:
    /// no folder has the model that it would need.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="result">What <see cref="TrainingRun.Run"/> returned.</param>
    /// <param name="baseModel">
    /// Folder or name of the model that the run started from; null from scratch.
    /// </param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public void Save(string folder, TrainingResult result, string? baseModel, bool overwrite = false)
    {
        if (Quantized.Count > 0 && Adapter is { IsAttached: true })
        {
            Adapter.MergeAndDetach();
        }
        TrainingFolder.Save(folder, Classifier, Adapter, Options, result, baseModel, overwrite);
    }

    private static FineTuning Start(TextClassifier classifier, TrainingData data, TrainingOptions options,
        CancellationToken cancellation)
    {
        classifier.RequireLabels(data.Train.Examples);
        var quantized = TrainingSetup.Quantize(classifier, options, data.Train.Examples, cancellation);
        var adapter = TrainingSetup.Prepare(classifier, options);
        return new FineTuning(new ClassificationTask(classifier, adapter, options), data, quantized, options);
    }
}
