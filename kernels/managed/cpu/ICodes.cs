using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>Codes of one width in bits on their way from memory to a register of floats; how they lie says <see cref="PackedCodes"/>.</summary>
/// <typeparam name="V">The register.</typeparam>
internal unsafe interface ICodes<V> where V : struct
{
    /// <summary>Bytes of a block of 16 codes.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>Codes part·Width … of a block, as floats.</summary>
    static abstract V Load(byte* block, int part);
}

/// <summary>A number that types can tell apart: the bits of a code.</summary>
internal interface IBits
{
    static abstract int Bits { get; }
}

internal readonly struct TwoBits : IBits { public static int Bits => 2; }

internal readonly struct ThreeBits : IBits { public static int Bits => 3; }

internal readonly struct FourBits : IBits { public static int Bits => 4; }

internal readonly struct EightBits : IBits { public static int Bits => 8; }

/// <summary>Code by code: for processors without a shift by another distance in each lane.</summary>
internal readonly unsafe struct ScalarCodes<V, R, TBits> : ICodes<V> where V : struct where R : struct, IRegister<V> where TBits : struct, IBits
{
    public static int BlockBytes => 2 * TBits.Bits;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static V Load(byte* block, int part)
    {
        var lanes = stackalloc float[R.Width];
        for (var lane = 0; lane < R.Width; lane++)
        {
            var i = (part * R.Width) + lane;
            var (at, shift) = PackedCodes.Place(i, TBits.Bits);
            var code = block[at] >> shift & PackedCodes.LowMask(TBits.Bits);
            if (TBits.Bits == 3)
            {
                var (high, highShift) = PackedCodes.HighBit(i);
                code |= (block[high] >> highShift & 1) << 2;
            }
            lanes[lane] = code;
        }
        return R.Load(lanes);
    }
}
