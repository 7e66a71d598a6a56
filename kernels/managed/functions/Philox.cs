namespace LoraScratch.Kernels.Functions;

/// <summary>
/// Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel random numbers: as
/// easy as 1, 2, 3" (SC 2011): word i of a stream is a pure function of (seed, i), so a dropout
/// mask is drawn again in the backward pass instead of being stored, and any thread or device can
/// draw any part of it.
/// </summary>
internal static class Philox
{
    /// <summary>
    /// The four 32-bit words of counter <paramref name="counter"/> in the stream of
    /// <paramref name="seed"/>.
    /// </summary>
    public static (uint X, uint Y, uint Z, uint W) Block(ulong seed, ulong counter) => Block(seed, counter, 0);

    /// <summary>The four words of a 128-bit counter, given as its lower and upper half.</summary>
    public static (uint X, uint Y, uint Z, uint W) Block(ulong seed, ulong lower, ulong upper)
    {
        uint x = (uint)lower, y = (uint)(lower >> 32), z = (uint)upper, w = (uint)(upper >> 32);
        uint key0 = (uint)seed, key1 = (uint)(seed >> 32);
        for (var round = 0; round < 10; round++)
        {
            var left = 0xD2511F53UL * x;
            var right = 0xCD9E8D57UL * z;
            (x, y, z, w) = ((uint)(right >> 32) ^ y ^ key0, (uint)right, (uint)(left >> 32) ^ w ^ key1, (uint)left);
            key0 += 0x9E3779B9;     // the golden ratio, in 32 bits
            key1 += 0xBB67AE85;     // √3 − 1, in 32 bits
        }
        return (x, y, z, w);
    }

    /// <summary>Word <paramref name="index"/> of the stream.</summary>
    public static uint Word(ulong seed, ulong index)
    {
        var (x, y, z, w) = Block(seed, index >> 2);
        var pair = (index & 2) == 0 ? (x, y) : (z, w);
        return (index & 1) == 0 ? pair.Item1 : pair.Item2;
    }

    /// <summary>
    /// The largest word that still drops an element with probability
    /// <paramref name="probability"/>, plus one: dropped ⇔ word &lt; threshold.
    /// </summary>
    public static uint Threshold(float probability) => (uint)Math.Min(probability * 4294967296.0, uint.MaxValue);
}
