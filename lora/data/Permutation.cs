using LoraScratch.Kernels.Functions;

namespace LoraScratch.Lora.Data;

/// <summary>Random orders that depend on nothing but a seed.</summary>
internal static class Permutation
{
    // Each use draws from its own stream of the seed; epoch e of training has stream e.
    public const uint ShuffleStream = 0xFFFF_FFFF, SplitStream = 0xFFFF_FFFE, LimitStream = 0xFFFF_FFFD,
        SweepStream = 0xFFFF_FFFC;

    /// <summary>A random order of 0…count−1 (Fisher–Yates).</summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">The key of the generator.</param>
    /// <param name="stream">Orders of different streams are independent.</param>
    public static int[] Random(int count, ulong seed, uint stream)
    {
        var order = new int[count];
        for (var i = 0; i < count; i++)
        {
            order[i] = i;
        }
        for (var i = count - 1; i > 0; i--)
        {
            var (x, y, _, _) = Philox.Block(seed, (ulong)stream << 32 | (uint)i);
            // 64 random bits scaled to 0…i: the bias is below 2⁻³²
            var j = (int)Math.BigMul((ulong)x << 32 | y, (ulong)i + 1, out _);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }
}
