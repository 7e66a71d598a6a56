namespace LoraScratch.Tests;

/// <summary>Managed bytes that an action allocates, on whatever thread.</summary>
internal static class Allocations
{
    /// <summary>
    /// The least of several measurements of so many runs each, after a first one that warms up: the
    /// test platform allocates now and then on threads of its own, but not in all of them.
    /// </summary>
    public static long Least(Action action, int times)
    {
        var least = long.MaxValue;
        for (var attempt = 0; attempt < 6; attempt++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            for (var i = 0; i < times; i++)
            {
                action();
            }
            var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
            least = attempt == 0 ? least : Math.Min(least, allocated);
        }
        return least;
    }
}
