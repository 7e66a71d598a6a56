using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>
/// The DistilBERT and IMDb experiment of the tutorials as its script runs it, not as its text tells
/// it: all 50,000 reviews pooled; alpha itself is the factor on x·A·B, not alpha/rank; A ~ N(0,
/// 1/rank); no LoRA dropout, although one is declared; Adam without decay, warm-up, schedule or
/// clipping; beside LoRA the head stays as it is randomly initialised. What differs: float32
/// instead of mixed precision, the examples of a batch are not padded (which changes no result but
/// the memory and time they take), and the random numbers.
/// </summary>
internal static class Tutorial
{
    /// <summary>35,000 reviews to train on, 5,000 for validation, 10,000 to test on.</summary>
    public static SplitOptions Split { get; } = new(SplitRule.Tutorial, Validation: 0.1, Test: 0.2);

    /// <summary>The learning rate of every run.</summary>
    public const float LearningRate = 5e-5f;

    /// <summary>
    /// The default run: query and value, rank 8, alpha 16; 147,456 trainable parameters.
    /// </summary>
    public static TrainingOptions Default { get; } = new()
    {
        Lora = new LoRASettings(8, 16, LoRAScaling.Alpha) { Initialization = LoRAInitialization.Normal },
        Targets = ["query", "value"],
        TrainHead = false,
        AdaptUntrainedHead = true,
        Optimizer = OptimizerKind.Adam,
        LearningRate = LearningRate,
        WeightDecay = 0,
        Clip = 0,
        Warmup = 0,
        Schedule = ScheduleKind.Constant,
        Epochs = 3,
        BatchSize = 12,
        Shuffle = true,
    };

    /// <summary>
    /// The best run of its grid: query, value and mlp, rank 8, alpha 1; 516,096 trainable
    /// parameters.
    /// </summary>
    public static TrainingOptions Best { get; } =
        Default with { Lora = Default.Lora with { Alpha = 1 }, Targets = ["query", "value", "mlp"] };
}
