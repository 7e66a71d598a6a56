namespace LoraScratch.Tests.Threads;

/// <summary>Threads of their own, which begin together.</summary>
internal static class Callers
{
    /// <summary>Runs the work of every caller, and passes on the first exception of any.</summary>
    /// <param name="count">How many.</param>
    /// <param name="work">What each does; it is given its number.</param>
    public static void Run(int count, Action<int> work)
    {
        using var start = new Barrier(count);
        Exception? failure = null;
        var threads = Enumerable.Range(0, count).Select(caller => new Thread(() =>
        {
            try
            {
                start.SignalAndWait();
                work(caller);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.IsBackground = true;
            thread.Start();
        }
        foreach (var thread in threads)
        {
            Assert.That(thread.Join(TimeSpan.FromMinutes(2)), "a caller never ends");
        }
        if (failure is not null)
        {
            throw new AssertionException($"a caller failed: {failure}");
        }
    }
}
