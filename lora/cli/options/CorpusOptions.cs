using System.CommandLine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>
/// The options that name texts without labels, and texts that must not be among them: --data,
/// --exclude, and how they are written.
/// </summary>
internal sealed class CorpusOptions
{
    private readonly Option<string[]> data = OptionKinds.Paths("--data",
        "Texts, labelled or not: .csv, .tsv or .jsonl files (also .gz), or the aclImdb folder or its .tar.gz, of "
            + "which train/ is read. Each distinct text is used once.", required: true);

    private readonly Option<string[]> exclude = OptionKinds.Paths("--exclude", "Texts to leave out wherever they "
        + "stand in --data (white space apart), such as those of a test set; of aclImdb, test/ is read.");
    private readonly DataFormatOptions format = new();

    /// <summary>The paths that were typed, by option.</summary>
    public (string Option, string? Path)[] Inputs(ParseResult parsed) =>
        [.. (parsed.GetValue(data) ?? []).Select(path => ("--data", (string?)path)),
            .. (parsed.GetValue(exclude) ?? []).Select(path => ("--exclude", (string?)path))];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(data);
        command.Add(exclude);
        format.AddTo(command);
    }

    /// <summary>Reads the texts and says on standard error what became of each file.</summary>
    public TextCorpus Load(ParseResult parsed)
    {
        var corpus = TextCorpus.Load(parsed.GetValue(data)!, parsed.GetValue(exclude) ?? [], format.Parse(parsed));
        foreach (var source in corpus.Sources)
        {
            Console.Error.WriteLine(Terminal.Printable($"{source.Path}: {source.Describe()}"));
        }
        if (corpus.ExcludedTexts > 0)
        {
            Console.Error.WriteLine($"{Text.Count(corpus.Texts.Count)} texts are used; "
                + $"{Text.Count(corpus.ExcludedTexts)} distinct texts were to be excluded");
        }
        return corpus;
    }
}
