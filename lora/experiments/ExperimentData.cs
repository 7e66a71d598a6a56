using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>How the texts of an experiment are parted in three.</summary>
internal enum SplitRule
{
    /// <summary>Each part has the same shares of the classes; drawn by seed.</summary>
    Stratified,

    /// <summary>Drawn by seed from all alike.</summary>
    Random,

    /// <summary>
    /// As the tutorial's script: shuffled by NumPy with seed 0 and again with seed 1, then cut in
    /// order: train, validation, test.
    /// </summary>
    Tutorial,
}

/// <summary>The sizes of the three parts, and how they are drawn.</summary>
/// <param name="Rule">How.</param>
/// <param name="Validation">Share of the texts that choose epochs and learning rates.</param>
/// <param name="Test">Share that nothing is chosen by.</param>
/// <param name="Seed">
/// Draws a split: the same for every run of an experiment, whatever its own seed.
/// </param>
internal sealed record SplitOptions(SplitRule Rule = SplitRule.Stratified, double Validation = 0.1, double Test = 0.2,
    ulong Seed = 1)
{
    /// <summary>Refuses shares that leave a part empty.</summary>
    /// <exception cref="InputException">The message names the option.</exception>
    public void Check()
    {
        if (Validation is not (> 0 and < 1))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'validation' is "
                + $"{Validation}; expected a share between 0 and 1: it chooses epochs and learning rates."));
        }
        if (!(Test > 0 && Validation + Test < 1))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'test' is {Test}; expected "
                + $"a share above 0 that, with option 'validation' {Validation}, leaves examples to train on."));
        }
    }

    /// <summary>Parts a data set.</summary>
    /// <exception cref="InputException">A part would be empty.</exception>
    public (TextDataset Train, TextDataset Validation, TextDataset Test) Part(TextDataset dataset)
    {
        Check();
        var count = dataset.Examples.Count;
        var (validation, test) = ((int)Math.Round(Validation * count), (int)Math.Round(Test * count));
        if (validation == 0 || test == 0 || validation + test >= count)
        {
            throw new InputException($"{dataset.Source}: {count} texts are too few to be parted into texts to train "
                + $"on, {validation} for validation and {test} to test on.");
        }
        if (Rule != SplitRule.Tutorial)
        {
            var byClass = Rule == SplitRule.Stratified;
            var (rest, toTest) = dataset.Split(Test, Seed, byClass);
            var (train, toValidate) = rest.Split((double)validation / rest.Examples.Count, Seed, byClass);
            return (train, toValidate, toTest);
        }
        var (first, second) = (NumpyPermutation.Random(count, 0), NumpyPermutation.Random(count, 1));
        int[] order = [.. second.Select(i => first[i])];
        return (dataset.Select(order[..(count - validation - test)]),
            dataset.Select(order[(count - validation - test)..(count - test)]),
                dataset.Select(order[(count - test)..]));
    }
}

/// <summary>The encoded examples of an experiment.</summary>
/// <param name="Train">Trained on.</param>
/// <param name="Validation">Choose epochs and learning rates.</param>
/// <param name="Test">Looked at when all is chosen.</param>
/// <param name="LeftOut">
/// Texts left out of the first two because they stand among the test examples as well.
/// </param>
internal sealed record ExperimentData(EncodedDataset Train, EncodedDataset Validation, EncodedDataset Test,
    int LeftOut = 0)
{
    /// <summary>Validation examples whose text stands among the training examples, too.</summary>
    public int RepeatedInValidation { get; private init; }

    /// <summary>Test examples of that kind.</summary>
    public int RepeatedInTest { get; private init; }

    /// <summary>The parts and what they are for.</summary>
    internal (string Use, IReadOnlyList<EncodedExample> Texts)[] Parts =>
        [(RunInputs.Train, Train.Examples), (RunInputs.Validation, Validation.Examples),
            ("to test on", Test.Examples)];

    /// <summary>Parts and encodes a data set.</summary>
    /// <param name="dataset">Every text with a class.</param>
    /// <param name="classifier">Its tokenizer and classes.</param>
    /// <param name="split">How to part.</param>
    /// <param name="options">Limit, its seed, and the length of texts.</param>
    /// <exception cref="InputException">
    /// A text has no class, the classes are not the model's, or a part would be empty.
    /// </exception>
    public static ExperimentData Prepare(TextDataset dataset, TextClassifier classifier, SplitOptions split,
        TrainingOptions options)
    {
        TrainingData.RequireLabels(dataset, classifier);
        var (train, validation, test) = split.Part(Limited(dataset, split, options));
        return Encode(classifier, options, train, validation, test, leftOut: 0);
    }

    /// <summary>
    /// Encodes a data set that comes with test examples of its own: it is parted in two,
    /// stratified, and its texts that stand among the test examples (white space apart) are left
    /// out.
    /// </summary>
    /// <param name="dataset">Texts to train on and to choose by.</param>
    /// <param name="test">Nothing is chosen by these.</param>
    /// <param name="classifier">Its tokenizer and classes.</param>
    /// <param name="split">Share and seed of the validation examples.</param>
    /// <param name="options">Limit, its seed, and the length of texts.</param>
    /// <exception cref="InputException">
    /// A text has no class, the classes are not the model's, or a part would be empty.
    /// </exception>
    public static ExperimentData Prepare(TextDataset dataset, TextDataset test, TextClassifier classifier,
        SplitOptions split, TrainingOptions options)
    {
        TrainingData.RequireLabels(dataset, classifier);
        TrainingData.RequireLabels(test, classifier);
        var tested = test.Examples.Select(example => example.Fingerprint()).ToHashSet();
        var rest = dataset.Where(example => !tested.Contains(example.Fingerprint()));
        var (train, validation) = Limited(rest, split, options).Split(split.Validation, split.Seed);
        return Encode(classifier, options, train, validation, test,
            leftOut: dataset.Examples.Count - rest.Examples.Count);
    }

    private static TextDataset Limited(TextDataset dataset, SplitOptions split, TrainingOptions options) =>
        options.Limit is { } limit ? dataset.Limit(limit, split.Seed) : dataset;

    private static ExperimentData Encode(TextClassifier classifier, TrainingOptions options, TextDataset train,
        TextDataset validation, TextDataset test, int leftOut)
    {
        EncodedDataset Encoded(TextDataset part) =>
            part.Encode(classifier.Tokenizer, classifier.MaxTokens(options.MaxLength));
        return new ExperimentData(Encoded(train), Encoded(validation), Encoded(test), leftOut)
        {
            RepeatedInValidation = validation.CountAlsoIn(train),
            RepeatedInTest = test.CountAlsoIn(train),
        };
    }
}
