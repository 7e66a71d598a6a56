using System.CommandLine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>The options that name labelled texts: --data, --text-column, --label-column.</summary>
/// <param name="required">Whether there must be texts.</param>
internal sealed class DataOptions(bool required = true)
{
    private readonly Option<string> data = OptionKinds.Path("--data", "PATH",
        "The aclImdb folder or its .tar.gz (train/ to train, test/ to evaluate, both for an experiment), or a .csv, "
            + ".tsv or .jsonl file (also .gz) with a text and a label in each row.", required);

    private readonly Option<string> textColumn = OptionKinds.TextColumn();

    private readonly Option<string> labelColumn = new("--label-column")
    {
        Description = "Column or property with the label: a class index, or a class name.",
        DefaultValueFactory = _ => "label",
        HelpName = "NAME",
    };

    /// <summary>Whether texts are named.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(data) is not null;

    /// <summary>--text-column</summary>
    public string TextColumn(ParseResult parsed) => parsed.GetValue(textColumn)!;

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(data);
        command.Add(textColumn);
        command.Add(labelColumn);
    }

    /// <summary>
    /// Reads the texts and says on standard error how many of each class there are.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="split">Which half of the movie reviews; null: both.</param>
    /// <param name="labels">The model's classes; null: those of the data.</param>
    public TextDataset Load(ParseResult parsed, DatasetSplit? split, LabelSet? labels = null) =>
        Load(parsed, parsed.GetValue(data)!, split, labels);

    /// <summary>
    /// Reads another file or folder than --data, with the same columns, and says on standard error
    /// how many of each class there are.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">The file or folder.</param>
    /// <param name="split">Which half of the movie reviews; null: both.</param>
    /// <param name="labels">The model's classes; null: those of the data.</param>
    public TextDataset Load(ParseResult parsed, string path, DatasetSplit? split, LabelSet? labels)
    {
        var options = new DatasetOptions
        {
            TextColumn = TextColumn(parsed),
            LabelColumn = parsed.GetValue(labelColumn)!,
            Labels = labels
        };
        var dataset = split is { } half ? TextDataset.Load(path, half, options) : TextDataset.LoadAll(path, options);
        Console.Error.WriteLine($"{dataset.Source}: {dataset.Describe()}");
        return dataset;
    }
}
