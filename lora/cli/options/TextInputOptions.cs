using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>
/// The options that say which texts a command reads: --text and --text-pair, or --input and
/// how it is written.
/// </summary>
internal sealed class TextInputOptions
{
    private readonly Option<string> text = new("--text") { Description = "One text.", HelpName = "TEXT" };

    private readonly Option<string> textPair = new("--text-pair")
    {
        Description = "The second text, for a model of pairs; with --text.",
        HelpName = "TEXT"
    };

    private readonly Option<string> input = OptionKinds.Path("--input", "FILE|-",
        "A .jsonl, .csv or .tsv file (also .gz) with a text in each row, or - for the lines of standard input: each "
            + "is answered at once, an empty one as the empty text.");

    private readonly Option<string> inputFormat = OptionKinds.OptionalChoice("--input-format", "Whether a line of "
        + "standard input is a text, or an object such as {\"text\": \"…\"}. [default: jsonl where a column is named "
        + "or the first line begins with {, else lines]", "lines", "jsonl");

    private readonly DataFormatOptions format = new(withPairs: true, answersEmpty: true);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(text);
        command.Add(textPair);
        command.Add(input);
        command.Add(inputFormat);
        format.AddTo(command);
    }

    /// <summary>
    /// Whether the texts are lines of standard input, of which the next may be a while in coming.
    /// </summary>
    public bool IsStandardInput(ParseResult parsed) => parsed.GetValue(input) == "-";

    /// <summary>The file that is read; null where there is none.</summary>
    public string? File(ParseResult parsed) => IsStandardInput(parsed) ? null : parsed.GetValue(input);

    /// <summary>The texts, read as they are used.</summary>
    /// <exception cref="InputException">
    /// Neither or both options are given, or the file is not as expected.
    /// </exception>
    public IEnumerable<TextExample> Read(ParseResult parsed)
    {
        RequireTogether(parsed);
        return (parsed.GetValue(text), parsed.GetValue(input)) switch
        {
            ({ } given, null) =>
                [new TextExample(given, TextExample.NoLabel, "--text") { TextPair = parsed.GetValue(textPair) }],
            (null, "-") => TextDataset.ReadLines(Console.OpenStandardInput(), "standard input", format.Parse(parsed),
                parsed.GetValue(inputFormat) is { } kind ? kind == "jsonl" : null),
            (null, { } path) => TextDataset.ReadTexts(path, format.Parse(parsed)),
            (null, null) => throw new InputException("No text is given: use --text \"…\", --input FILE, or --input - "
                + "to read the lines of standard input."),
            _ => throw new InputException("Both --text and --input are given; use one."),
        };
    }

    /// <summary>The texts of a file with the columns that are carried to a result.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="columns">Some columns; null: all.</param>
    /// <exception cref="InputException">There is no file, or it is not as expected.</exception>
    public TextTable ReadTable(ParseResult parsed, IReadOnlyList<string>? columns)
    {
        RequireTogether(parsed);
        return parsed.GetValue(text) is null && File(parsed) is { } path
            ? TextDataset.ReadTable(path, format.Parse(parsed) with { Carried = columns })
            : throw new InputException("--out is for the rows of a file: name it with --input FILE. The answers to "
                + "--text and to standard input are printed; add > FILE to keep them.");
    }

    /// <summary>Whether the texts are pairs.</summary>
    public bool HasPairs(ParseResult parsed) =>
        parsed.GetValue(textPair) is not null || format.Parse(parsed).TextPairColumn is not null;

    private void RequireTogether(ParseResult parsed)
    {
        if (parsed.GetValue(textPair) is not null && parsed.GetValue(text) is null)
        {
            throw new InputException("--text-pair is the second text beside --text; with --input, --text-pair-column "
                + "names the column of the second texts.");
        }
        if (parsed.GetValue(inputFormat) is { } kind && !IsStandardInput(parsed))
        {
            throw new InputException($"--input-format is {kind}; it is for --input -, the lines of standard input. A "
                + "file is read as its name says. Leave it out.");
        }
        if (parsed.GetValue(inputFormat) == "lines"
            && format.Parse(parsed) is { TextColumn: not null } or { TextPairColumn: not null })
        {
            throw new InputException("--input-format is lines, and --text-column and --text-pair-column name "
                + "properties of JSON lines. Leave out the one or the other.");
        }
    }
}
