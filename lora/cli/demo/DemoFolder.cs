using System.Text.Json;
using LoraScratch.Cli.Charts;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli.Demo;

/// <summary>What the demo leaves behind: the adapter, the loss curves, and reviews to try the other commands with.</summary>
internal static class DemoFolder
{
    /// <summary>Folder of the adapter, for the base inside the program.</summary>
    public const string Adapter = "adapter";

    /// <summary>The loss curves.</summary>
    public const string Curves = "loss-curves.svg";

    /// <summary>The training reviews, for <c>lora train</c>.</summary>
    public const string TrainReviews = "train.jsonl";

    /// <summary>The test reviews, for <c>lora evaluate</c>.</summary>
    public const string TestReviews = "test.jsonl";

    /// <summary>Refuses a folder that <see cref="Save"/> could not write, so that the demo can ask before it begins.</summary>
    /// <exception cref="InputException">It holds something that the demo did not write, or its parent is missing.</exception>
    public static void CheckWritable(string folder)
    {
        AtomicFolder.Check(folder, IsOurs);
        if (Directory.Exists(folder))
            TrainingFolder.CheckWritable(Path.Combine(folder, Adapter));
    }

    /// <summary>Writes the folder whole or not at all; that of an earlier demo is replaced.</summary>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(string folder, DemoResult result)
    {
        CheckWritable(folder);
        var lora = result[TrainingMethod.LoRA];
        AtomicFolder.Write(folder, temporary =>
        {
            TrainingFolder.Save(Path.Combine(temporary, Adapter), result.Adapted, result.Adapter, lora.Options, lora.Training, PretrainedBase.Name);
            AtomicFile.WriteText(Path.Combine(temporary, Curves), SvgChart.Draw($"Adapting to {ReviewDomains.Thrillers.Name} (generated reviews)", [.. result.Methods.Select(method => method.Curve)]));
            AtomicFile.WriteText(Path.Combine(temporary, TrainReviews), Lines(result.Task.Train));
            AtomicFile.WriteText(Path.Combine(temporary, TestReviews), Lines(result.Task.Test));
        }, IsOurs);
    }

    private static bool IsOurs(string name) => name is Adapter or Curves or TrainReviews or TestReviews;

    private static string Lines(ReviewSplit split) =>
        string.Concat(split.Reviews.Select(review => JsonSerializer.Serialize(new { text = review.Text, label = ReviewTask.Labels[review.Label] }, JsonOutput.Options) + "\n"));
}
