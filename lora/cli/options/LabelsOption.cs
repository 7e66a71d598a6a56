using System.CommandLine;

namespace LoraScratch.Cli;

/// <summary>The option --labels: how the classes are called.</summary>
internal sealed class LabelsOption
{
    private readonly Option<string[]?> option = OptionKinds.OptionalNames("--labels", "Names of the classes in the "
        + "order of the model's outputs, separated by commas: for an adapter of another program, say, which has so "
        + "many classes but does not say how they are called.");

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command) => command.Add(option);

    /// <summary>The names; null where none are given.</summary>
    public string[]? Names(ParseResult parsed) =>
        parsed.GetValue(option) is { Length: > 0 } names ? names : null;
}
