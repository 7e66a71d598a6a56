using System.CommandLine;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>
/// The option --model: which model a command works with. Where it is not given, that is the
/// built-in base model.
/// </summary>
/// <param name="what">What the folder is to the command.</param>
internal sealed class ModelOption(string what = "A model folder: config.json, model.safetensors and a tokenizer.")
{
    private readonly Option<string> option =
        OptionKinds.Path("--model", "DIR", $"{what} [default: {PretrainedBase.Description}]");

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command) => command.Add(option);

    /// <summary>Whether it was typed.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(option) is not null;

    /// <summary>The model that is meant.</summary>
    public ModelSource Source(ParseResult parsed) =>
        parsed.GetValue(option) is { } folder ? ModelSource.Folder(folder) : ModelSource.BuiltIn;

    /// <summary>The words with which another command names the same model.</summary>
    public static string[] Words(ModelSource source) => source.Path is { } folder ? ["--model", folder] : [];
}
