using System.CommandLine;
using System.Diagnostics;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora train: fine-tunes a classifier.</summary>
internal sealed class TrainCommand
{
    private readonly StartOptions start = new();
    private readonly OutputOptions output = new("DIR",
        "Where the result goes: an adapter folder with --method lora, and with qa-lora on a quantised model; "
        + "else a model folder. Needed unless --dry-run is given.", required: false);
    private readonly TrainingOptionsParser training = new();
    private readonly CheckpointCommandOptions saving = new();
    private readonly DeviceOptions device = new();
    private readonly Option<bool> dryRun = new("--dry-run")
    {
        Description = "Shows what would be trained, the memory that it would take, and how long an epoch of each "
            + "method would last on this machine; trains nothing and writes nothing.",
    };
    private readonly Option<bool> verbose = OptionKinds.Verbose();
    private readonly Option<string> preset = OptionKinds.OptionalChoice("--preset", "tutorial: LoRA on query and "
        + "value of any model, as in the tutorials. [default: the layers that suit the model; see --targets]",
        "tutorial");

    /// <summary>Where and how the work is done: the result does not depend on these.</summary>
    private static readonly string[] WithoutResult = ["--out", "--overwrite", "--checkpoint-every", "--resume",
        "--verbose", "--device", "--threads"];

    public static Command Create() => Create(new TrainCommand());

    /// <summary>The run that some words mean, ready to be made.</summary>
    /// <param name="words">
    /// Of a command line without the command, as <see cref="RunProvenance.Command"/> has them.
    /// </param>
    /// <param name="backend">Where it is computed.</param>
    /// <param name="cancellation">Ends the calibration of a quantisation.</param>
    /// <returns>The run, and what its result calls its base.</returns>
    /// <exception cref="InputException">As when they are typed.</exception>
    public static (FineTuning Tuning, string? BaseModel) Begin(IReadOnlyList<string> words, IBackend backend,
        CancellationToken cancellation)
    {
        var train = new TrainCommand();
        var parsed = Create(train).Parse([.. words, train.output.Name, "-"], TypedWords.Rules);
        return parsed.Errors is [var error, ..] ? throw new InputException(error.Message)
            : (train.Start(parsed, train.Options(parsed), backend, cancellation),
                train.start.Source(parsed)?.Reference);
    }

    private static ExampleCommand Create(TrainCommand train)
    {
        var command = new ExampleCommand("train",
            "Fine-tunes a text classifier: LoRA (an adapter folder results), QA-LoRA (a quantised model), the last "
                + "layers, or everything (a model folder results).",
            "lora train --data reviews.csv --out my-adapter",
            "lora train --data reviews.csv --dry-run",
            "lora train --model my-model --data aclImdb --method last-layers --lr 1e-3 --epochs 2 --out tuned",
            "lora train --data reviews.csv --method qa-lora --bits 4 --group-size 32 --out my-int4-model",
            "lora train --data aclImdb --out my-adapter --checkpoint-every 200 --resume",
            "lora train --config config.json --vocab vocab.txt --data aclImdb_v1.tar.gz --method full --out my-model");
        train.start.AddTo(command);
        train.output.AddTo(command);
        train.training.AddTo(command);
        train.saving.AddTo(command);
        train.device.AddTo(command);
        command.Add(train.dryRun);
        command.Add(train.verbose);
        command.Add(train.preset);
        command.SetAction((parsed, cancellation) => Task.Run(() => train.Run(parsed, cancellation)));
        return command;
    }

    /// <summary>What was typed about the training, checked.</summary>
    private TrainingOptions Options(ParseResult parsed)
    {
        var options = training.Parse(parsed) with
        {
            InitialAdapter = start.InitialAdapter(parsed),
            AnyBase = start.AnyBase(parsed)
        };
        options = WithPreset(parsed, options);
        options.Check();
        options = options.For(Processes.All.Size);
        start.Check(parsed, options, training);
        training.RequireEffect(parsed, options.Method);
        if (options.Method == TrainingMethod.QALoRA)
        {
            options = options with { Quantization = start.Quantization(parsed, training) };
        }
        return options;
    }

    /// <summary>
    /// What says the size of the micro-batches where several processes had one that nobody typed:
    /// one process has another.
    /// </summary>
    private static IReadOnlyList<string> MicroBatchWords(ParseResult parsed, TrainingOptions options) =>
        options.MicroBatch is { } size && !TypedWords.Of(parsed, []).Contains("--micro-batch")
            ? ["--micro-batch", $"{size}"] : [];

    /// <summary>Loads model and data, and makes the model ready.</summary>
    private FineTuning Start(ParseResult parsed, TrainingOptions options, IBackend backend,
        CancellationToken cancellation)
    {
        DefaultTargets.Say(options, start.Source(parsed), IsLowRank(options));
        options = options.For(start.Source(parsed));
        var (classifier, dataset) = start.Load(parsed, options, backend);
        cancellation.ThrowIfCancellationRequested();
        return FineTuning.Start(classifier, dataset, options, cancellation);
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var options = Options(parsed);
        if (parsed.GetValue(dryRun))
        {
            return ShowCost(parsed, options, cancellation);
        }
        var folder = output.Path(parsed) ?? throw new InputException("Option '--out' is required. "
            + "To see what a training would cost, without one, give --dry-run.");
        var checkpoint = saving.Parse(parsed, folder);
        using var reserved = output.Reserve(parsed,
            (path, overwrite) => TrainingFolder.Reserve(path, overwrite, checkpoint),
            ("--model", IsLowRank(options) ? start.Source(parsed)?.Path : null));
        using var backend = device.Open(parsed);

        var tuning = Start(parsed, options, backend, cancellation);
        TrainingDescription.Print(tuning, withPlan: true, parsed.GetValue(verbose));
        TrainingProgress.SayEstimate(tuning.Training, checkpoint.Resume, Processes.All);
        cancellation.ThrowIfCancellationRequested();

        using var note = saving.SayHowToResume(parsed, checkpoint, cancellation);
        var result = TrainingProgress.Show(tuning.Training,
            () => tuning.Run(null, checkpoint, cancellation, Processes.All));
        if (result.Steps == 0)
        {
            throw new OperationCanceledException(cancellation);
        }
        if (!Processes.All.IsFirst)
        {
            return result.WasCancelled ? 130 : 0;
        }
        var overwrite = output.MayReplace(parsed) || checkpoint.Resume;
        ResultFolder.Save(folder, to => tuning.Save(to, result, start.Source(parsed)?.Reference, overwrite,
            [.. TypedWords.Of(parsed, WithoutResult), .. MicroBatchWords(parsed, options)]));
        if (result.WasCancelled)
        {
            Console.WriteLine($"Stopped after step {result.Steps} of {result.TotalSteps}: the run is saved in "
                + $"{checkpoint.Path}, and the weights after step {result.KeptStep} are in {folder}. To resume:");
            Console.WriteLine($"  {saving.CommandToResume(parsed)}");
            return 130;
        }
        checkpoint.Delete();
        Report(result, tuning.Training.Options, folder, parsed, isAdapter: tuning.Adapter is { IsAttached: true });
        return 0;
    }

    private int ShowCost(ParseResult parsed, TrainingOptions options, CancellationToken cancellation)
    {
        if (saving.Resume(parsed))
        {
            throw new InputException("--dry-run shows a run from its beginning, and --resume goes on with one. Leave "
                + "one of the two out.");
        }
        using var backend = device.Open(parsed);
        var tuning = Start(parsed, options, backend, cancellation);
        TrainingDescription.Print(tuning, withPlan: false, everyLayer: false);
        DryRun.Show(tuning, start.NewHead(parsed), parsed.GetValue(verbose), cancellation);
        return 0;
    }

    /// <summary>The options with what a preset says.</summary>
    /// <exception cref="InputException">Nothing of it would have an effect.</exception>
    private TrainingOptions WithPreset(ParseResult parsed, TrainingOptions options)
    {
        if (parsed.GetValue(preset) is not { } name)
        {
            return options;
        }
        var other = options.Targets is not null ? "--targets"
            : options.InitialAdapter is not null ? "--init-adapter"
            : IsLowRank(options) ? null
            : $"--method {TrainingOptions.NameOf(options.Method)}";
        return other is null ? options with { Targets = LoRATargets.Default }
            : throw new InputException($"--preset {name} chooses the layers that get LoRA, and {other} has settled "
                + "that. Leave one of the two out.");
    }

    private static bool IsLowRank(TrainingOptions options) =>
        options.Method is TrainingMethod.LoRA or TrainingMethod.QALoRA;

    private void Report(TrainingResult result, TrainingOptions options, string folder, ParseResult parsed,
        bool isAdapter)
    {
        if (result.StoppedEarly)
        {
            Console.WriteLine($"Stopped early, after step {result.Steps} of {result.TotalSteps}: "
                + $"{options.EarlyStopping} {(options.EarlyStopping == 1 ? "validation" : "validations in a row")} "
                + $"without a better {MetricText.Name(options.Metric)}.");
        }
        var tokens = result.Metrics.Sum(step => (long)step.Tokens);
        var seconds = result.Metrics.Sum(step => step.StepSeconds);
        Console.WriteLine($"{result.Steps} steps in {Text.Duration(result.Seconds)}; "
            + $"{Text.Count((long)(tokens / Math.Max(seconds, 1e-9)))} tokens/s; peak memory "
            + $"{Text.Bytes(PeakMemory())}; the state after step {result.KeptStep} is in {folder}"
            + $"{(result.Best is { } best ? $" (validation {MetricText.Of(best, options.Metric)})" : "")}.");
        TrainingProgress.SayExchange(result, Console.Out);
        if (CostText.Of(result) is { } cost)
        {
            Console.WriteLine(cost);
        }
        Console.WriteLine($"Loss curves: {Path.Combine(folder, RunFiles.CurvesName)}");
        Console.WriteLine("Predict with it:");
        string[] model = isAdapter
            ? [.. ModelOption.Words(start.Source(parsed)!), "--adapter", folder]
            : ["--model", folder];
        Console.WriteLine($"  {ShellWords.Join(["lora", "predict", .. model, "--text"])} \"…\"");
    }

    private static long PeakMemory()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
