using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli.Demo;

/// <summary>
/// What the demo leaves behind: the adapter, the loss curves, and reviews to try the other commands
/// with.
/// </summary>
internal static class DemoFolder
{
    /// <summary>Folder of the adapter, for the built-in base model.</summary>
    public const string Adapter = "adapter";

    /// <summary>The loss curves.</summary>
    public const string Curves = "loss-curves.svg";

    /// <summary>The training reviews, for <c>lora train</c>.</summary>
    public const string TrainReviews = "train.jsonl";

    /// <summary>The test reviews, for <c>lora evaluate</c>.</summary>
    public const string TestReviews = "test.jsonl";

    /// <summary>
    /// Takes the folder for this process, and refuses one that <see cref="Save"/> could not write,
    /// before the demo begins. That of an earlier demo is accepted: its seed makes it again.
    /// </summary>
    /// <exception cref="InputException">
    /// Another process writes there, it holds something that the demo did not write, or its parent
    /// is missing.
    /// </exception>
    public static OutputLock Reserve(string folder) => OutputLock.Take(folder, () => Check(folder));

    private static void Check(string folder)
    {
        AtomicFolder.Check(folder, IsOurs, overwrite: true);
        if (Directory.Exists(folder))
        {
            TrainingFolder.Check(Path.Combine(folder, Adapter), overwrite: true);
        }
    }

    /// <summary>
    /// Writes the folder whole or not at all; that of an earlier demo is replaced.
    /// </summary>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(string folder, DemoResult result)
    {
        Check(folder);
        AtomicFolder.Write(folder, temporary =>
        {
            result.LoRA.Save(Path.Combine(temporary, Adapter), result[TrainingMethod.LoRA].Training,
                PretrainedBase.Name);
            AtomicFile.WriteText(Path.Combine(temporary, Curves),
                LossPicture.Draw($"Adapting to {ReviewDomains.Thrillers.Name} (generated reviews)",
                    [.. result.Methods.Select(method => method.Curve)]));
            AtomicFile.WriteText(Path.Combine(temporary, TrainReviews), Lines(result.Task.Train));
            AtomicFile.WriteText(Path.Combine(temporary, TestReviews), Lines(result.Task.Test));
        }, IsOurs, overwrite: true);
    }

    private static bool IsOurs(string name) => name is Adapter or Curves or TrainReviews or TestReviews;

    private static string Lines(ReviewSplit split) =>
        string.Concat(split.Reviews
            .Select(review => JsonSerializer.Serialize(
                new { text = review.Text, label = ReviewTask.Labels[review.Label] }, JsonOutput.Options) + "\n"));
}
