using System.CommandLine;
using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora compare: LoRA, the last two layers and all layers on the same texts.</summary>
internal sealed class CompareCommand
{
    private static readonly float[] DefaultRates = [5e-5f, 2e-4f, 1e-3f];
    private static readonly TrainingMethod[] AllMethods =
        [TrainingMethod.LoRA, TrainingMethod.QALoRA, TrainingMethod.LastLayers, TrainingMethod.Full];
    private static readonly TrainingMethod[] DefaultMethods =
        [TrainingMethod.LoRA, TrainingMethod.LastLayers, TrainingMethod.Full];

    private readonly Option<string?> preset = OptionKinds.OptionalChoice("--preset",
        "The tutorial's experiment as its script runs it, or with the settings of its best LoRA run; options that "
            + "are given besides hold instead.", "tutorial", "tutorial-best")!;

    private readonly Option<WordList> methods =
        OptionKinds.Words("--methods", "What is compared", [.. DefaultMethods.Select(TrainingOptions.NameOf)],
            [.. AllMethods.Select(TrainingOptions.NameOf)]);

    private readonly Option<double[]?> rates = OptionKinds.OptionalNumbers("--lr",
        "Learning rates, separated by commas: each method tries all of them, and its best on the validation examples "
            + "counts. [default: 5e-5,2e-4,1e-3; with a preset 5e-5]");

    private readonly Option<int> seeds = OptionKinds.Whole("--seeds", "Runs everything with so many seeds, from "
        + "--seed on, and shows mean ± standard deviation.", 1);
    private readonly Option<int?> rateSeeds = OptionKinds.OptionalWhole("--lr-seeds", "The first so many seeds "
        + "choose the learning rate; the others run with the chosen one alone. [default: all]");
    private readonly ExperimentOptions experiment = new();

    public static Command Create()
    {
        var compare = new CompareCommand();
        var command = new ExampleCommand("compare",
            "Trains with LoRA, the last two layers, and all layers, or other methods: on the same texts, for as many "
                + "steps, with the same learning rates to choose from by validation. The test examples are used "
                + "once, when all is chosen.",
            "lora compare --data reviews.csv --out comparison --seeds 3",
            "lora compare --model distilbert-base-uncased --data aclImdb --out tutorial --preset tutorial",
            "lora compare --data reviews.csv --out comparison --methods lora,qa-lora,full --bits 4 --group-size 32",
            "lora compare --data reviews.csv --out comparison --seeds 3 --resume");
        foreach (Option option in (Option[])[compare.preset, compare.methods, compare.rates, compare.seeds,
            compare.rateSeeds])
        {
            command.Add(option);
        }
        compare.experiment.AddTo(command, compare.experiment.Training.DecidedByComparison);
        command.SetAction((parsed, cancellation) => Task.Run(() => compare.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        (TrainingOptions? Options, SplitOptions Split, float[] Rates) basis = parsed.GetValue(preset) switch
        {
            "tutorial" => (Tutorial.Default, Tutorial.Split, [Tutorial.LearningRate]),
            "tutorial-best" => (Tutorial.Best, Tutorial.Split, [Tutorial.LearningRate]),
            _ => (null, new SplitOptions(), DefaultRates),
        };
        TrainingMethod[] chosen =
            [.. AllMethods.Where(method => parsed.GetValue(methods)!.Words.Contains(TrainingOptions.NameOf(method)))];
        experiment.Training.RequireEffect(parsed, chosen);
        var options = experiment.Training
            .Parse(parsed, basis.Options) with
        {
            Quantization = chosen.Contains(TrainingMethod.QALoRA)
                ? experiment.Quantization(parsed) : null
        };
        var plan = new ComparisonPlan(options.For(experiment.Source(parsed)), chosen,
            parsed.GetValue(rates) is { Length: > 0 } given ? [.. given.Select(rate => (float)rate)] : basis.Rates,
                parsed.GetValue(seeds), parsed.GetValue(rateSeeds));
        var split = experiment.Split(parsed, basis.Split);
        plan.Check();
        if (basis.Options is not null)
        {
            ExperimentOptions.SayOverrides($"--preset {parsed.GetValue(preset)}",
                new ComparisonPlan(basis.Options, DefaultMethods, basis.Rates, 1).Describe(basis.Split),
                    plan.Describe(split));
        }
        var (path, resume) = (experiment.Folder(parsed), experiment.Saving.Resume(parsed));
        var (every, trainTexts) = (experiment.Saving.Every(parsed), experiment.TrainExamples(parsed));
        using var reserved = Processes.All.IsFirst ? OutputOptions.Tell(ExperimentFolder.Reserve(path, resume)) : null;
        DefaultTargets.Say(options, experiment.Source(parsed),
            chosen.Any(method => method is TrainingMethod.LoRA or TrainingMethod.QALoRA));

        var (backend, input) = experiment.Load(parsed, plan.Base, split);
        using (backend)
        {
            foreach (var method in chosen)
            {
                // before the first of them trains for hours
                TrainingSetup.Check(input.First, plan.Base with { Method = method });
            }
            var folder = input.Open(path, resume, plan.Describe(split));
            var progress = new ExperimentProgress(plan.Count) { Done = plan.CountDone(folder) };
            try
            {
                var result = new Comparison(plan, folder,
                    new RunExecutor(input.Load, input.Data, folder.Runs, every, progress, cancellation,
                        trainTexts, Processes.All)).Run();
                if (Processes.All.IsFirst)
                {
                    new ComparisonReport(plan, result).Write(folder, MethodTable.Output());
                }
                return 0;
            }
            catch (OperationCanceledException)
            {
                return experiment.SayHowToResume(parsed);
            }
        }
    }
}
