namespace LoraScratch.Engine;

/// <summary>
/// While one is open on this thread no gradients are recorded: <c>using (new NoGradient()) { …
/// }</c>. For evaluation and prediction.
/// </summary>
public sealed class NoGradient : IDisposable
{
    [ThreadStatic]
    private static int open;

    private bool ended;

    /// <summary>Stops recording.</summary>
    public NoGradient() => open++;

    /// <summary>True when nothing is recorded.</summary>
    public static bool IsActive => open > 0;

    /// <summary>Goes on recording, unless an outer one is still open.</summary>
    public void Dispose()
    {
        if (!ended)
        {
            ended = true;
            open--;
        }
    }
}
