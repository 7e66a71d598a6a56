using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// What a sequence and head read, asked for row by row into the second-level cache while the one
/// before is computed: the pieces of rows that a head has are too short for the processor to
/// foresee. Default: nothing is asked for.
/// </summary>
/// <param name="q">The first query.</param>
/// <param name="y">Its row of another matrix; null: none.</param>
/// <param name="dY">Its row of another matrix; null: none.</param>
/// <param name="k">The first key.</param>
/// <param name="v">The first value.</param>
/// <param name="queries">Rows of queries.</param>
/// <param name="keys">
/// Rows of keys, of which as many are asked for as the block before has queries.
/// </param>
/// <param name="stride">Elements between rows.</param>
/// <param name="width">Elements of a row that belong to the head.</param>
internal readonly unsafe struct HeadAhead(float* q, float* y, float* dY, float* k, float* v, int queries, int keys,
    int stride, int width)
{
    /// <summary>Asks for one row of each matrix that has it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Ask(int row)
    {
        var at = (nint)row * stride;
        if (row < queries)
        {
            AskFor(q + at);
            if (y != null)
            {
                AskFor(y + at);
            }
            if (dY != null)
            {
                AskFor(dY + at);
            }
        }
        if (row < keys)
        {
            AskFor(k + at);
            AskFor(v + at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AskFor(float* row)
    {
        for (var i = 0; Sse.IsSupported && i < width; i += CacheLine.Floats)
        {
            Sse.Prefetch1(row + i);
        }
    }
}
