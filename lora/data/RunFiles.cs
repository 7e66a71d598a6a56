using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// The files that a training run leaves beside the weights: who wrote a folder, and for which
/// classes.
/// </summary>
internal static class RunFiles
{
    /// <summary>Name of the file with options, classes and outcome.</summary>
    public const string OptionsName = "training.json";

    /// <summary>
    /// Name of the file that says the classes of a model, or of the adapter beside it, to
    /// transformers.
    /// </summary>
    public const string ConfigName = "config.json";

    /// <summary>Name of the file with every step.</summary>
    public const string MetricsName = "metrics.jsonl";

    /// <summary>Everything that is ever written into the folder of an adapter or a model.</summary>
    private static readonly string[] OfResult =
    [
        "adapter_config.json", "adapter_model.safetensors",
        ConfigName, Checkpoint.FileName,
        "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        OptionsName, MetricsName,
    ];

    /// <summary>
    /// Whether a file of that name is part of an adapter's or a model's folder: only a folder of
    /// such files may another result replace.
    /// </summary>
    public static bool IsOfResult(string name) => OfResult.Contains(name);

    /// <summary>
    /// The names of the classes that an adapter was trained for, which PEFT's format has no place
    /// for.
    /// </summary>
    /// <param name="folder">An adapter folder.</param>
    /// <returns>The names, or null where no training.json says them.</returns>
    /// <exception cref="InputException">training.json is no such file.</exception>
    public static IReadOnlyList<string>? ReadLabels(string folder)
    {
        var path = Path.Combine(folder, OptionsName);
        if (!File.Exists(path))
        {
            return null;
        }
        return JsonFile.Read(path, IReadOnlyList<string>? (root) =>
            root.ValueKind == JsonValueKind.Object && root.TryGetProperty("labels", out var labels)
            && labels.ValueKind == JsonValueKind.Array
            && labels.EnumerateArray().All(label => label.ValueKind == JsonValueKind.String)
            ? [.. labels.EnumerateArray().Select(label => label.GetString()!)]
            : throw new InputException($"{path}: a list of names under \"labels\" is expected. Delete the file if "
                + "another program wrote it."));
    }
}
