using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The dropout mask of one Philox stream as factors: 0 where an element is dropped, 1/(1−p) where
/// it is kept.
/// </summary>
internal readonly unsafe struct DropoutMask(float probability, ulong seed, InstructionSet set)
{
    /// <summary>Factors are written in whole groups of so many.</summary>
    public const int Group = 16;

    private readonly uint threshold = Philox.Threshold(probability);
    private readonly float kept = 1 / (1 - probability);

    /// <summary>
    /// factors[i] of the elements first + i, for i below <paramref name="count"/> and up to the end
    /// of its group of <see cref="Group"/>.
    /// </summary>
    /// <param name="first">Index in the stream, a multiple of 4.</param>
    /// <param name="count">How many.</param>
    public void Fill(float* factors, ulong first, int count)
    {
        if (Avx2.IsSupported && set != InstructionSet.Portable)
        {
            FillAvx2(factors, first >> 2, count);
        }
        else
        {
            FillPortable(factors, first >> 2, count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FillPortable(float* factors, ulong counter, int count)
    {
        for (var i = 0; i < count; i += 4, counter++)
        {
            var (x, y, z, w) = Philox.Block(seed, counter);
            factors[i] = Factor(x);
            factors[i + 1] = Factor(y);
            factors[i + 2] = Factor(z);
            factors[i + 3] = Factor(w);
        }
    }

    private float Factor(uint word) => word < threshold ? 0f : kept;

    /// <summary>
    /// A register holds two counters. Of each, <c>xz</c> has the words x and z in the lower halves
    /// of its two 64-bit places, which is where the 32-bit multiplier reads them, and <c>yw</c> has
    /// y and w; the upper halves hold what is never read. At the end x | y and z | w stand in
    /// memory order.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FillAvx2(float* factors, ulong counter, int count)
    {
        var firstKey = Vector256.Create(seed & uint.MaxValue, seed >> 32, seed & uint.MaxValue, seed >> 32).AsUInt32();
        for (var i = 0; i < count; i += Group, counter += 4)
        {
            // Two independent chains hide each other's latency.
            var xzA = Vector256.Create(counter, 0, counter + 1, 0);
            var xzB = Vector256.Create(counter + 2, 0, counter + 3, 0);
            Vector256<ulong> ywA = xzA >> 32, ywB = xzB >> 32;
            var key = firstKey;
            for (var round = 0; round < 10; round++)
            {
                (xzA, ywA) = Round(xzA, ywA, key);
                (xzB, ywB) = Round(xzB, ywB, key);
                key += Vector256.Create(0x9E3779B9UL, 0xBB67AE85UL, 0x9E3779B9UL, 0xBB67AE85UL).AsUInt32();
            }
            Store(factors + i, xzA, ywA);
            Store(factors + i + 8, xzB, ywB);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<ulong> XZ, Vector256<ulong> YW) Round(Vector256<ulong> xz, Vector256<ulong> yw,
        Vector256<uint> key)
    {
        var multipliers = Vector256.Create(0xD2511F53UL, 0xCD9E8D57UL, 0xD2511F53UL, 0xCD9E8D57UL).AsUInt32();
        var products = Avx2.Multiply(xz.AsUInt32(), multipliers);
        const byte SwapHalves = 0b01_00_11_10;      // the 64-bit places of each counter change places
        var swapped = Avx2.Shuffle(products.AsUInt32(), SwapHalves).AsUInt64();
        return ((swapped >> 32) ^ yw ^ key.AsUInt64(), swapped);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(float* factors, Vector256<ulong> xz, Vector256<ulong> yw)
    {
        var words = ((xz & Vector256.Create((ulong)uint.MaxValue)) | (yw << 32)).AsUInt32();
        var dropped = Vector256.LessThan(words, Vector256.Create(threshold)).AsSingle();
        Vector256.AndNot(Vector256.Create(kept), dropped).Store(factors);
    }
}
