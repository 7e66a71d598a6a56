namespace LoraScratch.Engine.Optim;

/// <summary>
/// A factor on the learning rate: rises linearly from 0 over the first <see cref="WarmupSteps"/>,
/// then falls linearly to 0 at <see cref="TotalSteps"/> (transformers'
/// get_linear_schedule_with_warmup), or stays 1 when <see cref="Decays"/> is false.
/// </summary>
/// <param name="WarmupSteps">Steps of the rise, ≥ 0; 0 for none.</param>
/// <param name="TotalSteps">Steps of the whole training, ≥ 0.</param>
/// <param name="Decays">False: constant after the rise.</param>
/// <exception cref="ArgumentOutOfRangeException">A number of steps is negative.</exception>
internal sealed record LinearSchedule(int WarmupSteps, int TotalSteps, bool Decays = true)
{
    /// <summary>Steps of the rise.</summary>
    public int WarmupSteps { get; } = AtLeastZero(WarmupSteps, nameof(WarmupSteps));

    /// <summary>Steps of the whole training.</summary>
    public int TotalSteps { get; } = AtLeastZero(TotalSteps, nameof(TotalSteps));

    /// <summary>The factor for a step, counted from 0.</summary>
    public float Factor(int step)
    {
        if (step < WarmupSteps)
        {
            return (float)step / WarmupSteps;
        }
        return Decays ? Math.Max(0, (float)(TotalSteps - step) / Math.Max(1, TotalSteps - WarmupSteps)) : 1;
    }

    private static int AtLeastZero(int steps, string name) =>
        steps >= 0 ? steps : throw new ArgumentOutOfRangeException(name, $"{name} must be at least 0, got {steps}.");
}
