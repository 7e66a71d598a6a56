using LoraScratch.Engine.IO;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>A tiny task's encoder without its head.</summary>
internal static class HeadlessModel
{
    /// <summary>
    /// Writes a model folder with the names that tensors have in an encoder's checkpoint.
    /// </summary>
    public static void Write(TinyTask task, string folder)
    {
        var loaded = ModelFolder.Load(task.Model);
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(task.Model, "vocab.txt"), Path.Combine(folder, "vocab.txt"));
        File.WriteAllText(Path.Combine(folder, "config.json"), TinyTask.Config(24));
        SafeTensorsWriter.Write(Path.Combine(folder, "model.safetensors"), loaded.Model.NamedParameters()
            .Where(entry => entry.Path.StartsWith("distilbert.", StringComparison.Ordinal))
            .Select(entry => TensorToWrite.Of(entry.Path["distilbert.".Length..], entry.Parameter)));
    }
}
