using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// The options of a training run that decide what is computed, as <see cref="TrainingOptionList"/>
/// has them, read into <see cref="TrainingOptions"/>.
/// </summary>
internal sealed class TrainingOptionsParser
{
    private readonly IReadOnlyList<ParsedOption> all;
    private readonly QuantizationOptions quantization = new("--quantization");
    private readonly Option<long?> cacheMemory = OptionKinds.OptionalBytes("--cache-memory",
        "Memory for the output of frozen layers, where that is kept; what is more lies in a temporary file. 0: "
            + "nothing is kept. [default: a quarter of the memory]");
    private readonly TrainingOptions defaults;

    /// <summary>The options of fine-tuning.</summary>
    public TrainingOptionsParser()
        : this([TrainingOptionList.Method, .. TrainingOptionList.OfAdapters, .. TrainingOptionList.OfRuns], new())
    {
    }

    /// <summary>Some options, with defaults of their own.</summary>
    /// <param name="options">Which.</param>
    /// <param name="defaults">What holds for those that are not typed.</param>
    /// <param name="descriptions">For --help, where the list's own do not fit, by name.</param>
    public TrainingOptionsParser(IEnumerable<TrainingOption> options, TrainingOptions defaults,
        IReadOnlyDictionary<string, string>? descriptions = null)
    {
        this.defaults = defaults;
        all = [.. options.Select(option => ParsedOption.From(
            descriptions?.GetValueOrDefault(option.Name) is { } text
                ? option with { Description = text, IsOptional = option.Value(defaults) is null } : option, defaults))];
    }

    /// <summary>
    /// What a comparison has several of, and how the examples are parted, for which an experiment
    /// has options of its own.
    /// </summary>
    public IReadOnlyList<Option> DecidedByComparison => OptionsOf(TrainingOptionList.Method,
        TrainingOptionList.LearningRate, TrainingOptionList.Validation, ValidationOptionList.Split);

    /// <summary>
    /// What a sweep has several of, what is QA-LoRA's alone, and how the examples are parted.
    /// </summary>
    public IReadOnlyList<Option> DecidedBySweep => [.. OptionsOf(TrainingOptionList.Method, TrainingOptionList.Rank,
        TrainingOptionList.Alpha, TrainingOptionList.Targets, TrainingOptionList.Pooling,
        TrainingOptionList.Validation, ValidationOptionList.Split), .. quantization.All];

    private IReadOnlyList<Option> OfAdapters => OptionsOf([.. TrainingOptionList.OfAdapters]);

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="decided">Options to leave out: the command decides them.</param>
    public void AddTo(Command command, IReadOnlyList<Option>? decided = null)
    {
        foreach (var option in All().Except(decided ?? []))
        {
            command.Add(option);
        }
    }

    /// <summary>The options that were typed, by name and with the words typed.</summary>
    public IEnumerable<(string Name, string Value)> Typed(ParseResult parsed) =>
        All().Select(parsed.GetResult).Where(result => result is { Implicit: false })
        .Select(result => (result!.Option.Name, string.Join(' ', result.Tokens.Select(token => token.Value))));

    /// <summary>What was typed, with defaults for the rest.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="preset">Gives what was not typed; null: the options' own defaults.</param>
    public TrainingOptions Parse(ParseResult parsed, TrainingOptions? preset = null) =>
        all.Where(option => IsGiven(parsed, option.Option))
            .Aggregate((preset ?? defaults) with { CacheMemory = parsed.GetValue(cacheMemory) },
                (options, option) => option.Read(parsed, options));

    /// <summary>How --bits, --group-size and --quantization want a float model quantised.</summary>
    public QuantizationSettings Quantization(ParseResult parsed) => quantization.Parse(parsed);

    /// <summary>Refuses options that have no effect with any of the methods.</summary>
    /// <exception cref="InputException">One of them is given.</exception>
    public void RequireEffect(ParseResult parsed, params IReadOnlyList<TrainingMethod> methods)
    {
        var rules = all.Select(option => (option.Option, option.Of.Methods))
            .Concat(quantization.All.Select(option => (option, TrainingOptionList.Pooling.Methods)));
        foreach (var (option, of) in rules)
        {
            if (!methods.Any(of.Contains) && IsGiven(parsed, option))
            {
                var names = string.Join(" and ", of.Select(TrainingOptions.NameOf));
                throw new InputException($"{option.Name} belongs to --method {names} and has no effect with "
                    + $"{string.Join(", ", methods.Select(TrainingOptions.NameOf))}. Leave it out, or take {names}.");
            }
        }
    }

    /// <summary>Refuses options that an adapter to resume from has decided already.</summary>
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

    /// <summary>
    /// In the order of --help; how a model is quantised stands behind pooling, and where frozen
    /// layers' output lies behind frozen-dropout.
    /// </summary>
    private IEnumerable<Option> All() => all.SelectMany(option => option.Of.Name == TrainingOptionList.Pooling.Name
        ? (IEnumerable<Option>)[option.Option, .. quantization.All]
        : option.Of.Name == TrainingOptionList.FrozenDropout.Name ? [option.Option, cacheMemory] : [option.Option]);

    private IReadOnlyList<Option> OptionsOf(params IReadOnlyList<TrainingOption> list) =>
        [.. all.Where(option => list.Any(other => other.Name == option.Of.Name)).Select(option => option.Option)];

    private static Option? FirstGiven(ParseResult parsed, IReadOnlyList<Option> options) =>
        options.FirstOrDefault(option => IsGiven(parsed, option));

    private static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>An option of a training run as the command line has it.</summary>
    /// <param name="Of">What it is.</param>
    /// <param name="Option">How it is typed.</param>
    /// <param name="Read">Puts the typed value into the options of a run.</param>
    private sealed record ParsedOption(TrainingOption Of, Option Option,
        Func<ParseResult, TrainingOptions, TrainingOptions> Read)
    {
        public static ParsedOption From(TrainingOption option, TrainingOptions defaults)
        {
            var (name, description) = ($"--{option.Name}", option.Description);
            var value = option.IsOptional ? null : option.Value(defaults);
            switch (option)
            {
                case WholeNumberOption whole when value is int otherwise:
                    return Of(OptionKinds.Whole(name, description, otherwise), whole.With);
                case WholeNumberOption whole:
                    return Of(OptionKinds.OptionalWhole(name, description),
                        (options, number) => whole.With(options, number!.Value));
                case NumberOption number when value is not null:
                    // help must not show a float with the digits of its rounding
                    return Of(OptionKinds.Number(name, description, (double)Convert.ToDecimal(value)), number.With);
                case NumberOption number:
                    return Of(OptionKinds.OptionalNumber(name, description),
                        (options, given) => number.With(options, given!.Value));
                case ChoiceOption choice:
                    return Of(option.IsOptional ? OptionKinds.OptionalChoice(name, description, [.. choice.Words])
                        : OptionKinds.Choice(name, description, [.. choice.Words]), choice.With);
                case SwitchOption flag:
                    return Of(new Option<bool>(name) { Description = description }, flag.With);
                case SeedOption seed:
                    return Of(OptionKinds.Seed(description, (ulong)value!), seed.With);
                case TextOption text:
                    return Of(new Option<string?>(name) { Description = description, HelpName = text.HelpName },
                        (options, given) => text.With(options, given!));
                case NamesOption names:
                    return Of(new Option<string?>(name) { Description = description, HelpName = names.HelpName },
                        (options, text) => names.With(options, [.. text!.Split(',', StringSplitOptions.TrimEntries)]));
                default:
                    throw new NotSupportedException($"{option.Name}: no way to parse a {option.GetType().Name}.");
            }

            ParsedOption Of<T>(Option<T> typed, Func<TrainingOptions, T, TrainingOptions> with) =>
                new(option, typed, (parsed, options) => with(options, parsed.GetValue(typed)!));
        }
    }
}
