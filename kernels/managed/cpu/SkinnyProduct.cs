
namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Products with few rows or few columns: x·A of a small rank, its gradients, a single row. Packing
/// the large matrix would cost as much as the product itself, so it is read where it lies, and only
/// the small one is packed.
/// <para>
/// Written for few columns, Y [L, S] = P [L, K] · Q [K, S]; few rows are the same product
/// transposed. What neighbours what in P decides the form: where a row of P lies in one piece, SIMD
/// runs along k and Y is made of dot products; where a column does, SIMD runs along its rows and
/// the numbers of Q are broadcast. Short rows (u·Aᵀ of a small rank) are packed into columns: they
/// would not fill the registers of a dot product. Where the columns of Q fill a register, the
/// numbers of P are broadcast instead, and no register is left to be summed up.
/// </para>
/// </summary>
internal static unsafe partial class SkinnyProduct
{
    /// <summary>Up to so many rows or columns this way is the faster one.</summary>
    private const int MaxLines = 16;

    // of Y in registers: 12 accumulators hide the latency of the multiply-adds
    private const int DotRows = 3, Lines = 4;
    private const int RowsOfDotBlock = 48;           // done by one piece of work
    private const int DepthAtATime = 512;
    // registers; adding up what stands in them would take longer than the products of so few
    private const int ShortRow = 8;
    // multiply-adds that one thread has done before another one is awake
    private const long SmallProduct = 1 << 15;

    /// <summary>Whether a product has the form that this class is for.</summary>
    public static bool Fits(in ProductTask task) => Math.Min(task.RowsOfForm, task.N) <= MaxLines;

    /// <summary>
    /// Computes one product, on the workers, or on this thread where there are none.
    /// </summary>
    public static void Run<V, R>(in ProductTask task, Scratch scratch, WorkerPool? workers) where V : struct
        where R : struct, IRegister<V>
    {
        if (task.AsRows == 0)
        {
            RunTall<V, R>(task.N <= task.M ? task : task.T, scratch, workers);
        }
        else if (task.N <= MaxLines)
        {
            RunTall<V, R>(task, scratch, workers);
        }
        else
        {
            for (var row = 0; row < task.M; row += MaxLines)
            {
                RunTall<V, R>(task.Part(row, Math.Min(MaxLines, task.M - row)).T, scratch, workers, asDots: true);
            }
        }
    }

    /// <param name="tall">With few columns.</param>
    /// <param name="asDots">Whether columns of any number are computed as those of few.</param>
    private static void RunTall<V, R>(in ProductTask tall, Scratch scratch, WorkerPool? workers, bool asDots = false)
        where V : struct where R : struct, IRegister<V>
    {
        if ((long)tall.M * tall.N * tall.K <= SmallProduct)
        {
            workers = null;
        }
        var hasWholeRows = tall.A.ColumnStride == 1 && tall.K >= ShortRow * R.Width;
        if (hasWholeRows && !asDots && FillsRegister<V, R>(tall.N))
        {
            PackedProduct.Run<NarrowTile<V, R>>(tall, scratch, workers);
        }
        else if (hasWholeRows)
        {
            RunDots<V, R>(tall, scratch, workers);
        }
        else
        {
            RunColumns<V, R>(tall, scratch, workers);
        }
    }

    /// <summary>Three quarters of it or more, for the rest is computed in vain.</summary>
    private static bool FillsRegister<V, R>(int columns) where V : struct where R : struct, IRegister<V> =>
        columns <= R.Width && 4 * columns >= 3 * R.Width && R.Width > 1;
}
