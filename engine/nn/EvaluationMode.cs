namespace LoraScratch.Engine.NN;

/// <summary>
/// While one is open on this thread every module computes as in evaluation, whatever it was
/// switched to: <c>using (new EvaluationMode()) { … }</c>. The modules themselves stay as they are,
/// so that other threads notice nothing.
/// </summary>
internal sealed class EvaluationMode : IDisposable
{
    [ThreadStatic]
    private static int open;

    private bool ended;

    /// <summary>Dropout off.</summary>
    public EvaluationMode() => open++;

    /// <summary>True while one is open on this thread.</summary>
    public static bool IsActive => open > 0;

    /// <summary>As before, unless an outer one is still open.</summary>
    public void Dispose()
    {
        if (!ended)
        {
            ended = true;
            open--;
        }
    }
}
