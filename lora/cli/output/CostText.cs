using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>What a run was predicted to cost, and what it cost.</summary>
internal static class CostText
{
    /// <summary>Both beside each other; null where nothing was predicted.</summary>
    public static string? Of(TrainingResult result) => result.Estimate is not { Memory: { } memory } estimate ? null
        : $"Predicted {Text.Duration(estimate.StepSeconds)} of steps and {Text.Bytes(memory.Total)} of tensors; "
            + $"measured {Text.Duration(result.Metrics.Sum(step => step.StepSeconds))} and "
            + $"{Text.Bytes(result.DeviceMemory)}.";
}
