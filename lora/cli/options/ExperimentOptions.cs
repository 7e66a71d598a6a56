using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>What an experiment is made of once its options are read and its files loaded.</summary>
/// <param name="Load">
/// Loads the model; a head that it lacks is randomly initialised from the seed.
/// </param>
/// <param name="First">The model of the first seed, as nothing has changed it.</param>
/// <param name="Data">The texts.</param>
internal sealed record ExperimentInput(Func<ulong, TextClassifier> Load, TextClassifier First, ExperimentData Data)
{
    /// <summary>
    /// Begins the experiment in its folder, or goes on with it. The first model has done its duty
    /// then, and its memory goes back.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="resume">Whether to go on.</param>
    /// <param name="options">What the experiment is, by the names of options.</param>
    public ExperimentFolder Open(string path, bool resume, Dictionary<string, object?> options)
    {
        var folder = ExperimentFolder.Open(path, resume,
            RunIdentity.Of(First.Model, First.Model.Backend, options, Data.Parts), Processes.All);
        First.Dispose();
        return folder;
    }
}

/// <summary>
/// The options that the experiments share: model, data, how it is parted, how runs train, where the
/// results go, and going on after a kill.
/// </summary>
internal sealed class ExperimentOptions
{
    private readonly StartOptions start = new(split: null);
    private readonly Option<string> output = OptionKinds.Path("--out", "DIR", "Where everything goes: a new or empty "
        + "folder, or with --resume that of the experiment.", required: true);
    private readonly Option<double?> validation = OptionKinds.OptionalNumber("--validation", "Share of the "
        + "examples that choose epochs and learning rates. [default: 0.1]");
    private readonly Option<string> testData = OptionKinds.Path("--test-data", "PATH", "The test examples, where they "
        + "are not a share of --data: a file like it, or the aclImdb folder or its .tar.gz, of which test/ is read, "
        + "and train/ of --data. Examples of --data that stand among them are left out.");
    private readonly Option<int?> trainExamples = OptionKinds.OptionalWhole("--train-examples", "Takes the accuracy "
        + "on training examples on so many of them. [default: all]");
    private readonly Option<int?> formerTrainExamples = OptionKinds.OptionalWhole("--train-texts", "--train-examples");
    private readonly Option<double?> test = OptionKinds.OptionalNumber("--test", "Share of the examples to test on "
        + "when all is chosen. [default: 0.2]");
    private readonly Option<string?> split = OptionKinds.OptionalChoice("--split", "How the examples are parted: each "
        + "part with the same shares of the classes, drawn from all alike, or as the tutorial's script shuffles and "
        + "cuts them. [default: tutorial for a sweep and with a preset, else stratified]", "stratified", "random",
        "tutorial")!;
    private readonly DeviceOptions device = new();

    /// <summary>The options of the training runs.</summary>
    public TrainingOptionsParser Training { get; } = new();

    /// <summary>--checkpoint-every and --resume.</summary>
    public CheckpointCommandOptions Saving { get; } = new(steps: 200);

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="decided">Options of training runs that the command decides.</param>
    public void AddTo(Command command, IReadOnlyList<Option> decided)
    {
        start.AddTo(command);
        foreach (Option option in (Option[])[output, testData, validation, test, split, trainExamples,
            formerTrainExamples])
        {
            command.Add(option);
        }
        formerTrainExamples.Hidden = true;
        Training.AddTo(command, decided);
        Saving.AddTo(command);
        device.AddTo(command);
    }

    /// <summary>The folder of the experiment.</summary>
    public string Folder(ParseResult parsed) => parsed.GetValue(output)!;

    /// <summary>How many training examples tell the accuracy on them; null: all.</summary>
    public int? TrainExamples(ParseResult parsed) =>
        (parsed.GetValue(trainExamples) ?? parsed.GetValue(formerTrainExamples)) switch
        {
            < 1 and var given => throw new InputException($"--train-examples is {given}; expected at least 1."),
            var given => given,
        };

    /// <summary>How the examples are parted.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="preset">Gives what was not typed.</param>
    public SplitOptions Split(ParseResult parsed, SplitOptions preset)
    {
        if (parsed.GetValue(testData) is not null
            && (parsed.GetValue(test) ?? (object?)parsed.GetValue(split)) is not null)
        {
            throw new InputException("--test-data names the test examples; --test and --split, which part --data in "
                + "three, have no meaning beside it. Leave them out.");
        }
        var result = preset with
        {
            Rule = parsed.GetValue(split) switch
            {
                "stratified" => SplitRule.Stratified,
                "random" => SplitRule.Random,
                "tutorial" => SplitRule.Tutorial,
                _ => preset.Rule
            },
            Validation = parsed.GetValue(validation) ?? preset.Validation,
            Test = parsed.GetValue(test) ?? preset.Test,
        };
        result.Check();
        return result;
    }

    /// <summary>The model that every run starts from.</summary>
    public ModelSource Source(ParseResult parsed) => start.Source(parsed)!;

    /// <summary>How qa-lora is to quantise the model; null where it is quantised already.</summary>
    public QuantizationSettings? Quantization(ParseResult parsed) => start.Quantization(parsed, Training);

    /// <summary>
    /// Opens the device, loads the model, and reads, parts and encodes the texts.
    /// </summary>
    public (IBackend Backend, ExperimentInput Input) Load(ParseResult parsed, TrainingOptions options,
        SplitOptions split)
    {
        start.Check(parsed, options, Training);
        var backend = device.Open(parsed);
        var testPath = parsed.GetValue(testData);
        var (first, dataset) = start.Load(parsed, options, backend, half: testPath is null ? null : DatasetSplit.Train,
            testPath is null ? Math.Min(split.Validation, split.Test) : split.Validation);
        var data = testPath is null ? ExperimentData.Prepare(dataset, first, split, options)
            : ExperimentData.Prepare(dataset, start.LoadTest(parsed, testPath, dataset.Labels), first, split, options);
        if (data.LeftOut > 0)
        {
            Console.Error.WriteLine(
                $"left out of --data because they stand among the test examples: {Text.Count(data.LeftOut)}");
        }
        Console.Error.WriteLine($"{Text.Count(data.Train.Examples.Count)} texts ({Text.Count(data.Train.Tokens)} "
            + $"tokens{Text.Cut(data.Train.Truncated)}) to train, {Text.Count(data.Validation.Examples.Count)} to "
            + $"validate{Text.Cut(data.Validation.Truncated)}, {Text.Count(data.Test.Examples.Count)} to test"
            + $"{Text.Cut(data.Test.Truncated)}; {backend.Description}");
        DataFindings.SayRepeated(data.RepeatedInValidation, data.Validation.Examples.Count, "validation");
        DataFindings.SayRepeated(data.RepeatedInTest, data.Test.Examples.Count, "test");
        var source = Source(parsed);
        return (backend, new ExperimentInput(seed =>
            new TextClassifier(source.Load(seed, dataset.Labels.Names, start.NewHead(parsed), backend,
                dataset.IsMultiLabel)), first, data));
    }

    /// <summary>
    /// Says on standard error every option by which an experiment differs from what it is named
    /// after.
    /// </summary>
    /// <param name="name">"--preset tutorial"</param>
    /// <param name="before">Its options by name.</param>
    /// <param name="after">Those that hold.</param>
    public static void SayOverrides(string name, Dictionary<string, object?> before, Dictionary<string, object?> after)
    {
        foreach (var (option, value) in after)
        {
            var (was, now) = (ResolvedOptions.Text(before.GetValueOrDefault(option)), ResolvedOptions.Text(value));
            if (was != now)
            {
                Console.Error.WriteLine($"{name} has --{option} {was}; --{option} {now} holds.");
            }
        }
    }

    /// <summary>Says what Ctrl-C left.</summary>
    /// <returns>The exit code, 130.</returns>
    public int SayHowToResume(ParseResult parsed)
    {
        Console.WriteLine($"Stopped; what is done is in {Folder(parsed)}. To resume:");
        Console.WriteLine($"  {Saving.CommandToResume(parsed)}");
        return 130;
    }
}
