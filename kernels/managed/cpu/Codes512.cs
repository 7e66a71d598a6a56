using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// A block of codes in a register of AVX-512. A group has 16 different weights at most, but for
/// codes of 8 bits: they are computed once, and one instruction looks up 16 of them. It reads the
/// low four bits of each lane and no others, so that no code needs a mask: of 2 bits the table has
/// its four weights four times, of 3 bits its eight twice.
/// </summary>
internal readonly unsafe struct Codes512<TBits> : ICodes<Vector512<float>> where TBits : struct, IBits
{
    public static int BlockBytes => 2 * TBits.Bits;

    private static Vector512<uint> Each => Vector512.Create(0u, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    private static Vector512<uint> EachTwoBits =>
        Vector512.Create(0u, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

    private static Vector512<uint> EachFourBitsOfTwoWords =>
        Vector512.Create(0u, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);

    private static bool IsTable => TBits.Bits <= 4;

    /// <summary>The table, or the scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(GroupGrid* grid)
    {
        var scale = Vector512.Create(grid->Scale);
        return IsTable ? (Vector512.ConvertToSingle((Each & Vector512.Create((1u << TBits.Bits) - 1)).AsInt32())
            - Second(grid)) * scale : scale;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(GroupGrid* grid) => Vector512.Create(grid->Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(byte* block, int part, Vector512<float> first, Vector512<float> zero) =>
    IsTable
        ? Avx512F.PermuteVar16x32(first, Places(block).AsInt32())
        : (Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(block))) - zero) * first;

    /// <summary>
    /// Codes in the low bits of each lane, with others above them; see the table.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Places(byte* block)
    {
        if (TBits.Bits == 4)
        {
            return Avx512F.ShiftRightLogicalVariable(Vector512.Create(*(ulong*)block).AsUInt32(),
                EachFourBitsOfTwoWords);
        }
        var low = Avx512F.ShiftRightLogicalVariable(Vector512.Create(*(uint*)block), EachTwoBits);
        return TBits.Bits == 2 ? low
            : (low & Vector512.Create(3u))
            | (Avx512F.ShiftRightLogicalVariable(Vector512.Create((uint)*(ushort*)(block + 4)), Each) << 2);
    }
}
