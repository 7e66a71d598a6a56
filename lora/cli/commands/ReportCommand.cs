using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Reporting;

namespace LoraScratch.Cli;

/// <summary>lora report: runs, comparisons and merges as one page.</summary>
internal sealed class ReportCommand
{
    private const string DefaultName = "report.html";
    private const int LongestText = 2_000;

    private readonly Argument<string[]> runs = new("run")
    {
        Description = "Folders that 'lora train' or 'lora pretrain', 'lora compare' or 'lora sweep', and 'lora merge "
            + "--certificate' left.",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly OutputOptions output = new("FILE", $"Where the page goes. [default: {DefaultName} in the working "
        + "directory]", required: false, DefaultName);
    private readonly ModelOption model = new("With --data: the folder of the adapters' base model",
        orElse: "the one that each adapter names");
    private readonly MeasurementOptions measurement = new();
    private readonly Option<int> mistakes = OptionKinds.Whole("--mistakes", "Wrong answers that are shown of each run, "
        + "the most confident first; with --data.", 20);
    private readonly Option<bool> anyBase = ModelOptions.AnyBase();
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var report = new ReportCommand();
        var command = new ExampleCommand("report",
            "Makes one page of runs, to read, print or send: curves, a table of runs and methods, with --data the "
                + "confusion matrix and the most confident mistakes, cost predicted and measured, what a merge kept, "
                + "and from what all of it was made. One file, which asks nothing of any network.",
            "lora report my-adapter",
            "lora report my-adapter other-adapter --data test.csv --out both.html",
            "lora report comparison --out comparison.html") { report.runs };
        report.output.AddTo(command);
        report.measurement.AddTo(command);
        command.Add(report.mistakes);
        report.model.AddTo(command);
        command.Add(report.anyBase);
        report.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => report.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var (folders, path) = (parsed.GetValue(runs)!, output.Path(parsed)!);
        OptionKinds.RequirePositive(mistakes.Name, parsed.GetValue(mistakes));
        RequireEffect(parsed);
        using var reserved = output.Reserve(parsed, AtomicFile.Reserve,
            [.. folders.Select(run => ("the run", (string?)run)), ("--data", measurement.Path(parsed))]);
        var data = ReportReader.Read(folders, note => Console.Error.WriteLine(Terminal.Printable($"note: {note}")));
        if (measurement.IsGiven(parsed))
        {
            using var backend = device.Open(parsed);
            var trained = folders.Where(ReportReader.IsRun).ToArray();
            data = data with
            {
                Runs = [.. data.Runs.Zip(trained, (run, folder) =>
                    run with { Answers = Ask(parsed, folder, backend, cancellation) })],
            };
        }
        AtomicFile.WriteText(path, new ReportPage(data).Build());
        Console.WriteLine($"{path}: {data.Title}; open it in a browser.");
        return 0;
    }

    private void RequireEffect(ParseResult parsed)
    {
        var idle = parsed.GetResult(mistakes) is { Implicit: false } ? mistakes.Name
            : model.IsGiven(parsed) ? "--model" : null;
        if (idle is not null && !measurement.IsGiven(parsed))
        {
            throw new InputException($"{idle} has no effect without --data, the texts that the runs are asked. Leave "
                + "it out, or name some.");
        }
    }

    /// <summary>How the result of a run answers the texts.</summary>
    private ReportedAnswers Ask(ParseResult parsed, string folder, IBackend backend, CancellationToken cancellation)
    {
        var isAdapter = AdapterBase.IsAdapter(folder, hasBase: model.IsGiven(parsed));
        var source = !isAdapter ? ModelSource.Folder(folder)
            : model.IsGiven(parsed) ? model.Source(parsed) : AdapterBase.Find(folder);
        var (classifier, _) = ModelOptions.Load(source, isAdapter ? folder : null, labels: null,
            parsed.GetValue(anyBase), backend);
        using var loaded = classifier;
        var (texts, encoded) = measurement.Read(parsed, classifier);
        var wrong = new Mistakes(encoded.Examples);
        var result = classifier.Evaluate(encoded.Examples, measurement.BatchSize(parsed), cancellation,
            TextProgress.Lines(encoded.Examples.Count), answered: wrong.Add);
        string Names(IReadOnlyList<int> classes) => classes.Count == 0 ? "none"
            : string.Join(", ", classes.Select(label => texts.Labels[label]));
        return new(texts.Source, classifier.Labels, result,
            [.. wrong.SurestFirst.Take(parsed.GetValue(mistakes)).Select(mistake =>
            {
                var example = texts.Examples[mistake.Index];
                return new ReportedMistake(example.Origin, Cut(example.TextPair is { } second
                    ? $"{example.Text}\n{second}" : example.Text), Names(example.Classes ?? [example.Label]),
                    Names(mistake.Predicted), mistake.Probability);
            })]);
    }

    private static string Cut(string text) => text.Length <= LongestText ? text : $"{text[..LongestText]}…";
}
