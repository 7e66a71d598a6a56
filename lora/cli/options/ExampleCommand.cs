using System.CommandLine;

namespace LoraScratch.Cli;

/// <summary>A command whose help ends with examples.</summary>
/// <param name="name">As typed.</param>
/// <param name="description">What it does.</param>
/// <param name="examples">Whole command lines.</param>
internal sealed class ExampleCommand(string name, string description, params string[] examples)
    : Command(name, description)
{
    public IReadOnlyList<string> Examples { get; } = examples;
}
