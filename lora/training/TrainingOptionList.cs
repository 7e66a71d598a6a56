using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Every option of a training run, in the order of --help. How a float model is quantised for
/// QA-LoRA is said by <see cref="Quantization.QuantizationSettings"/>, which other commands share.
/// </summary>
internal static class TrainingOptionList
{
    private static readonly TrainingMethod[] LowRank = [TrainingMethod.LoRA, TrainingMethod.QALoRA];

    /// <summary>What is trained.</summary>
    public static TrainingOption Method { get; } = ChoiceOption.Of("method",
        "What is trained: low-rank updates of the targets, the same on quantised weights (a float model is quantised "
            + "first, and the result is the merged model), the last two layers alone (DistilBERT's pre_classifier and "
            + "classifier, BERT's pooler and classifier, the two of other heads), or every parameter.",
        TrainingOptions.NameOf, options => options.Method, (options, method) => options with { Method = method });

    /// <summary>The largest learning rate.</summary>
    public static TrainingOption LearningRate { get; } = new NumberOption("lr",
        "Largest learning rate. [default: 5e-4 lora and qa-lora, 1e-3 last-layers, 5e-5 full; 1e-2 with sgd]",
        options => options.ResolvedLearningRate, (options, rate) => options with { LearningRate = (float)rate })
    {
        Property = nameof(TrainingOptions.LearningRate),
        IsOptional = true,
        Holds = options => options.ResolvedLearningRate > 0 && float.IsFinite(options.ResolvedLearningRate),
        Expected = "a number above 0",
    };

    /// <summary>The share of the data that is held out.</summary>
    public static TrainingOption Validation { get; } = new NumberOption("validation",
        "Share of the examples that is held out to choose the best state; 0: none, and the last state is kept.",
        options => options.Validation, (options, share) => options with { Validation = share })
    {
        Holds = options => options.Validation is >= 0 and < 1,
        Expected = "a share in [0, 1)",
    };

    /// <summary>Where longer texts are cut.</summary>
    public static TrainingOption MaxLength { get; } = new WholeNumberOption("max-length", "Tokens of a text at most, "
        + "[CLS] and [SEP] included. [default: what the tokenizer's files say, or 512; at most the model's positions]",
        options => options.MaxLength, (options, tokens) => options with { MaxLength = tokens })
    {
        IsOptional = true,
        Holds = options => options.MaxLength is null or >= 3,
        Expected = "at least 3: [CLS], one token, [SEP]",
    };

    /// <summary>The rank of the updates.</summary>
    public static TrainingOption Rank { get; } = new WholeNumberOption("rank", "Rank r of the update A·B.",
        options => options.Lora.Rank,
        (options, rank) => options with { Lora = options.Lora with { Rank = rank } })
    {
        Property = OfLora(nameof(LoRASettings.Rank)),
        Methods = LowRank,
        Holds = options => options.Lora.Rank >= 1,
        Expected = "at least 1",
    };

    /// <summary>The numerator of the scaling.</summary>
    public static TrainingOption Alpha { get; } = new NumberOption("alpha", "alpha of the scaling.",
        options => options.Lora.Alpha,
        (options, alpha) => options with { Lora = options.Lora with { Alpha = alpha } })
    {
        Property = OfLora(nameof(LoRASettings.Alpha)),
        Methods = LowRank,
        Holds = options => options.Lora.Alpha > 0 && double.IsFinite(options.Lora.Alpha),
        Expected = "a number above 0: with 0 the adapter would never change anything",
    };

    /// <summary>The layers that are adapted.</summary>
    public static TrainingOption Targets { get; } = new NamesOption("targets",
        $"Layers that get LoRA, separated by commas: {string.Join(", ", LoRATargets.Names)}. [default: "
            + $"{string.Join(',', LoRATargets.Default)}; of the built-in base model "
            + $"{string.Join(',', LoRATargets.OfBuiltIn)}]", "NAMES",
        options => options.Targets is null ? null : string.Join(',', options.Targets),
        (options, names) => options with { Targets = [.. names.Where(name => name.Length > 0)] })
    {
        IsOptional = true,
        Methods = LowRank,
    };

    /// <summary>The encoder's layers in which the targets are adapted.</summary>
    public static TrainingOption Layers { get; } = new NamesOption("layers",
        "The encoder's layers in which the targets get LoRA: their numbers from 0, separated by commas (4,5), or "
            + "last:2 for the last two; PEFT's layers_to_transform. What lies below the first of them costs no "
            + "backward pass. [default: all]", "N,N",
        options => options.Layers.Count == 0 ? null : string.Join(',', options.Layers),
        (options, names) => options with { Layers = names })
    {
        IsOptional = true,
        Methods = LowRank,
        Holds = options => BlockNumbers.AreWritten(options.Layers),
        Expected = "numbers of layers from 0, each once, such as 4,5, or the last ones, such as last:2",
    };

    /// <summary>Whether dropout runs below the first layer that is trained.</summary>
    public static TrainingOption FrozenDropout { get; } = ChoiceOption.Flag("frozen-dropout",
        "Whether dropout runs, in training, in the layers below the first that is trained. false: their output is "
            + "computed once for each example and kept, and later epochs cost what is trained alone.",
        options => options.FrozenDropout, (options, holds) => options with { FrozenDropout = holds }) with
    {
        Methods = [TrainingMethod.LoRA, TrainingMethod.QALoRA, TrainingMethod.LastLayers],
        IsFixedInPretraining = true,
    };

    /// <summary>What the output of frozen layers is rounded to.</summary>
    public static TrainingOption FrozenPrecision { get; } = ChoiceOption.Of("frozen-precision",
        "What the output of frozen layers without dropout is rounded to: float16 takes half of float32's bytes, in "
            + "memory and on disk.",
        (FrozenPrecision precision) => precision.ToString().ToLowerInvariant(), options => options.FrozenPrecision,
        (options, precision) => options with { FrozenPrecision = precision }) with
    {
        Methods = FrozenDropout.Methods,
        IsFixedInPretraining = true,
        Formerly = "float32",
    };

    /// <summary>Whether the encoder's layers are computed again in the backward pass.</summary>
    public static TrainingOption Recompute { get; } = new SwitchOption("recompute",
        "Holds of each of the encoder's layers its input alone, and computes the layer again in the backward pass "
            + "(activation checkpointing): less memory, more time, the same result bit for bit.",
        options => options.Recompute, (options, holds) => options with { Recompute = holds })
    {
        Methods = [TrainingMethod.LoRA, TrainingMethod.QALoRA, TrainingMethod.Full],
        DecidesResult = false,
    };

    /// <summary>The factor on the sums of groups.</summary>
    public static TrainingOption Pooling { get; } = ChoiceOption.Of("pooling",
        "With qa-lora, the factor on the sums of groups: 1/g as the authors' code, 1 as the paper, groups/g as PEFT.",
        LoRASettings.Name, options => options.Lora.Pooling,
        (options, pooling) => options with { Lora = options.Lora with { Pooling = pooling } })
        with
    { Methods = [TrainingMethod.QALoRA], Property = OfLora(nameof(LoRASettings.Pooling)) };

    /// <summary>What shapes a new adapter; one that is trained further has it decided.</summary>
    public static IReadOnlyList<TrainingOption> OfAdapters { get; } =
    [
        Rank,
        Alpha,
        ChoiceOption.Of("init", "Initial values of A: Kaiming-uniform with the layer's input as fan-in, the same with "
            + "the rank as fan-in (the tutorial's literal call), or N(0, 1/rank).",
            LoRASettings.Name, options => options.Lora.Initialization,
            (options, values) => options with { Lora = options.Lora with { Initialization = values } })
            with { Methods = [TrainingMethod.LoRA], Property = OfLora(nameof(LoRASettings.Initialization)) },
        ChoiceOption.Of("scaling", "The factor on x·A·B.", LoRASettings.Name, options => options.Lora.ScalingRule,
            (options, rule) => options with { Lora = options.Lora with { ScalingRule = rule } })
            with { Methods = LowRank, Property = OfLora(nameof(LoRASettings.ScalingRule)) },
        new NumberOption("dropout", "Probability of dropping an element of the input of A, in training.",
            options => options.Lora.Dropout,
            (options, rate) => options with { Lora = options.Lora with { Dropout = (float)rate } })
        {
            Property = OfLora(nameof(LoRASettings.Dropout)),
            Methods = LowRank,
            Holds = options => options.Lora.Dropout is >= 0 and < 1,
            Expected = "a probability in [0, 1)",
        },
        ChoiceOption.Of("bias", "Which biases of the base are trained beside A and B: none, those of the targets, or "
            + "all.", LoRASettings.Name, options => options.Lora.Bias,
            (options, bias) => options with { Lora = options.Lora with { Bias = bias } })
            with { Methods = LowRank, Property = OfLora(nameof(LoRASettings.Bias)) },
        Targets,
        Layers,
        Pooling,
    ];

    /// <summary>How a run goes, whatever it trains.</summary>
    public static IReadOnlyList<TrainingOption> OfRuns { get; } =
    [
        ChoiceOption.Flag("train-head", "Whether the classification head is trained beside LoRA. [default: "
            + "true, unless the targets have head]", options => options.TrainHead,
            (options, holds) => options with { TrainHead = holds }) with
        { IsOptional = true, IsFixedInPretraining = true },
        FrozenDropout,
        FrozenPrecision,
        Recompute,
        ChoiceOption.Of("optimizer", "The rule for steps.", (OptimizerKind kind) => TrainingOptions.NameOf(kind),
            options => options.Optimizer, (options, rule) => options with { Optimizer = rule })
            with { IsFixedInPretraining = true },
        LearningRate,
        new NumberOption("weight-decay", "Weight decay. [default: 0.01 with adamw, else 0]",
            options => options.ResolvedWeightDecay, (options, decay) => options with { WeightDecay = (float)decay })
        {
            IsOptional = true,
            Holds = options => options.ResolvedWeightDecay >= 0 && float.IsFinite(options.ResolvedWeightDecay),
            Expected = "at least 0",
        },
        new NumberOption("momentum", "Momentum of sgd.", options => options.Momentum,
            (options, momentum) => options with { Momentum = (float)momentum })
        {
            Holds = options => options.Momentum is >= 0 and < 1,
            Expected = "a number in [0, 1)",
            IsFixedInPretraining = true,
        },
        new NumberOption("clip", "Largest norm of all gradients together; 0: no clipping.", options => options.Clip,
            (options, norm) => options with { Clip = (float)norm })
        {
            Holds = options => options.Clip >= 0 && float.IsFinite(options.Clip),
            Expected = "a norm above 0, or 0 for no clipping",
        },
        new NumberOption("warmup", "Steps over which the learning rate rises from 0; below 1: that share of all "
            + "steps.", options => options.Warmup, (options, steps) => options with { Warmup = steps })
        {
            Holds = options => options.Warmup >= 0 && double.IsFinite(options.Warmup)
                && (options.Warmup < 1 || options.Warmup == Math.Floor(options.Warmup)),
            Expected = "a whole number of steps, or below 1 a share of all steps",
        },
        ChoiceOption.Of("schedule", "The learning rate after the warm-up: falls to 0 in a straight line, or stays.",
            (ScheduleKind kind) => kind.ToString().ToLowerInvariant(), options => options.Schedule,
            (options, schedule) => options with { Schedule = schedule })
            with { IsFixedInPretraining = true },
        AtLeastOne("accumulate", "Batches whose gradients are added up for one step.", options => options.Accumulate,
            (options, batches) => options with { Accumulate = batches }),
        AtLeastOne("epochs", "Passes over the data.", options => options.Epochs,
            (options, epochs) => options with { Epochs = epochs }),
        AtLeastOne("batch-size", "Examples of a batch.", options => options.BatchSize,
            (options, size) => options with { BatchSize = size }),
        AtLeastOne("micro-batch", "Examples of a micro-batch, a part of a batch that one of several processes "
            + "computes: the result depends on this number, and not on how many processes mpirun starts. "
            + "[default: none; with several processes an eighth of a batch]", options => options.MicroBatch,
            (options, size) => options with { MicroBatch = size }) with
        { IsOptional = true, Formerly = ResolvedOptions.Text(null) },
        MaxLength,
        AtLeastOne("max-steps", "Ends the training after so many steps. [default: no limit]",
            options => options.MaxSteps, (options, steps) => options with { MaxSteps = steps }) with
        { IsOptional = true },
        AtLeastOne("limit", "Uses so many examples only, balanced over the classes. [default: all]",
            options => options.Limit, (options, examples) => options with { Limit = examples }) with
        { IsOptional = true },
        Validation,
        .. ValidationOptionList.All,
        new WholeNumberOption("validate-every", "Validates after every so many steps too; 0: at the ends of the "
            + "epochs only.", options => options.ValidateEvery,
            (options, steps) => options with { ValidateEvery = steps })
        {
            Holds = options => options.ValidateEvery >= 0,
            Expected = "a number of steps, or 0 for the ends of the epochs only",
        },
        new SeedOption("seed", "Names every random number of the run: the same seed gives the same weights.",
            options => options.Seed, (options, seed) => options with { Seed = seed }),
        ChoiceOption.Flag("shuffle", "Whether every epoch has its own order of the examples.",
            options => options.Shuffle, (options, holds) => options with { Shuffle = holds })
            with { IsFixedInPretraining = true },
    ];

    /// <summary>The names of those that change time and memory, and no result.</summary>
    public static IReadOnlyList<string> WithoutResult { get; } =
        [.. OfRuns.Where(option => !option.DecidesResult).Select(option => option.Name)];

    /// <summary>
    /// What held for an option in runs that were saved before there was such an option.
    /// </summary>
    public static string? Formerly(string name) =>
        OfRuns.FirstOrDefault(option => option.Name == name)?.Formerly;

    /// <summary>Those of them that pretraining has.</summary>
    public static IEnumerable<TrainingOption> OfPretraining => OfRuns.Where(option => !option.IsFixedInPretraining);

    private static string OfLora(string property) => $"{nameof(TrainingOptions.Lora)}.{property}";

    private static WholeNumberOption AtLeastOne(string name, string description, Func<TrainingOptions, int?> value,
        Func<TrainingOptions, int, TrainingOptions> with) => new(name, description, options => value(options), with)
        {
            Holds = options => value(options) is null or >= 1,
            Expected = "at least 1",
        };
}
