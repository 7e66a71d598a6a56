using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Parts of rows that a thread will read next, asked for row by row while it computes something
/// else: the pieces of rows that a head has are too short for the processor to foresee.
/// </summary>
/// <param name="first">Where the first row's part begins; null: there is none.</param>
/// <param name="rows">How many rows.</param>
/// <param name="stride">Elements between rows.</param>
/// <param name="width">Elements of a part.</param>
internal readonly unsafe struct RowsAhead(float* first, int rows, int stride, int width)
{
    private const int Line = 16;   // floats in a cache line

    /// <summary>Asks for one row, if there is one, into the second-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Ask(int row)
    {
        if (Sse.IsSupported && row < rows)
        {
            var part = first + ((nint)row * stride);
            for (var i = 0; i < width; i += Line)
            {
                Sse.Prefetch1(part + i);
            }
        }
    }
}
