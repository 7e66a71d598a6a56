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

    /// <summary>
    /// Records again, whatever is open, until it is disposed: for a gradient that computes a part
    /// of the graph anew.
    /// </summary>
    internal static IDisposable Lift() => new Lifted();

    /// <summary>Goes on recording, unless an outer one is still open.</summary>
    public void Dispose()
    {
        if (!ended)
        {
            ended = true;
            open--;
        }
    }

    private sealed class Lifted : IDisposable
    {
        private readonly int before = open;

        public Lifted() => open = 0;

        public void Dispose() => open = before;
    }
}
