using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The texts of a run, encoded: those that are trained on and those held out to choose the best
/// epoch.
/// </summary>
/// <param name="Train">Trained on.</param>
/// <param name="Validation">Laid aside; null where the options want none.</param>
internal sealed record TrainingData(EncodedDataset Train, EncodedDataset? Validation)
{
    /// <summary>
    /// Validation examples whose text stands among the training examples as well: what was learned
    /// by heart counts as right.
    /// </summary>
    public int Repeated { get; private init; }

    /// <summary>Limits, splits and encodes a data set as the options say.</summary>
    /// <param name="dataset">Every text with a class.</param>
    /// <param name="classifier">The tokenizer, and the classes that the data must have.</param>
    /// <param name="options">Limit, validation, length, seed.</param>
    /// <param name="progress">
    /// Called now and then with the number of texts encoded; may be null.
    /// </param>
    /// <exception cref="InputException">
    /// A text has no class, the classes are not the model's, or one part would be empty.
    /// </exception>
    internal static TrainingData Prepare(TextDataset dataset, TextClassifier classifier, TrainingOptions options,
        Action<int>? progress = null)
    {
        RequireLabels(dataset, classifier);
        // by name: the classes of the data may stand in another order
        dataset = dataset.WithClasses(new LabelSet(classifier.Labels)) ?? dataset;
        var length = classifier.MaxTokens(options.MaxLength);
        var limited = options.Limit is { } limit ? dataset.Limit(limit, options.Seed) : dataset;
        if (options.Validation == 0)
        {
            return new TrainingData(limited.Encode(classifier.Tokenizer, length, progress), null);
        }
        var (train, validation) = limited.Split(options.Validation, options.Seed, options.Stratified);
        var encoded = train.Encode(classifier.Tokenizer, length, progress);
        return new TrainingData(encoded,
            validation.Encode(classifier.Tokenizer, length, done => progress?.Invoke(train.Examples.Count + done)))
        {
            Repeated = validation.CountAlsoIn(train),
        };
    }

    /// <summary>Refuses data whose classes are not the model's.</summary>
    /// <exception cref="InputException">The message names what differs.</exception>
    public static void RequireLabels(TextDataset dataset, TextClassifier classifier)
    {
        if (dataset.Examples.Count == 0)
        {
            throw new InputException($"{dataset.Source}: there is no text in it.");
        }
        classifier.RequirePairs(dataset.HasPairs, dataset.Source);
        if (dataset.IsMultiLabel != classifier.IsMultiLabel)
        {
            throw new InputException(classifier.IsMultiLabel
                ? $"{dataset.Source}: every example has one class, and the model's head is for any number of them "
                    + "(multi-label). Give option 'multiLabel', or option 'newHead' to train a head for one class."
                : $"{dataset.Source}: any number of classes may hold for an example (multi-label), and the model's "
                    + "head is for one. Give option 'newHead' to train another head.");
        }
        if (dataset.Labels.Count != classifier.Labels.Count)
        {
            throw new InputException($"{dataset.Source}: the data has {dataset.Labels.Count} classes "
                + $"({dataset.Labels}), the model's head has {classifier.Labels.Count} "
                + $"({string.Join(", ", classifier.Labels)}). Train on data with the model's classes, or start from "
                + "a model without a head.");
        }
        var unlabelled = dataset.Examples.FirstOrDefault(example => example.Label == TextExample.NoLabel
            && example.Classes is null);
        if (unlabelled.Text is not null)
        {
            throw new InputException(
                $"{dataset.Source}, {unlabelled.Origin}: this text has no label, and every text needs one here.");
        }
    }
}
