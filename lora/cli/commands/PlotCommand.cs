using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora plot: the loss curves of trainings that have ended.</summary>
internal sealed class PlotCommand
{
    private readonly Argument<string[]> runs = new("run")
    {
        Description = "Folders that 'lora train' or 'lora pretrain' left; of 'lora compare' and 'lora sweep' the "
            + "folder, for their best runs, or files of runs/ in it.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly OutputOptions output = new("FILE", "Where the picture goes, an SVG file. [default: "
        + $"{RunFiles.CurvesName} in the working directory]", required: false, RunFiles.CurvesName);

    public static Command Create()
    {
        var plot = new PlotCommand();
        var command = new ExampleCommand("plot",
            "Draws the losses of trainings as an SVG picture: of one run single steps, their mean, and validation "
                + "loss and accuracy; several runs are laid over each other.",
            "lora plot my-adapter",
            "lora plot my-adapter other-adapter --out both.svg",
            "lora plot comparison --out comparison.svg") { plot.runs };
        plot.output.AddTo(command);
        command.SetAction(plot.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        var given = parsed.GetValue(runs)!;
        var path = SvgFile.Require("--out", output.Path(parsed)!);
        var histories = given.SelectMany(run => Read(run, given)).ToList();
        using var reserved = output.Reserve(parsed, AtomicFile.Reserve,
            [.. given.Select(run => ("the run", (string?)run))]);
        RequireOneTask(histories);
        if (histories.Count > LossPicture.MaxRuns)
        {
            throw new InputException($"plot: {histories.Count} runs are too many for one picture; at most "
                + $"{LossPicture.MaxRuns} can be told apart. Name fewer.");
        }
        LossCurve[] curves = [.. histories.Select(history => history.Run.Curve)];
        AtomicFile.WriteText(path, LossPicture.Draw(curves.Length == 1 ? $"Training of {curves[0].Name}"
            : $"{curves.Length} trainings", curves));
        Console.WriteLine($"{path}: {(curves.Length == 1 ? "1 run" : $"{curves.Length} runs")}, "
            + $"{Text.Count(curves.Sum(curve => (long)curve.Losses.Count))} steps");
        return 0;
    }

    private static IReadOnlyList<(string Path, RunHistory Run)> Read(string path, string[] given) =>
        RunHistories.Read(path, given, note => Console.Error.WriteLine($"note: {note}"));

    private static void RequireOneTask(List<(string Path, RunHistory Run)> histories)
    {
        foreach (var (path, _) in histories.Where(entry => entry.Run.Task is null).DistinctBy(entry => entry.Path))
        {
            var isExperiment = File.Exists(path) || RunHistories.IsExperiment(path);
            if (histories.DistinctBy(entry => entry.Path).Count() > 1)
            {
                Console.Error.WriteLine(isExperiment
                    ? $"note: {path} does not say its classes: whether its task is that of the others is not known"
                    : $"note: {path} has no {RunFiles.OptionsName} with classes and validations: it is drawn without "
                        + "them, and whether its task is that of the others is not known");
            }
        }
        var known = histories.Where(entry => entry.Run.Task is not null).ToList();
        if (known.Find(entry => entry.Run.Task != known[0].Run.Task) is { Run: not null } other)
        {
            throw new InputException($"plot: {known[0].Path} was trained {known[0].Run.Task}, and {other.Path} "
                + $"{other.Run.Task}: losses of different tasks cannot be compared. Draw each in a "
                + "picture of its own.");
        }
    }
}
