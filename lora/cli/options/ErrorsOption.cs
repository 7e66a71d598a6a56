using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>Where the wrong answers of an evaluation go: --errors.</summary>
internal sealed class ErrorsOption
{
    /// <summary>The option itself.</summary>
    public Option<string> File { get; } = OptionKinds.Path("--errors", "FILE", "Writes the examples that are "
        + "answered wrongly, the most confident mistakes first: line, text, label, predicted, and the probability of "
        + "what was predicted (of several classes that of the surest wrong decision). A .csv, .tsv or .jsonl file.");

    /// <summary>Whether wrong answers are wanted.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(File) is not null;

    /// <summary>
    /// Takes the file for this process, and refuses one that could not be written, before the work
    /// begins.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="files">Of the command; the option is one of them.</param>
    /// <param name="data">The file of the examples.</param>
    /// <returns>To be disposed when it is written; null where no file is wanted.</returns>
    /// <exception cref="InputException">The message says what to do.</exception>
    public OutputLock? Reserve(ParseResult parsed, SideFileOptions files, string? data)
    {
        if (parsed.GetValue(File) is { } path)
        {
            TableWriter.KindOf(path);
        }
        return files.Reserve(parsed, File, ("--data", data));
    }

    /// <summary>Refuses several adapters: the file is for the answers of one.</summary>
    /// <exception cref="InputException">There are several.</exception>
    public void RequireOne(ParseResult parsed, IReadOnlyList<ClassifierTask> tasks)
    {
        if (IsGiven(parsed) && tasks.Count > 1)
        {
            throw new InputException($"--errors is for the answers of one adapter, and there are {tasks.Count}: choose "
                + "one with --active.");
        }
    }

    /// <summary>Writes the file, and says so on standard error.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="data">The examples.</param>
    /// <param name="mistakes">The wrong answers.</param>
    public void Write(ParseResult parsed, TextDataset data, Mistakes mistakes)
    {
        if (!Processes.All.IsFirst)
        {
            return;
        }
        var path = parsed.GetValue(File)!;
        var wrong = mistakes.SurestFirst;
        var hasLines = data.Examples.All(example => example.Line is not null);
        string[] columns = [hasLines ? "line" : "file", "text", .. data.HasPairs ? (string[])["text_pair"] : [],
            "label", "predicted", "probability"];
        TableWriter.WriteFile(path, columns, wrong.Select(mistake =>
        {
            var example = data.Examples[mistake.Index];
            return (IReadOnlyList<object?>)[hasLines ? example.Line : example.Origin, example.Text,
                .. data.HasPairs ? (object?[])[example.TextPair] : [], Names(example.Classes ?? [example.Label]),
                Names(mistake.Predicted), mistake.Probability];
        }));
        Console.Error.WriteLine($"{path}: {Text.Count(wrong.Count)} of {Text.Count(data.Examples.Count)} examples are "
            + "answered wrongly, the most confident mistakes first");

        object Names(IReadOnlyList<int> classes) => data.IsMultiLabel
            ? (string[])[.. classes.Select(label => data.Labels[label])] : data.Labels[classes[0]];
    }
}
