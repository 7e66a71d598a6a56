namespace LoraScratch.Kernels;

/// <summary>
/// What every element of an Adam update is multiplied by, formed in double and rounded once, alike
/// on every backend: 1 − β₂ from a float32 β₂ = 0.999 would be off by 1e-5.
/// </summary>
/// <param name="step">Settings of the step.</param>
internal readonly struct AdamFactors(AdamStep step)
{
    /// <summary>Adam's weight decay, g + DecayInGradient·w; 0 for AdamW.</summary>
    public readonly float DecayInGradient = step.Decoupled ? 0 : (float)step.WeightDecay;

    /// <summary>AdamW's weight decay, Shrink·w; 1 for Adam.</summary>
    public readonly float Shrink = step.Decoupled ? (float)(1 - step.Rate * step.WeightDecay) : 1;

    /// <summary>β₁</summary>
    public readonly float Beta1 = (float)step.Beta1;

    /// <summary>1 − β₁</summary>
    public readonly float OneMinusBeta1 = (float)(1 - step.Beta1);

    /// <summary>β₂</summary>
    public readonly float Beta2 = (float)step.Beta2;

    /// <summary>1 − β₂</summary>
    public readonly float OneMinusBeta2 = (float)(1 - step.Beta2);

    /// <summary>rate·m̂ = Rate·m</summary>
    public readonly float Rate = (float)(step.Rate / (1 - Math.Pow(step.Beta1, step.Number)));

    /// <summary>√v̂ = RootCorrection·√v</summary>
    public readonly float RootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(step.Beta2, step.Number)));

    /// <summary>ε</summary>
    public readonly float Epsilon = (float)step.Epsilon;
}
