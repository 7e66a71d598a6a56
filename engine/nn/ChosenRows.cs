using LoraScratch.Kernels;

namespace LoraScratch.Engine.NN;

/// <summary>
/// While one is open on this thread, what layers are given has these rows of a batch only, and
/// <see cref="Dropout"/> draws the masks that they have where all rows are there. So a result does
/// not depend on which other rows were computed; where rows are independent
/// (<see cref="IndependentRows"/>), these are computed as few. To be disposed in the scope that
/// opened it; what is recorded meanwhile reads the rows in its backward pass.
/// </summary>
internal sealed class ChosenRows : IDisposable
{
    [ThreadStatic]
    private static Indices? current;

    private readonly Indices? outer;
    private readonly IndependentRows? few;

    /// <summary>From now on there are these rows.</summary>
    /// <param name="rows">By their place in the batch; null: all of them.</param>
    public ChosenRows(Indices? rows)
    {
        (outer, current) = (current, rows);
        few = rows is null ? null : IndependentRows.IfOpenAs(IndependentRows.Few);
    }

    /// <summary>The rows that there are; null: all of them.</summary>
    public static Indices? Current => current;

    /// <summary>As before.</summary>
    public void Dispose()
    {
        few?.Dispose();
        current = outer;
    }
}
