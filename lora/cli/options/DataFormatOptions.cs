using System.CommandLine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>
/// The options that say how a file of texts is written, the same for every command that reads one:
/// --text-column, --text-pair-column, --label-column, --label-columns, --label-separator,
/// --separator, --quoting, --no-header, --empty.
/// </summary>
/// <param name="withLabels">Whether the command reads labels.</param>
/// <param name="withPairs">Whether it reads pairs of texts.</param>
/// <param name="answersEmpty">
/// Whether it has an answer to a text without words; else --empty says what becomes of such rows.
/// </param>
internal sealed class DataFormatOptions(bool withLabels = false, bool withPairs = false, bool answersEmpty = false)
{
    private readonly Option<string> textColumn = new("--text-column")
    {
        Description = "Column or property with the text. [default: text, else the one with long texts, where one alone "
            + "has them; with --no-header 1]",
        HelpName = "NAME",
    };

    private readonly Option<string> labelColumn = new("--label-column")
    {
        Description = "Column or property with the label: a class name or a class index. "
            + "[default: label, else the one with few values, where one alone has them; with --no-header 2]",
        HelpName = "NAME",
    };

    private readonly Option<string> textPairColumn = new("--text-pair-column")
    {
        Description = "Column or property with the second text, for a model of pairs: a question and an answer, say.",
        HelpName = "NAME",
    };

    private readonly Option<string[]?> labelColumns = OptionKinds.OptionalNames("--label-columns", "Columns with 0 "
        + "or 1, one for each class, in place of --label-column: any number of classes may hold (multi-label).");

    private readonly Option<char?> labelSeparator = OptionKinds.LabelSeparator();

    private readonly Option<char?> separator = OptionKinds.Separator();

    private readonly Option<string> quoting = OptionKinds.OptionalChoice("--quoting", "Whether quotes of a .csv or "
        + ".tsv are characters like others, or stand around fields (two for one inside). [default: as the file shows]",
        "none", "standard");

    private readonly Option<bool> noHeader = new("--no-header")
    {
        Description = "The first line of a .csv or .tsv is a row; columns are then numbers, from 1.",
    };

    private readonly Option<string> empty = OptionKinds.Choice("--empty", "What becomes of rows whose text or label is "
        + "empty, null or blank: the data is refused, or they are left out.", "refuse", "skip");

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(textColumn);
        if (withPairs)
        {
            command.Add(textPairColumn);
        }
        if (withLabels)
        {
            command.Add(labelColumn);
            command.Add(labelColumns);
            command.Add(labelSeparator);
        }
        command.Add(separator);
        command.Add(quoting);
        command.Add(noHeader);
        if (!answersEmpty)
        {
            command.Add(empty);
        }
    }

    /// <summary>How a file is to be read; what it leaves open is said on standard error.</summary>
    public DatasetOptions Parse(ParseResult parsed) => new()
    {
        TextColumn = parsed.GetValue(textColumn),
        TextPairColumn = withPairs ? parsed.GetValue(textPairColumn) : null,
        LabelColumn = withLabels ? parsed.GetValue(labelColumn) : null,
        LabelColumns = withLabels && parsed.GetValue(labelColumns) is { Length: > 0 } columns ? columns : null,
        LabelSeparator = withLabels ? parsed.GetValue(labelSeparator) : null,
        Separator = parsed.GetValue(separator),
        Quoting = parsed.GetValue(quoting) switch
        {
            "none" => Quoting.None,
            "standard" => Quoting.Standard,
            _ => null,
        },
        HasHeader = !parsed.GetValue(noHeader),
        EmptyRows = answersEmpty ? EmptyRows.Keep
            : parsed.GetValue(empty) == "skip" ? EmptyRows.Skip : EmptyRows.Refuse,
        ColumnsGuessed = guess => Say($"{guess.Source}: columns guessed: "
            + $"{Columns(guess.TextColumn, guess.LabelColumn)}; {OthersBy(guess)}"),
        Notes = Say,
    };

    /// <summary>"text 'message', label 'queue'"; a column that is null is not said.</summary>
    public static string Columns(string? text, string? label) => string.Join(", ",
        new[] { (What: "text", Column: text), (What: "label", Column: label) }.Where(entry => entry.Column is not null)
            .Select(entry => $"{entry.What} {Describe.Name(entry.Column!)}"));

    /// <summary>How to choose other columns than were guessed.</summary>
    public static string OthersBy(ColumnGuess guess) => "choose others with " + (guess.TextColumn is null
        ? "--label-column" : guess.LabelColumn is null ? "--text-column" : "--text-column and --label-column");

    private static void Say(string note) =>
        Console.Error.WriteLine(Terminal.Printable(Terminal.WithFlags($"note: {note}")));
}
