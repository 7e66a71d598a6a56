using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>The options that name labelled texts: --data, and how it is written.</summary>
/// <param name="required">Whether there must be texts.</param>
internal sealed class DataOptions(bool required = true)
{
    private readonly Option<string> data = OptionKinds.Path("--data", "PATH",
        "The aclImdb folder or its .tar.gz (train/ to train, test/ to evaluate, both for an experiment), or a .csv, "
            + ".tsv or .jsonl file (also .gz) with a text and a label in each row.", required);

    private readonly DataFormatOptions format = new(withLabels: true, withPairs: true);

    /// <summary>Whether texts are named.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(data) is not null;

    /// <summary>What was typed; null: nothing.</summary>
    public string? Path(ParseResult parsed) => parsed.GetValue(data);

    /// <summary>How files are written.</summary>
    public DatasetOptions Format(ParseResult parsed) => format.Parse(parsed);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(data);
        format.AddTo(command);
    }

    /// <summary>
    /// Reads the texts and says on standard error how many of each class there are.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="split">Which half of the movie reviews; null: both.</param>
    /// <param name="labels">The model's classes; null: those of the data.</param>
    /// <param name="hint">Says what to do about a label that is none of these.</param>
    /// <param name="isMultiLabel">Whether any number of classes may hold for a text.</param>
    /// <param name="reportsEmpty">
    /// Whether incomplete rows that are to be refused are left to the caller: see
    /// <see cref="EmptyRows.Report"/>.
    /// </param>
    public TextDataset Load(ParseResult parsed, DatasetSplit? split, LabelSet? labels = null, string? hint = null,
        bool isMultiLabel = false, bool reportsEmpty = false) =>
        Load(parsed, parsed.GetValue(data)!, split, labels, hint, isMultiLabel, reportsEmpty);

    /// <summary>
    /// Reads another file or folder than --data, with the same columns, and says on standard error
    /// how many of each class there are.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">The file or folder.</param>
    /// <param name="split">Which half of the movie reviews; null: both.</param>
    /// <param name="labels">The model's classes; null: those of the data.</param>
    /// <param name="hint">Says what to do about a label that is none of these.</param>
    /// <param name="isMultiLabel">Whether any number of classes may hold for a text.</param>
    /// <param name="reportsEmpty">As above.</param>
    public TextDataset Load(ParseResult parsed, string path, DatasetSplit? split, LabelSet? labels,
        string? hint = null, bool isMultiLabel = false, bool reportsEmpty = false)
    {
        var options = Format(parsed) with
        {
            Labels = labels,
            UnknownLabelHint = hint,
            IsMultiLabel = isMultiLabel,
        };
        if (reportsEmpty && options.EmptyRows == EmptyRows.Refuse)
        {
            options = options with { EmptyRows = EmptyRows.Report };
        }
        if (options.LabelColumns is not null && !isMultiLabel)
        {
            throw new InputException("--label-columns is for texts of which any number of classes may hold "
                + "(multi-label), and the model's head is for one. Name one column with --label-column.");
        }
        var dataset = split is { } half ? TextDataset.Load(path, half, options) : TextDataset.LoadAll(path, options);
        Console.Error.WriteLine($"{dataset.Source}: {dataset.Describe()}");
        return dataset;
    }
}
