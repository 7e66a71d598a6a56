using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// The options of 'lora train' that decide what is computed, as a <see cref="TrainingOptions"/>.
/// </summary>
internal sealed class TrainingOptionsParser
{
    private static readonly TrainingOptions Defaults = new();

    private readonly Option<string> method = OptionKinds.Choice("--method", "What is trained: low-rank updates of "
        + "the targets, the same on quantised weights (a float model is quantised first, and the result is the "
        + "merged model), pre_classifier and classifier alone, or every parameter.", "lora", "qa-lora", "last-layers",
        "full");
    private readonly Option<int> rank = OptionKinds.Whole("--rank", "Rank r of the update A·B.", Defaults.Lora.Rank);
    private readonly Option<double> alpha = OptionKinds.Number("--alpha", "alpha of the scaling.", Defaults.Lora.Alpha);
    private readonly Option<string> init = OptionKinds.Choice("--init", "Initial values of A: Kaiming-uniform with "
        + "the layer's input as fan-in, the same with the rank as fan-in (the tutorial's literal call), or N(0, "
        + "1/rank).", [.. Enum.GetValues<LoRAInitialization>().Select(LoRASettings.Name)]);
    private readonly Option<string> scaling =
        OptionKinds.Choice("--scaling", "The factor on x·A·B.",
            [.. Enum.GetValues<LoRAScaling>().Select(LoRASettings.Name)]);
    private readonly Option<double> dropout = OptionKinds.Number("--dropout", "Probability of dropping an element of "
        + "the input of A, in training.", Defaults.Lora.Dropout);
    private readonly Option<string> bias = OptionKinds.Choice("--bias", "Which biases of the base are trained beside "
        + "A and B: none, those of the targets, or all.", [.. Enum.GetValues<LoRABias>().Select(LoRASettings.Name)]);
    private readonly Option<string> pooling = OptionKinds.Choice("--pooling", "With qa-lora, the factor on the sums "
        + "of groups: 1/g as the authors' code, 1 as the paper, groups/g as PEFT.",
        [.. Enum.GetValues<QALoRAPooling>().Select(LoRASettings.Name)]);
    private readonly QuantizationOptions quantization = new("--quantization");
    private readonly Option<string> targets = new("--targets")
    {
        Description = $"Layers that get LoRA, separated by commas: {string.Join(", ", LoRATargets.Names)}. With "
            + "embeddings, the table of word vectors gets an update too: where there are thousands of texts, the "
            + "built-in base model needs it.",
        DefaultValueFactory = _ => string.Join(',', Defaults.Targets),
        HelpName = "NAMES",
    };

    private readonly Option<string> trainHead = OptionKinds.OptionalChoice("--train-head", "Whether pre_classifier "
        + "and classifier are trained beside LoRA. [default: true, unless --targets has head]", "true", "false");
    private readonly Option<string> optimizer =
        OptionKinds.Choice("--optimizer", "The rule for steps.", "adamw", "adam", "sgd");
    private readonly Option<double?> learningRate = OptionKinds.OptionalNumber("--lr", "Largest learning rate. "
        + "[default: 5e-4 lora and qa-lora, 1e-3 last-layers, 5e-5 full; 1e-2 with sgd]");
    private readonly Option<double?> weightDecay =
        OptionKinds.OptionalNumber("--weight-decay", "Weight decay. [default: 0.01 with adamw, else 0]");
    private readonly Option<double> momentum = OptionKinds.Number("--momentum", "Momentum of sgd.", Defaults.Momentum);
    private readonly Option<double> clip =
        OptionKinds.Number("--clip", "Largest norm of all gradients together; 0: no clipping.", Defaults.Clip);
    private readonly Option<double> warmup = OptionKinds.Number("--warmup", "Steps over which the learning rate "
        + "rises from 0; below 1: that share of all steps.", Defaults.Warmup);
    private readonly Option<string> schedule = OptionKinds.Choice("--schedule", "The learning rate after the "
        + "warm-up: falls to 0 in a straight line, or stays.", "linear", "constant");
    private readonly Option<int> accumulate =
        OptionKinds.Whole("--accumulate", "Batches whose gradients are added up for one step.", Defaults.Accumulate);
    private readonly Option<int> epochs = OptionKinds.Whole("--epochs", "Passes over the data.", Defaults.Epochs);
    private readonly Option<int> batchSize = OptionKinds.Whole("--batch-size", "Texts of a batch.", Defaults.BatchSize);
    private readonly Option<int?> maxLength = OptionKinds.OptionalWhole("--max-length", "Tokens of a text at most, "
        + "[CLS] and [SEP] included. [default: 512, or as many as the model has positions]");
    private readonly Option<int?> maxSteps =
        OptionKinds.OptionalWhole("--max-steps", "Ends the training after so many steps. [default: no limit]");
    private readonly Option<int?> limit =
        OptionKinds.OptionalWhole("--limit", "Uses so many texts only, balanced over the classes. [default: all]");
    private readonly Option<double> validation = OptionKinds.Number("--validation", "Share of the texts laid aside "
        + "to choose the best state; 0: none, and the last state is kept.", Defaults.Validation);
    private readonly Option<int> validateEvery = OptionKinds.ValidateEvery();
    private readonly Option<ulong> seed =
        OptionKinds.Seed("Names every random number of the run: the same seed gives the same weights.", Defaults.Seed);
    private readonly Option<string> shuffle =
        OptionKinds.Choice("--shuffle", "Whether every epoch has its own order of the texts.", "true", "false");

    /// <summary>
    /// The options that shape a new adapter: an adapter that is trained further has them decided.
    /// </summary>
    private IReadOnlyList<Option> OfAdapters => [rank, alpha, init, scaling, dropout, bias, targets, pooling];

    /// <summary>
    /// What a comparison has several of, and the share for validation, for which an experiment has
    /// an option of its own.
    /// </summary>
    public IReadOnlyList<Option> DecidedByComparison => [method, learningRate, validation];

    /// <summary>
    /// What a sweep has several of, what is QA-LoRA's alone, and the share for validation.
    /// </summary>
    public IReadOnlyList<Option> DecidedBySweep =>
        [method, rank, alpha, targets, pooling, .. quantization.All, validation];

    private IReadOnlyList<Option> All =>
        [method, rank, alpha, init, scaling, dropout, bias, targets, pooling, .. quantization.All, trainHead, optimizer,
            learningRate, weightDecay, momentum, clip, warmup, schedule,
        accumulate, epochs, batchSize, maxLength, maxSteps, limit, validation, validateEvery, seed, shuffle];

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="decided">Options to leave out: the command decides them.</param>
    public void AddTo(Command command, IReadOnlyList<Option>? decided = null)
    {
        foreach (var option in All.Except(decided ?? []))
        {
            command.Add(option);
        }
    }

    /// <summary>The options that were typed, by name and with the words typed.</summary>
    public IEnumerable<(string Name, string Value)> Typed(ParseResult parsed) =>
        All.Select(parsed.GetResult).Where(result => result is { Implicit: false })
        .Select(result => (result!.Option.Name, string.Join(' ', result.Tokens.Select(token => token.Value))));

    /// <summary>What was typed, with defaults for the rest.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="preset">Gives what was not typed; null: the options' own defaults.</param>
    public TrainingOptions Parse(ParseResult parsed, TrainingOptions? preset = null)
    {
        var basis = preset ?? Defaults;
        return basis with
        {
            Method = Chosen(method, basis.Method,
                text => Enum.GetValues<TrainingMethod>().Single(value => ResolvedOptions.Name(value) == text)),
            Lora = new LoRASettings(Chosen(rank, basis.Lora.Rank, value => value),
                Chosen(alpha, basis.Lora.Alpha, value => value),
                    Chosen(scaling, basis.Lora.ScalingRule, text => LoRASettings.ParseScaling(text!)),
                Chosen(init, basis.Lora.Initialization, text => LoRASettings.ParseInitialization(text!)),
                    Chosen(dropout, basis.Lora.Dropout, value => (float)value))
            {
                Bias = Chosen(bias, basis.Lora.Bias, text => LoRASettings.ParseBias(text!)),
                Pooling = Chosen(pooling, basis.Lora.Pooling, text => LoRASettings.ParsePooling(text!)),
            },
            Targets = Chosen(targets, basis.Targets,
                text => text!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)),
            TrainHead = Chosen(trainHead, basis.TrainHead, text => text == "true"),
            Optimizer = Chosen(optimizer, basis.Optimizer,
                text => text switch
                {
                    "adamw" => OptimizerKind.AdamW,
                    "adam" => OptimizerKind.Adam,
                    _ =>
                    OptimizerKind.Sgd
                }),
            LearningRate = Chosen(learningRate, basis.LearningRate, value => (float?)value),
            WeightDecay = Chosen(weightDecay, basis.WeightDecay, value => (float?)value),
            Momentum = Chosen(momentum, basis.Momentum, value => (float)value),
            Clip = Chosen(clip, basis.Clip, value => (float)value),
            Warmup = Chosen(warmup, basis.Warmup, value => value),
            Schedule = Chosen(schedule, basis.Schedule,
                text => text == "linear" ? ScheduleKind.Linear : ScheduleKind.Constant),
            Accumulate = Chosen(accumulate, basis.Accumulate, value => value),
            Epochs = Chosen(epochs, basis.Epochs, value => value),
            BatchSize = Chosen(batchSize, basis.BatchSize, value => value),
            MaxLength = Chosen(maxLength, basis.MaxLength, value => value),
            MaxSteps = Chosen(maxSteps, basis.MaxSteps, value => value),
            Limit = Chosen(limit, basis.Limit, value => value),
            Validation = Chosen(validation, basis.Validation, value => value),
            ValidateEvery = Chosen(validateEvery, basis.ValidateEvery, value => value),
            Seed = Chosen(seed, basis.Seed, value => value),
            Shuffle = Chosen(shuffle, basis.Shuffle, text => text == "true"),
        };

        T Chosen<TOption, T>(Option<TOption> option, T otherwise, Func<TOption?, T> read) =>
            IsGiven(parsed, option) ? read(parsed.GetValue(option)) : otherwise;
    }

    /// <summary>Whether the targets were chosen and not left at their default.</summary>
    public bool HasTargets(ParseResult parsed) => IsGiven(parsed, targets);

    /// <summary>How --bits, --group-size and --quantization want a float model quantised.</summary>
    public QuantizationSettings Quantization(ParseResult parsed) => quantization.Parse(parsed);

    /// <summary>Refuses options that have no effect with any of the methods.</summary>
    /// <exception cref="InputException">One of them is given.</exception>
    public void RequireEffect(ParseResult parsed, params IReadOnlyList<TrainingMethod> methods)
    {
        (IReadOnlyList<Option> Options, TrainingMethod[] Of)[] rules =
        [
            (OfAdapters.Except([init, pooling]).ToList(), [TrainingMethod.LoRA, TrainingMethod.QALoRA]),
            ([init], [TrainingMethod.LoRA]),
            ([pooling, .. quantization.All], [TrainingMethod.QALoRA]),
        ];
        foreach (var (options, of) in rules)
        {
            if (!methods.Any(of.Contains) && FirstGiven(parsed, options) is { } without)
            {
                var names = string.Join(" and ", of.Select(ResolvedOptions.Name));
                throw new InputException($"{without.Name} belongs to --method {names} and has no effect with "
                    + $"{string.Join(", ", methods.Select(ResolvedOptions.Name))}. Leave it out, or take {names}.");
            }
        }
    }

    /// <summary>Refuses options that an adapter to go on with has decided already.</summary>
    /// <exception cref="InputException">One of them is given.</exception>
    public void RequireDefaultAdapter(ParseResult parsed)
    {
        if (FirstGiven(parsed, OfAdapters) is { } decided)
        {
            throw new InputException($"{decided.Name} is decided by the adapter of --init-adapter. Leave it out.");
        }
    }

    /// <summary>Refuses options that say how to quantise a model which is quantised.</summary>
    /// <exception cref="InputException">One of them is given.</exception>
    public void RequireDefaultQuantization(ParseResult parsed, string model)
    {
        if (FirstGiven(parsed, quantization.All) is { } decided)
        {
            throw new InputException($"{decided.Name} says how to quantise a float model, and {model} is quantised "
                + "already. Leave it out, or name the model that it was made of.");
        }
    }

    private static Option? FirstGiven(ParseResult parsed, IReadOnlyList<Option> options) =>
        options.FirstOrDefault(option => IsGiven(parsed, option));

    private static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };
}
