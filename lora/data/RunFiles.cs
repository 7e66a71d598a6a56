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

    /// <summary>Name of a model as ONNX.</summary>
    public const string OnnxName = "model.onnx";

    /// <summary>Name of the file with every step.</summary>
    public const string MetricsName = "metrics.jsonl";

    /// <summary>Name of the picture of them.</summary>
    public const string CurvesName = "curves.svg";

    /// <summary>Name of the file that says what a merge kept.</summary>
    public const string CertificateName = "certificate.json";

    /// <summary>Everything that is ever written into the folder of an adapter or a model.</summary>
    private static readonly string[] OfResult =
    [
        "adapter_config.json", "adapter_model.safetensors",
        ConfigName, Checkpoint.FileName, OnnxName,
        "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        OptionsName, MetricsName, CurvesName, CertificateName,
    ];

    /// <summary>
    /// Whether a file of that name is part of an adapter's or a model's folder: only a folder of
    /// such files may another result replace.
    /// </summary>
    public static bool IsOfResult(string name) => OfResult.Contains(name);

    /// <summary>
    /// The task that an adapter was trained for, which PEFT's format has no place for.
    /// </summary>
    /// <param name="folder">An adapter folder.</param>
    /// <returns>The task, or null where there is no training.json.</returns>
    /// <exception cref="InputException">training.json is no such file.</exception>
    public static RunTask? ReadTask(string folder)
    {
        var path = Path.Combine(folder, OptionsName);
        if (!File.Exists(path))
        {
            return null;
        }
        return JsonFile.Read(path, RunTask? (root) =>
            root.ValueKind == JsonValueKind.Object && root.TryGetProperty("labels", out var labels)
            && labels.ValueKind == JsonValueKind.Array
            && labels.EnumerateArray().All(label => label.ValueKind == JsonValueKind.String)
            ? new RunTask([.. labels.EnumerateArray().Select(label => label.GetString()!)],
                Holds(root, RunTask.MultiLabelKey), Holds(root, RunTask.PairsKey))
            : throw new InputException($"{path}: a list of names under \"labels\" is expected. Delete the file if "
                + "another program wrote it."));
    }

    private static bool Holds(JsonElement root, string key) =>
        root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
}

/// <summary>What a run trained for.</summary>
/// <param name="Labels">Names of the classes.</param>
/// <param name="IsMultiLabel">Whether any number of them may hold for a text.</param>
/// <param name="ReadsPairs">Whether its examples were pairs of texts.</param>
internal sealed record RunTask(IReadOnlyList<string> Labels, bool IsMultiLabel = false, bool ReadsPairs = false)
{
    /// <summary>Keys of training.json.</summary>
    public const string LabelsKey = "labels", MultiLabelKey = "multi_label", PairsKey = "text_pair";

    /// <summary>Writes it among other things.</summary>
    public void AddTo(Dictionary<string, object?> about)
    {
        about[LabelsKey] = Labels;
        about[MultiLabelKey] = IsMultiLabel;
        about[PairsKey] = ReadsPairs;
    }
}
