using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora sweep: which rank, alpha and layers are best.</summary>
internal sealed class SweepCommand
{
    private static readonly SweepGrid Grid = new();

    private readonly Option<double[]?> ranks = OptionKinds.OptionalNumbers("--ranks", "Ranks, separated by commas. "
        + $"[default: {string.Join(',', Grid.Ranks)}]");
    private readonly Option<double[]?> alphas = OptionKinds.OptionalNumbers("--alphas", "Alphas, separated by "
        + $"commas. [default: {string.Join(',', Grid.Alphas)}]");
    private readonly Option<WordList> always =
        OptionKinds.Words("--always", "Layers that every run adapts (of the built-in base model, where neither this "
            + $"nor --vary is given: {string.Join(',', SweepGrid.OfBuiltIn.Always)})", [.. Grid.Always],
            [.. LoRATargets.Names]);
    private readonly Option<WordList> varied =
        OptionKinds.Words("--vary", "Layers of which every choice is tried (there: "
            + $"{string.Join(',', SweepGrid.OfBuiltIn.Varied)})", [.. Grid.Varied], [.. LoRATargets.Names]);
    private readonly Option<int?> runs = OptionKinds.OptionalWhole("--runs", "Runs so many points of the grid, drawn "
        + "by --seed; more with --resume later on. [default: all]");
    private readonly Option<bool> dryRun = new("--dry-run")
    {
        Description = "Prints the grid and, after a few steps "
        + "to measure, about how long it takes; writes nothing."
    };
    private readonly ExperimentOptions experiment = new();

    public static Command Create()
    {
        var sweep = new SweepCommand();
        var command = new ExampleCommand("sweep",
            "Trains with every rank, alpha and choice of layers of a grid, or with some drawn from it: the "
                + "tutorial's grid and settings, where nothing else is given (of the built-in base model other "
                + "layers). Each run appends its row to a table.",
            "lora sweep --model distilbert-base-uncased --data aclImdb --out sweep --dry-run",
            "lora sweep --data reviews.csv --out sweep --runs 20 --lr 5e-4",
            "lora sweep --data reviews.csv --out sweep --runs 40 --lr 5e-4 --resume");
        foreach (Option option in (Option[])[sweep.ranks, sweep.alphas, sweep.always, sweep.varied, sweep.runs,
            sweep.dryRun])
        {
            command.Add(option);
        }
        sweep.experiment.AddTo(command, sweep.experiment.Training.DecidedBySweep);
        command.SetAction((parsed, cancellation) => Task.Run(() => sweep.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var grid = ParseGrid(parsed);
        experiment.Training.RequireEffect(parsed, TrainingMethod.LoRA);
        var options = experiment.Training.Parse(parsed, Tutorial.Default);
        var split = experiment.Split(parsed, Tutorial.Split);
        grid.Check();
        var points = grid.Choose(parsed.GetValue(runs), options.Seed);
        foreach (var point in points)
        {
            point.Run(options).Options.Check();
        }
        var description = Describe(options, split);
        ExperimentOptions.SayOverrides("the tutorial's sweep", Describe(Tutorial.Default, Tutorial.Split), description);
        var (path, resume, dry) =
            (experiment.Folder(parsed), experiment.Saving.Resume(parsed), parsed.GetValue(dryRun));
        var every = experiment.Saving.Every(parsed);
        using var reserved = dry || !Processes.All.IsFirst ? null
            : OutputOptions.Tell(ExperimentFolder.Reserve(path, resume));
        if (TakesDefaultOfBuiltIn(parsed))
        {
            Console.Error.WriteLine($"layers: {string.Join(", ", SweepGrid.OfBuiltIn.Always)} always, every choice of "
                + $"{string.Join(", ", SweepGrid.OfBuiltIn.Varied)} (the default of the built-in base model; "
                + $"--always {string.Join(',', Grid.Always)} is the tutorial's)");
        }

        var (backend, input) = experiment.Load(parsed, options, split);
        using (backend)
        {
            try
            {
                if (dry)
                {
                    Estimate(grid, points, options, input, cancellation);
                    return 0;
                }
                var folder = input.Open(path, resume, description);
                var progress = new ExperimentProgress(points.Count);
                var sweep = new Sweep(points, options, folder,
                    new RunExecutor(input.Load, input.Data, folder.Runs, every, progress, cancellation,
                        experiment.TrainExamples(parsed), Processes.All));
                progress.Done = sweep.CountDone;
                if (sweep.Run() is { } result)
                {
                    new SweepReport(result).Write(folder, MethodTable.Output());
                }
                return 0;
            }
            catch (OperationCanceledException) when (!dry)
            {
                return experiment.SayHowToResume(parsed);
            }
        }
    }

    /// <summary>Whether the layers are those of the built-in base model: none are typed.</summary>
    private bool TakesDefaultOfBuiltIn(ParseResult parsed) => experiment.Source(parsed) == ModelSource.BuiltIn
        && new[] { always, varied }.All(option => parsed.GetResult(option) is null or { Implicit: true });

    private SweepGrid ParseGrid(ParseResult parsed)
    {
        var given = parsed.GetValue(ranks) is { Length: > 0 } numbers ? numbers : null;
        if (given?.All(rank => rank == Math.Floor(rank) && rank is >= 1 and <= int.MaxValue) == false)
        {
            throw new InputException("--ranks: expected whole numbers from 1.");
        }
        var isBuiltIn = TakesDefaultOfBuiltIn(parsed);
        return new SweepGrid
        {
            Ranks = given?.Select(rank => (int)rank).ToArray() ?? Grid.Ranks,
            Alphas = parsed.GetValue(alphas) is { Length: > 0 } values ? values : Grid.Alphas,
            Always = isBuiltIn ? SweepGrid.OfBuiltIn.Always : parsed.GetValue(always)!.Words,
            Varied = isBuiltIn ? SweepGrid.OfBuiltIn.Varied : parsed.GetValue(varied)!.Words,
        };
    }

    /// <summary>
    /// What every run has; which points are run is for the table to say, so that a sweep can be
    /// enlarged.
    /// </summary>
    private static Dictionary<string, object?> Describe(TrainingOptions options, SplitOptions split)
    {
        var all = ResolvedOptions.Of(options);
        foreach (var decided in (string[])["rank", "alpha", "targets"])
        {
            all.Remove(decided);
        }
        (all["split"], all["validation"], all["test"]) =
            (split.Rule.ToString().ToLowerInvariant(), split.Validation, split.Test);
        return all;
    }

    private static void Estimate(SweepGrid grid, IReadOnlyList<SweepPoint> points, TrainingOptions options,
        ExperimentInput input, CancellationToken cancellation)
    {
        Console.WriteLine($"ranks {string.Join(", ", grid.Ranks)}; alphas "
            + $"{string.Join(", ", grid.Alphas.Select(alpha => alpha.ToString(CultureInfo.InvariantCulture)))}; "
            + $"{string.Join(", ", grid.Always)} always, every choice of {string.Join(", ", grid.Varied)}: "
            + $"{Text.Count(grid.Count)} points, {Text.Count(points.Count)} of them to run:");
        foreach (var point in points)
        {
            Console.WriteLine($"  {point.Name}");
        }
        var largest = points.MaxBy(point => (point.Targets.Count, point.Rank))!;
        var speed = new RunExecutor(input.Load, input.Data, "", 0, new ExperimentProgress(1),
            cancellation).Measure(largest.Run(options));
        var perRun = options.Epochs
            * (input.Data.Train.Tokens / speed.Training + input.Data.Validation.Tokens / speed.Evaluation);
        Console.WriteLine($"At {Text.Count((long)speed.Training)} tokens/s of training and "
            + $"{Text.Count((long)speed.Evaluation)} of evaluation, measured with {largest.Name}: "
            + $"about {Text.Duration(perRun)} for a run, {Text.Duration(perRun * points.Count)} for all.");
    }
}
