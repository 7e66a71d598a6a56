using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>What LoRA adapts where --targets is not given; it depends on the model.</summary>
internal static class DefaultTargets
{
    /// <summary>Says on standard error which they are, where they are taken.</summary>
    /// <param name="options">Of a training, or of all of an experiment's; as typed.</param>
    /// <param name="source">The model; null: from scratch.</param>
    /// <param name="usesThem">Whether anything is trained that has targets.</param>
    public static void Say(TrainingOptions options, ModelSource? source, bool usesThem)
    {
        if (options.Targets is null && options.InitialAdapter is null && usesThem)
        {
            Console.Error.WriteLine($"targets: {string.Join(", ", options.For(source).Targets!)} (the default"
                + $"{(source == ModelSource.BuiltIn ? " of the built-in base model" : "")}; --targets names others)");
        }
    }
}
