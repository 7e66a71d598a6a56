using System.CommandLine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>
/// The options that say how a file of texts is written, the same for every command that reads one:
/// --text-column, --label-column, --separator, --quoting, --no-header, --empty.
/// </summary>
/// <param name="withLabels">Whether the command reads labels.</param>
/// <param name="answersEmpty">
/// Whether it has an answer to a text without words; else --empty says what becomes of such rows.
/// </param>
internal sealed class DataFormatOptions(bool withLabels = false, bool answersEmpty = false)
{
    private readonly Option<string> textColumn = new("--text-column")
    {
        Description = "Column or property with the text. [default: text; with --no-header 1]",
        HelpName = "NAME",
    };

    private readonly Option<string> labelColumn = new("--label-column")
    {
        Description = "Column or property with the label: a class name or a class index. "
            + "[default: label; with --no-header 2]",
        HelpName = "NAME",
    };

    private readonly Option<char?> separator = OptionKinds.Separator();

    private readonly Option<string> quoting = OptionKinds.OptionalChoice("--quoting", "Whether quotes of a .csv or "
        + ".tsv are characters like others, or stand around fields (two for one inside). [default: as the file shows]",
        "none", "standard");

    private readonly Option<bool> noHeader = new("--no-header")
    {
        Description = "The first line of a .csv or .tsv is a row; columns are then numbers, from 1.",
    };

    private readonly Option<string> empty = OptionKinds.Choice("--empty", "What becomes of rows whose text is empty, "
        + "null or blank: the data is refused, or they are left out.", "refuse", "skip");

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(textColumn);
        if (withLabels)
        {
            command.Add(labelColumn);
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
        LabelColumn = withLabels ? parsed.GetValue(labelColumn) : null,
        Separator = parsed.GetValue(separator),
        Quoting = parsed.GetValue(quoting) switch
        {
            "none" => Quoting.None,
            "standard" => Quoting.Standard,
            _ => null,
        },
        HasHeader = !parsed.GetValue(noHeader),
        EmptyTexts = answersEmpty ? EmptyTexts.Keep
            : parsed.GetValue(empty) == "skip" ? EmptyTexts.Skip : EmptyTexts.Refuse,
        Notes = note => Console.Error.WriteLine(Terminal.Printable(Terminal.WithFlags($"note: {note}"))),
    };
}
