using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Codes of one width in bits on their way from memory to a register of weights, α·(q − ζ); how
/// they lie says <see cref="PackedCodes"/>. What is needed of a group stands in two registers:
/// scale and zero for arithmetic, or a table of all the weights that the group can have, from which
/// a processor with such an instruction takes 16 at once.
/// </summary>
/// <typeparam name="V">The register.</typeparam>
internal unsafe interface ICodes<V> where V : struct
{
    /// <summary>Bytes of a block of 16 codes.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>The first register of a group.</summary>
    static abstract V First(GroupGrid* grid);

    /// <summary>The second one.</summary>
    static abstract V Second(GroupGrid* grid);

    /// <summary>Weights part·Width … of a block.</summary>
    /// <param name="block">16 codes.</param>
    /// <param name="part">Which of the registers that they make.</param>
    /// <param name="first">Of their group.</param>
    /// <param name="second">Of their group.</param>
    static abstract V Weights(byte* block, int part, V first, V second);
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

/// <summary>
/// Code by code: for processors without a shift by another distance in each lane.
/// </summary>
internal readonly unsafe struct ScalarCodes<V, R, TBits> : ICodes<V> where V : struct where R : struct, IRegister<V>
    where TBits : struct, IBits
{
    public static int BlockBytes => 2 * TBits.Bits;

    public static V First(GroupGrid* grid) => R.Of(grid->Scale);

    public static V Second(GroupGrid* grid) => R.Of(-grid->Zero);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static V Weights(byte* block, int part, V scale, V minusZero)
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
        return R.Multiply(R.Add(R.Load(lanes), minusZero), scale);
    }
}
