namespace LoraScratch.Kernels;

/// <summary>
/// While one is open on this thread, a product Y = X·W is computed as one of so many rows is,
/// however many rows X has. A product of few rows sums in another order than one of many, which is
/// the faster way for each; a row that is computed so has the same bits alone and among others, and
/// a text's answer does not depend on the texts beside it. Of products whose left factor is
/// transposed, as those of the gradients of weights are, the rows are no examples: they are left
/// as they are.
/// </summary>
internal sealed class IndependentRows : IDisposable
{
    /// <summary>
    /// As products of few rows: up to so many of them they are the faster ones on a processor.
    /// </summary>
    public const int Few = 16;

    /// <summary>As products of many rows; a usual batch has so many tokens.</summary>
    public const int Many = 512;

    [ThreadStatic]
    private static int open;

    private readonly int outer = open;

    private IndependentRows(int rows) => open = rows;

    /// <summary>From now on rows are computed as this many are.</summary>
    /// <param name="rows">
    /// Of those that shall have equal bits together or apart, the same number each time.
    /// </param>
    public static IndependentRows As(int rows) => new(rows);

    /// <summary>
    /// The same where one is open already; else nothing, and products stay as they are.
    /// </summary>
    /// <param name="rows">As there.</param>
    public static IndependentRows? IfOpenAs(int rows) => open > 0 ? new(rows) : null;

    /// <summary>
    /// As how many rows those of a factor are to be computed; 0: as many as they are.
    /// </summary>
    /// <param name="left">X.</param>
    public static int Of(Matrix left) => left.Transposed ? 0 : open;

    /// <summary>As before.</summary>
    public void Dispose() => open = outer;
}
