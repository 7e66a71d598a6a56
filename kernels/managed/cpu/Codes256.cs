using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Half a block of codes in a register of AVX2, where that is what <see cref="Vector{T}"/> is.
/// </summary>
internal readonly unsafe struct Codes256<TBits> : ICodes<Vector<float>> where TBits : struct, IBits
{
    public static int BlockBytes => 2 * TBits.Bits;

    private static Vector256<uint> EachBit => Vector256.Create(0u, 1, 2, 3, 4, 5, 6, 7);

    private static Vector256<uint> EachTwoBits => Vector256.Create(0u, 2, 4, 6, 8, 10, 12, 14);

    private static Vector256<uint> EachFourBitsOfTwoWords => Vector256.Create(0u, 0, 4, 4, 8, 8, 12, 12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> First(GroupGrid* grid) => new(grid->Scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Second(GroupGrid* grid) => new(grid->Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Weights(byte* block, int part, Vector<float> scale, Vector<float> zero) =>
    (Codes(block, part).AsVector() - zero) * scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Codes(byte* block, int part)
    {
        if (TBits.Bits == 8)
        {
            return Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(block + (8 * part)));
        }
        if (TBits.Bits == 4)
        {
            // what comes from one word into the other lies above the mask
            var words = Vector256.Create(*(ulong*)block >> (16 * part)).AsUInt32();
            return Vector256.ConvertToSingle(
                (Avx2.ShiftRightLogicalVariable(words, EachFourBitsOfTwoWords) & Vector256.Create(15u)).AsInt32());
        }
        var codes = Avx2.ShiftRightLogicalVariable(Vector256.Create(*(uint*)block >> (16 * part)), EachTwoBits)
            & Vector256.Create(3u);
        if (TBits.Bits == 3)
        {
            var high = Avx2.ShiftRightLogicalVariable(Vector256.Create((uint)*(ushort*)(block + 4) >> (8 * part)),
                EachBit) & Vector256.Create(1u);
            codes |= high << 2;
        }
        return Vector256.ConvertToSingle(codes.AsInt32());
    }
}
