using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Compression;

/// <summary>An adapter folder that no training run left, but a computation on weights.</summary>
internal static class DerivedAdapter
{
    private static readonly JsonSerializerOptions Indented =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, WriteIndented = true };

    /// <summary>
    /// Writes an extracted adapter as a new folder in PEFT's format, with the classes and the
    /// errors in training.json.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="extraction">The adapter, attached to its base.</param>
    /// <param name="baseModel">The base's folder or name.</param>
    /// <param name="tunedModel">The tuned model's.</param>
    /// <param name="task">What it is for.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <param name="config">
    /// The tuned model's config.json, which names the classes for transformers; null: none is
    /// written.
    /// </param>
    /// <param name="revision">The base's revision on the hub, or null.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(string folder, LoRAExtraction extraction, string baseModel, string tunedModel,
        RunTask task, bool overwrite = false, string? config = null, string? revision = null) =>
        PeftAdapter.Write(folder, temporary =>
    {
        PeftAdapter.SaveInto(temporary, extraction.Adapter, baseModel, revision);
        if (config is not null)
        {
            AtomicFile.WriteText(Path.Combine(temporary, RunFiles.ConfigName), config);
        }
        WriteAbout(temporary, task, new()
        {
            ["base_model"] = baseModel,
            ["extracted_from"] = tunedModel,
            ["held_share"] = extraction.HeldShare,
            ["layers"] = extraction.Layers.Select(layer => new Dictionary<string, object>
            {
                ["path"] = layer.Path,
                ["rank"] = layer.Rank,
                ["change"] = layer.ChangeNorm,
                ["error"] = layer.Error,
                ["energy"] = layer.Energy,
            }),
            ["not_held"] = extraction.Lost.ToDictionary(entry => entry.Path, entry => entry.ChangeNorm),
        });
    }, overwrite);

    /// <summary>
    /// Writes training.json, where the commands that load an adapter look for its task.
    /// </summary>
    internal static void WriteAbout(string folder, RunTask? task, Dictionary<string, object?> about)
    {
        task?.AddTo(about);
        AtomicFile.WriteText(Path.Combine(folder, RunFiles.OptionsName),
            JsonSerializer.Serialize(about, Indented) + "\n");
    }
}
