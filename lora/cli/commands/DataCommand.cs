using System.CommandLine;
using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora data: what is noteworthy about labelled texts before a training.</summary>
internal sealed class DataCommand
{
    private readonly Argument<string> file = new("file")
    {
        Description = "A .csv, .tsv or .jsonl file (also .gz) with a text and a label in each row, or the aclImdb "
            + "folder or its .tar.gz, of which train/ is read.",
    };

    private readonly ModelOption model =
        new("The model folder that is to be trained: its tokenizer and its positions count.");
    private readonly Option<int?> maxLength = OptionKinds.MaxLength();
    private readonly Option<string> testData = OptionKinds.Path("--test-data", "PATH", "Texts to test on, in a file "
        + "like it or, of aclImdb, in test/: how many of them stand in both is counted.");
    private readonly Option<bool> multiLabel = OptionKinds.MultiLabel();
    private readonly DataFormatOptions format = new(withLabels: true, withPairs: true);
    private readonly Option<bool> json = new("--json") { Description = "One JSON object on standard output." };

    public static Command Create()
    {
        var data = new DataCommand();
        var command = new ExampleCommand("data",
            "Looks at labelled texts as 'lora train' would read them, and reports what is noteworthy: classes, rows "
                + "without text or label, repeated and contradictory examples, classes that may mean one, rare "
                + "classes, lengths, and what the model's tokenizer does not know.",
            "lora data reviews.csv",
            "lora data tickets.csv --model my-model --max-length 128 --test-data later-tickets.csv",
            "lora data tickets.jsonl --text-column message --label-column queue --json") { data.file };
        data.model.AddTo(command);
        command.Add(data.maxLength);
        command.Add(data.testData);
        command.Add(data.multiLabel);
        data.format.AddTo(command);
        command.Add(data.json);
        command.SetAction(data.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        var source = model.Source(parsed);
        var (config, tokenizer) = (source.ReadConfig(), source.ReadTokenizer());
        var length = config.MaxTokens(tokenizer, parsed.GetValue(maxLength));
        var path = parsed.GetValue(file)!;
        ColumnGuess? guess = null;
        var options = format.Parse(parsed) with { EmptyRows = EmptyRows.Report, ColumnsGuessed = made => guess = made };
        options = options with { IsMultiLabel = parsed.GetValue(multiLabel) || options.LabelColumns is not null };
        var dataset = TextDataset.Load(path, options: options);
        options = options with
        {
            TextColumn = guess?.TextColumn ?? options.TextColumn,
            LabelColumn = guess?.LabelColumn ?? options.LabelColumn,
        };
        var report = DataReport.Of(dataset, tokenizer, length, new TrainingOptions().Validation,
            parsed.GetValue(testData) is { } test ? ReadTest(test, options, dataset) : null);
        double? ofBase = source == ModelSource.BuiltIn ? PretrainedBase.CutWordShare : null;
        if (parsed.GetValue(json))
        {
            Console.WriteLine(DataJson.Of(report, guess, options, ofBase));
            return 0;
        }
        DataTable.Print(report, new DataFindings(report, ofBase), Columns(path, options, guess), Console.Out);
        return 0;
    }

    /// <summary>Texts alone: labels of a test file are for 'evaluate'.</summary>
    private static TextDataset ReadTest(string path, DatasetOptions options, TextDataset data) =>
        TextDataset.IsMovieReviews(path)
            ? TextDataset.Load(path, DatasetSplit.Test, new DatasetOptions { EmptyRows = EmptyRows.Report })
            : new TextDataset(TextDataset.ReadTexts(path, options), data.Labels, path);

    private static string Columns(string path, DatasetOptions options, ColumnGuess? guess)
    {
        if (TextDataset.IsMovieReviews(path))
        {
            return "";
        }
        var label = options.LabelColumns is null ? options.LabelName : null;
        return DataFormatOptions.Columns(options.TextName, label)
            + (options.LabelColumns is { } several ? $", labels {string.Join(", ", several)}" : "")
            + (guess is null ? "" : $", {(guess.TextColumn is null ? "the label "
                : guess.LabelColumn is null ? "the text " : "")}guessed: {DataFormatOptions.OthersBy(guess)}");
    }
}
