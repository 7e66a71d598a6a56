using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>A block of codes in a register of AVX-512.</summary>
internal readonly unsafe struct Codes512<TBits> : ICodes<Vector512<float>> where TBits : struct, IBits
{
    public static int BlockBytes => 2 * TBits.Bits;

    private static Vector512<uint> EachBit => Vector512.Create(0u, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    private static Vector512<uint> EachTwoBits => Vector512.Create(0u, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

    private static Vector512<uint> EachFourBitsOfTwoWords => Vector512.Create(0u, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* block, int part)
    {
        if (TBits.Bits == 8)
        {
            return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(block)));
        }
        if (TBits.Bits == 4)
        {
            var words = Vector512.Create(*(ulong*)block).AsUInt32();
            return Vector512.ConvertToSingle((Avx512F.ShiftRightLogicalVariable(words, EachFourBitsOfTwoWords) & Vector512.Create(15u)).AsInt32());
        }
        var codes = Avx512F.ShiftRightLogicalVariable(Vector512.Create(*(uint*)block), EachTwoBits) & Vector512.Create(3u);
        if (TBits.Bits == 3)
        {
            var high = Avx512F.ShiftRightLogicalVariable(Vector512.Create((uint)*(ushort*)(block + 4)), EachBit) & Vector512.Create(1u);
            codes |= high << 2;
        }
        return Vector512.ConvertToSingle(codes.AsInt32());
    }
}
