namespace LoraScratch.Engine.Optim;

/// <summary>
/// A factor on the learning rate: rises linearly from 0 over the first <see cref="WarmupSteps"/>, then falls linearly to 0 at <see cref="TotalSteps"/>
/// (transformers' get_linear_schedule_with_warmup), or stays 1 when <see cref="Decays"/> is false.
/// </summary>
/// <param name="WarmupSteps">Steps of the rise; 0 for none.</param> <param name="TotalSteps">Steps of the whole training.</param> <param name="Decays">False: constant after the rise.</param>
public sealed record LinearSchedule(int WarmupSteps, int TotalSteps, bool Decays = true)
{
    /// <summary>The factor for a step, counted from 0.</summary>
    public float Factor(int step)
    {
        if (step < WarmupSteps)
        {
            return (float)step / WarmupSteps;
        }
        return Decays ? Math.Max(0, (float)(TotalSteps - step) / Math.Max(1, TotalSteps - WarmupSteps)) : 1;
    }
}
