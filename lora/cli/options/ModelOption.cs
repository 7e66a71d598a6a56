using System.CommandLine;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>
/// The option --model: which model a command works with. Where it is not given, that is the
/// built-in base model.
/// </summary>
/// <param name="what">What the folder is to the command.</param>
/// <param name="orElse">What is taken where it is not given.</param>
internal sealed class ModelOption(string what = "A model folder: config.json, model.safetensors and a tokenizer",
    string orElse = PretrainedBase.Description)
{
    private readonly Option<string> option = OptionKinds.Path("--model", HubFolders.HelpName,
        $"{what}; or its name on the Hugging Face hub. [default: {orElse}]");

    /// <summary>What it and other options of the command name on the hub.</summary>
    public HubFolders Hub { get; } = new();

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command) => command.Add(option);

    /// <summary>Whether it was typed.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(option) is not null;

    /// <summary>The model that is meant.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="adapters">
    /// Adapters on it; where no model is typed, it is the one on the hub that they name.
    /// </param>
    public ModelSource Source(ParseResult parsed, params IReadOnlyList<string> adapters) =>
        parsed.GetValue(option) is { } given ? Hub.Model(given) : Hub.BaseOf(adapters);

    /// <summary>The words with which another command names the same model.</summary>
    public static string[] Words(ModelSource source) => source.Path is null ? []
        : ["--model", source.Revision is { } revision ? $"{source.Reference}@{revision}" : source.Reference];
}
