using LoraScratch.Lora;

namespace LoraScratch.Course;

/// <summary>How A and B begin.</summary>
public enum Start
{
    /// <summary>A random, B = 0: LoRA's choice.</summary>
    BZero,

    /// <summary>A = 0, B random.</summary>
    AZero,

    /// <summary>Both 0.</summary>
    BothZero,

    /// <summary>Both random, as the tutorial's pseudo-code has it.</summary>
    BothDrawn,
}

/// <summary>What one can say before the first step.</summary>
/// <param name="OutputUnchanged">Y is the base model's.</param>
/// <param name="AMoves">dA ≠ 0 at the first step.</param>
/// <param name="BMoves">dB ≠ 0 at the first step.</param>
public sealed record FirstStep(bool OutputUnchanged, bool AMoves, bool BMoves);

/// <summary>Step 5, solved.</summary>
internal static class Step5Start
{
    /// <summary>
    /// dB has the factor A, dA the factor B: each needs the other not to be zero. With both zero
    /// nothing ever moves. With one of them zero the product A·B is 0 and the other's partner
    /// starts.
    /// </summary>
    public static FirstStep Predict(Start start) => start switch
    {
        Start.BZero => new FirstStep(OutputUnchanged: true, AMoves: false, BMoves: true),
        Start.AZero => new FirstStep(OutputUnchanged: true, AMoves: true, BMoves: false),
        Start.BothZero => new FirstStep(OutputUnchanged: true, AMoves: false, BMoves: false),
        _ => new FirstStep(OutputUnchanged: false, AMoves: true, BMoves: true),
    };

    /// <summary>
    /// s²·r: alpha²/r, alpha²·r and alpha². Only with alpha/√r does the first move not depend on
    /// the rank.
    /// </summary>
    public static double FirstMoveRatio(LoRAScaling rule, double fromRank, double toRank) => rule switch
    {
        LoRAScaling.AlphaOverRank => fromRank / toRank,
        LoRAScaling.Alpha => toRank / fromRank,
        _ => 1,
    };
}
