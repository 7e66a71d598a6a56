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
        "A .jsonl, .csv or .tsv file (also .gz) with a text in each row, or - for JSON lines on standard input: "
            + "{\"text\": \"…\"}.");

    private readonly DataFormatOptions format = new(withPairs: true, answersEmpty: true);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(text);
        command.Add(textPair);
        command.Add(input);
        format.AddTo(command);
    }

    /// <summary>The texts, read as they are used.</summary>
    /// <exception cref="InputException">
    /// Neither or both options are given, or the file is not as expected.
    /// </exception>
    public IEnumerable<TextExample> Read(ParseResult parsed)
    {
        if (parsed.GetValue(textPair) is not null && parsed.GetValue(text) is null)
        {
            throw new InputException("--text-pair is the second text beside --text; with --input, --text-pair-column "
                + "names the column of the second texts.");
        }
        return ReadGiven(parsed);
    }

    /// <summary>Whether the texts are pairs.</summary>
    public bool HasPairs(ParseResult parsed) =>
        parsed.GetValue(textPair) is not null || format.Parse(parsed).TextPairColumn is not null;

    private IEnumerable<TextExample> ReadGiven(ParseResult parsed) =>
        (parsed.GetValue(text), parsed.GetValue(input)) switch
        {
            ({ } given, null) =>
                [new TextExample(given, TextExample.NoLabel, "--text") { TextPair = parsed.GetValue(textPair) }],
            (null, "-") =>
                TextDataset.ReadTexts(Console.OpenStandardInput(), "standard input", format.Parse(parsed)),
            (null, { } path) => TextDataset.ReadTexts(path, format.Parse(parsed)),
            (null, null) =>
                throw new InputException("No text is given: use --text \"…\", --input FILE, or --input - to read JSON "
                    + "lines from standard input."),
            _ => throw new InputException("Both --text and --input are given; use one."),
        };
}
