using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The memory of a <see cref="QuantizedMatrix"/>, rows and columns as stored: [out, in].
/// </summary>
internal readonly unsafe struct PackedWeight
{
    private readonly byte* codes;
    private readonly GroupGrid* grids;
    private readonly int bits;

    public PackedWeight(in QuantizedMatrix weight)
    {
        codes = CpuKernels.Pointer(weight.Codes);
        grids = CpuKernels.Pointer(weight.Grids);
        bits = weight.Bits;
        RowBytes = (nint)PackedCodes.Bytes(weight.StoredColumns, weight.Bits);
        (Rows, Columns, GroupSize) = (weight.StoredRows, weight.StoredColumns, weight.GroupSize);
    }

    public readonly int Rows, Columns, GroupSize;

    /// <summary>Bytes from a row to the next.</summary>
    public readonly nint RowBytes;

    /// <summary>Groups of a row.</summary>
    public int Groups => Columns / GroupSize;

    /// <summary>The block of codes that starts at a column, a multiple of 16.</summary>
    public byte* Block(int row, int column) => codes + (row * RowBytes) + (column / 8 * bits);

    /// <summary>
    /// The grid of the group that a column is in; those of the groups that follow lie behind it.
    /// </summary>
    public GroupGrid* Grid(int row, int column) => grids + ((nint)row * Groups) + (column / GroupSize);

    /// <summary>Asks for the cache lines in which codes and grid of a column lie.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(int row, int column)
    {
        Prefetch(Block(row, column));
        Prefetch(Grid(row, column));
    }

    /// <summary>
    /// Asks for a cache line, into the second-level cache. It may lie past the weight's end: that
    /// is no fault.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* address)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch1(address);
        }
    }

    /// <summary>to[i] = ŵ[row, column + i] for whole blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Decode<V, R, TCodes>(float* to, int row, int column, int count)
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        var block = Block(row, column);
        var grid = Grid(row, column);
        var left = GroupSize - (column % GroupSize);
        for (var end = to + count; to < end; left = GroupSize, grid++)
        {
            V first = TCodes.First(grid), second = TCodes.Second(grid);
            for (; left > 0 && to < end; left -= PackedCodes.BlockSize)
            {
                for (var part = 0; part < PackedCodes.BlockSize / R.Width; part++)
                {
                    R.Store(to, TCodes.Weights(block, part, first, second));
                    to += R.Width;
                }
                block += TCodes.BlockBytes;
            }
        }
    }
}
