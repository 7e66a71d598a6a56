using System.CommandLine;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora replay: makes a run again from what its folder says, and compares.</summary>
internal sealed class ReplayCommand
{
    private readonly Argument<string> run = new("run") { Description = "The folder that 'lora train' left." };
    private readonly Option<string> data = OptionKinds.Path("--data", "PATH",
        "The data, where they are no longer where they were.");
    private readonly Option<string> model = OptionKinds.Path("--model", "DIR",
        "The model that the run began with, where it is no longer where it was.");
    private readonly Option<bool> dryRun = new("--dry-run")
    {
        Description = "Compares data, base, version, arithmetic and options, and does not train.",
    };
    private readonly OutputOptions output = new("DIR",
        "Keeps what comes of it, where it is what the run recorded; without it only hashes are compared.",
        required: false);
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var replay = new ReplayCommand();
        var command = new ExampleCommand("replay",
            "Trains again from what training.json says, and compares the SHA-256 of the weights with the one recorded "
                + "there: the same on the same arithmetic, whatever the number of threads. Where something differs "
                + "(data, base, version, arithmetic, options) it says what.",
            "lora replay my-adapter",
            "lora replay my-adapter --data reviews.csv --dry-run",
            "lora replay my-adapter --threads 1 --out my-adapter-again") { replay.run, replay.data, replay.model,
                replay.dryRun };
        replay.output.AddTo(command);
        replay.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => replay.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(run)!;
        if (parsed.GetValue(dryRun) && output.Path(parsed) is not null)
        {
            throw new InputException("--dry-run trains nothing, and --out has nothing to keep. Leave one of the two "
                + "out.");
        }
        var recorded = RecordedRun.Read(folder);
        using var reserved = output.Reserve(parsed, (path, overwrite) => TrainingFolder.Reserve(path, overwrite),
            ("the run", folder));
        using var backend = device.Open(parsed);
        var (tuning, baseModel) = Begin(parsed, recorded, backend, cancellation);
        var differences = recorded.DifferencesFrom(tuning);
        RequireSameRun(recorded, differences);
        PrintParts(recorded, differences, backend);
        SayOfFile(recorded);
        if (!parsed.GetValue(dryRun))
        {
            Train(parsed, recorded, differences, tuning, baseModel, cancellation);
        }
        return 0;
    }

    private (FineTuning Tuning, string? BaseModel) Begin(ParseResult parsed, RecordedRun recorded, IBackend backend,
        CancellationToken cancellation)
    {
        var words = TypedWords.With(recorded.Command, data.Name, parsed.GetValue(data));
        try
        {
            return TrainCommand.Begin(TypedWords.With(words, model.Name, parsed.GetValue(model)), backend,
                cancellation);
        }
        catch (InputException e)
        {
            throw new InputException($"{recorded.Folder}: its command does not begin a run here: {e.Message}");
        }
    }

    /// <summary>Refuses to train what would be another run.</summary>
    private static void RequireSameRun(RecordedRun recorded, IReadOnlyList<RunDifference> differences)
    {
        RunDifference[] other = [.. differences.Where(each => each.Part is RunPart.Data or RunPart.Base
            or RunPart.Options)];
        if (other.Length > 0)
        {
            throw new InputException($"{recorded.Folder}: this would be another run, for {Named(other)}. Nothing was "
                + "trained.");
        }
    }

    private void Train(ParseResult parsed, RecordedRun recorded, IReadOnlyList<RunDifference> differences,
        FineTuning tuning, string? baseModel, CancellationToken cancellation)
    {
        var result = TrainingProgress.Show(tuning.Training, () => tuning.Run(null, null, cancellation));
        if (result.WasCancelled)
        {
            throw new OperationCanceledException(cancellation);
        }
        var (name, hash, _) = recorded.Weights;
        var found = HashOf(tuning, result, baseModel, recorded, name);
        if (found != hash)
        {
            throw new InputException($"{recorded.Folder}: the SHA-256 of {name} is {found} here and was {hash}"
                + (differences.Count > 0 ? $", for {Named(differences)}."
                    : ", though data, base, version, arithmetic and options are the same: memory that is damaged, or a "
                        + "defect of this program."));
        }
        Console.WriteLine($"SHA-256 of {name}, as recorded:\n  {hash}");
        if (output.Path(parsed) is { } kept)
        {
            ResultFolder.Save(kept, to => tuning.Save(to, result, baseModel, output.MayReplace(parsed),
                recorded.Command));
            Console.WriteLine($"The result is in {kept}.");
        }
    }

    /// <summary>The hash of the file of weights, which is written and deleted.</summary>
    private static string HashOf(FineTuning tuning, TrainingResult result, string? baseModel, RecordedRun recorded,
        string name)
    {
        var temporary = Directory.CreateTempSubdirectory("lora-replay-").FullName;
        try
        {
            var folder = Path.Combine(temporary, "run");
            tuning.Save(folder, result, baseModel, command: recorded.Command);
            return RunProvenance.HashesIn(folder).GetValueOrDefault(name, "of no such file");
        }
        finally
        {
            Directory.Delete(temporary, recursive: true);
        }
    }

    private static void PrintParts(RecordedRun recorded, IReadOnlyList<RunDifference> differences, IBackend backend)
    {
        var run = recorded.Provenance;
        Print("part", "recorded", "here");
        foreach (var (use, texts) in run.Data)
        {
            Print("data", $"{Text.Count(texts.Count)} examples {RunInputs.Shown(use)}, "
                + RunInputs.Short(texts.Hash), "same");
        }
        Print("base", RunInputs.Short(run.Base), Here(RunPart.Base));
        Print("version", $"{run.Version} on {run.Runtime}", Here(RunPart.Version));
        Print("arithmetic", run.Arithmetic, Here(RunPart.Arithmetic));
        Print("options", recorded.Options.Count.ToString(CultureInfo.InvariantCulture), Here(RunPart.Options));
        foreach (var difference in differences)
        {
            Console.Error.WriteLine(Terminal.Printable($"note: {difference.Sentence}."));
        }
        Console.Error.WriteLine($"recorded on {run.Device}; here computes {backend.Description}");

        string Here(RunPart part) => differences.Any(each => each.Part == part) ? "differs" : "same";

        static void Print(string part, string was, string here) =>
            Console.WriteLine(Terminal.Printable($"{Columns.Left(part, 12)}{Columns.Left(was, 58)}  {here}"));
    }

    /// <summary>Says where the folder no longer has what the run wrote.</summary>
    private static void SayOfFile(RecordedRun recorded)
    {
        var (name, hash, now) = recorded.Weights;
        if (now != hash)
        {
            Console.Error.WriteLine($"note: {Path.Combine(recorded.Folder, name)} "
                + (now is null ? "is missing" : "is no longer the file that the run wrote: its SHA-256 is another"));
        }
    }

    /// <summary>"the data differ (…); the options differ (…)"</summary>
    private static string Named(IEnumerable<RunDifference> differences) => string.Join("; ", differences
        .GroupBy(each => each.Part).Select(group => $"the {Word(group.Key)} "
            + $"({string.Join(", ", group.Select(each => each.Sentence))})"));

    private static string Word(RunPart part) => part switch
    {
        RunPart.Data => "data differ",
        RunPart.Options => "options differ",
        _ => $"{part.ToString().ToLowerInvariant()} differs",
    };
}
