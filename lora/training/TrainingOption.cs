using LoraScratch.Engine;

namespace LoraScratch.Lora.Training;

/// <summary>
/// One option of a training run: its name, what it means, which values it takes and where
/// <see cref="TrainingOptions"/> holds it. The command line's parser and its help, the check of the
/// value, the identity of a run that is resumed and training.json are all made of this, so that a
/// new option is a property and an entry of <see cref="TrainingOptionList"/>.
/// </summary>
/// <param name="Name">As it is typed and stored: "batch-size".</param>
/// <param name="Description">For the help of the command line.</param>
/// <param name="Value">
/// The value that holds, a default filled in; null where the model or the data decide.
/// </param>
internal abstract record TrainingOption(string Name, string Description, Func<TrainingOptions, object?> Value)
{
    private static readonly IReadOnlyList<TrainingMethod> Every = Enum.GetValues<TrainingMethod>();

    /// <summary>
    /// The property of <see cref="TrainingOptions"/>, which messages name: "BatchSize".
    /// </summary>
    public string Property { get; init; } = string.Concat(Name.Split('-').Select(part =>
        char.ToUpperInvariant(part[0]) + part[1..]));

    /// <summary>The methods for which it has a meaning.</summary>
    public IReadOnlyList<TrainingMethod> Methods { get; init; } = Every;

    /// <summary>Which values make sense; null: all of its type.</summary>
    public Func<TrainingOptions, bool>? Holds { get; init; }

    /// <summary>What <see cref="Holds"/> expects, for its message.</summary>
    public string Expected { get; init; } = "";

    /// <summary>Whether it may be left open, so that there is no default to show.</summary>
    public bool IsOptional { get; init; }

    /// <summary>
    /// Whether the result depends on it. One that changes time and memory alone is no part of a
    /// run's identity: the run may be resumed with another value.
    /// </summary>
    public bool DecidesResult { get; init; } = true;

    /// <summary>
    /// What held in runs that were saved before there was this option; null: it was always there.
    /// </summary>
    public string? Formerly { get; init; }

    /// <summary>Whether pretraining decides it itself.</summary>
    public bool IsFixedInPretraining { get; init; }

    /// <summary>Refuses a value that makes no sense.</summary>
    /// <exception cref="InputException">The message says what was expected.</exception>
    public void Check(TrainingOptions options)
    {
        if (Holds?.Invoke(options) == false)
        {
            throw new InputException(
                FormattableString.Invariant($"Option '{Property}' is {Value(options)}; expected {Expected}."));
        }
    }
}

/// <summary>An option that is a whole number.</summary>
internal sealed record WholeNumberOption(string Name, string Description, Func<TrainingOptions, object?> Value,
    Func<TrainingOptions, int, TrainingOptions> With) : TrainingOption(Name, Description, Value);

/// <summary>An option that is a number.</summary>
internal sealed record NumberOption(string Name, string Description, Func<TrainingOptions, object?> Value,
    Func<TrainingOptions, double, TrainingOptions> With) : TrainingOption(Name, Description, Value);

/// <summary>An option that is one of some words, the default first.</summary>
internal sealed record ChoiceOption(string Name, string Description, IReadOnlyList<string> Words,
    Func<TrainingOptions, object?> Value, Func<TrainingOptions, string, TrainingOptions> With)
    : TrainingOption(Name, Description, Value)
{
    /// <summary>A choice among the values of an enumeration.</summary>
    public static ChoiceOption Of<T>(string name, string description, Func<T, string> word,
        Func<TrainingOptions, T> value, Func<TrainingOptions, T, TrainingOptions> with)
        where T : struct, Enum =>
        new(name, description, [.. Enum.GetValues<T>().Select(word)], options => word(value(options)),
            (options, text) => with(options, Enum.GetValues<T>().Single(each => word(each) == text)));

    /// <summary>"true" or "false".</summary>
    public static ChoiceOption Flag(string name, string description, Func<TrainingOptions, bool?> value,
        Func<TrainingOptions, bool, TrainingOptions> with) =>
        new(name, description, ["true", "false"], options => value(options),
            (options, text) => with(options, text == "true"));
}

/// <summary>An option that is on where it is given, with or without "true".</summary>
internal sealed record SwitchOption(string Name, string Description, Func<TrainingOptions, object?> Value,
    Func<TrainingOptions, bool, TrainingOptions> With) : TrainingOption(Name, Description, Value);

/// <summary>An option that is a seed: a whole number from 0 to 2⁶⁴ − 1.</summary>
internal sealed record SeedOption(string Name, string Description, Func<TrainingOptions, object?> Value,
    Func<TrainingOptions, ulong, TrainingOptions> With) : TrainingOption(Name, Description, Value);

/// <summary>An option that is a text with rules of its own.</summary>
/// <param name="HelpName">What stands for it in a help.</param>
internal sealed record TextOption(string Name, string Description, string HelpName,
    Func<TrainingOptions, object?> Value, Func<TrainingOptions, string, TrainingOptions> With)
    : TrainingOption(Name, Description, Value);

/// <summary>An option that is several names, separated by commas.</summary>
/// <param name="HelpName">What stands for them in a help.</param>
internal sealed record NamesOption(string Name, string Description, string HelpName,
    Func<TrainingOptions, object?> Value, Func<TrainingOptions, IReadOnlyList<string>, TrainingOptions> With)
    : TrainingOption(Name, Description, Value);
