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

/// <summary>Step 5, initial values, scaling and learning rates.</summary>
internal static class Step5Start
{
    /// <summary>Look at dB = s·(X·A)ᵀ·dY and dA = s·Xᵀ·(dY·Bᵀ) and predict.</summary>
    public static FirstStep Predict(Start start)
    {
        // return start switch { Start.BZero => new FirstStep(OutputUnchanged: …, AMoves: …, BMoves: …), … };
        throw new ToComplete("for each start: is Y unchanged, is dA ≠ 0, is dB ≠ 0?");
    }

    /// <summary>
    /// With B = 0 one step of gradient descent gives B = −η·s·(X·A)ᵀ·dY, and with it moves the
    /// output by s·(X·A)·B. By what factor does the size of that move change when the rank goes
    /// from one number to another, alpha and the learning rate η as they are?
    /// </summary>
    /// <param name="rule">s = alpha/r, alpha or alpha/√r.</param>
    /// <param name="fromRank">r before</param>
    /// <param name="toRank">r after</param>
    public static double FirstMoveRatio(LoRAScaling rule, double fromRank, double toRank)
    {
        // The move is −η·s²·(X·A)·(X·A)ᵀ·dY, and (X·A)·(X·A)ᵀ sums r products: on average it grows as r.
        throw new ToComplete("s² times r, after over before, for each of the three rules");
    }
}
