using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// The options of a command that measures accuracies, by itself or beside its work: --data and how
/// it is written, --batch-size, --max-length, --limit, --seed.
/// </summary>
/// <param name="chosenBySeed">What --seed chooses.</param>
/// <param name="required">Whether there must be texts.</param>
internal sealed class MeasurementOptions(string chosenBySeed = "the texts of --limit", bool required = false)
{
    private readonly DataOptions data = new(required);
    private readonly Option<int> batchSize =
        OptionKinds.Whole("--batch-size", "Examples of a batch; the result does not depend on it.", 32);
    private readonly Option<int?> maxLength = OptionKinds.MaxLength();
    private readonly Option<int?> limit = OptionKinds.OptionalWhole("--limit", "Measures on so many texts only, "
        + "balanced over the classes. [default: all]");
    private readonly Option<ulong> seed = OptionKinds.Seed($"Chooses {chosenBySeed}.", 1);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        data.AddTo(command);
        foreach (Option option in (Option[])[batchSize, maxLength, limit, seed])
        {
            command.Add(option);
        }
    }

    /// <summary>Whether texts are named.</summary>
    public bool IsGiven(ParseResult parsed) => data.IsGiven(parsed);

    /// <summary>What was typed as --data; null: nothing.</summary>
    public string? Path(ParseResult parsed) => data.Path(parsed);

    /// <summary>--max-length</summary>
    public int? MaxLength(ParseResult parsed) => parsed.GetValue(maxLength);

    /// <summary>--seed</summary>
    public ulong Seed(ParseResult parsed) => parsed.GetValue(seed);

    /// <summary>How files are written.</summary>
    public DatasetOptions Format(ParseResult parsed) => data.Format(parsed);

    /// <summary>--batch-size</summary>
    /// <exception cref="InputException">It is below 1.</exception>
    public int BatchSize(ParseResult parsed)
    {
        var size = parsed.GetValue(batchSize);
        OptionKinds.RequirePositive("--batch-size", size);
        return size;
    }

    /// <summary>Reads and encodes the texts for a model, and says how many were cut.</summary>
    public EncodedDataset Encode(ParseResult parsed, TextClassifier classifier) =>
        Read(parsed, classifier).Encoded;

    /// <summary>The same, with the texts as they were read; both in one order.</summary>
    public (TextDataset Data, EncodedDataset Encoded) Read(ParseResult parsed, TextClassifier classifier)
    {
        var dataset = data.Load(parsed, DatasetSplit.Test, new LabelSet(classifier.Labels),
            isMultiLabel: classifier.IsMultiLabel);
        if (parsed.GetValue(limit) is { } count)
        {
            dataset = dataset.Limit(count, parsed.GetValue(seed));
        }
        TrainingData.RequireLabels(dataset, classifier);
        var longest = classifier.MaxTokens(parsed.GetValue(maxLength));
        var encoded = dataset.Encode(classifier.Tokenizer, longest);
        Text.SayCut(encoded.Truncated, encoded.Examples.Count, longest);
        return (dataset, encoded);
    }

    /// <summary>Reads the texts for a model.</summary>
    /// <returns>What measures the model, as it then is, on them.</returns>
    public Func<Evaluation> Prepare(ParseResult parsed, TextClassifier classifier, CancellationToken cancellation)
    {
        var size = BatchSize(parsed);
        var encoded = Encode(parsed, classifier);
        return () => classifier.Evaluate(encoded.Examples, size, cancellation);
    }
}
