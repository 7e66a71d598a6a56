namespace LoraScratch.Lora.Experiments;

/// <summary>
/// numpy.random.RandomState(seed).permutation(n), the order that the tutorial's script shuffles its
/// reviews into: MT19937 (Matsumoto and Nishimura, "Mersenne twister", ACM TOMACS 8(1), 1998) and
/// Fisher and Yates' shuffle with bounded numbers by masking and rejection.
/// </summary>
internal static class NumpyPermutation
{
    /// <summary>A random order of 0…count−1.</summary>
    public static int[] Random(int count, uint seed)
    {
        var generator = new MersenneTwister(seed);
        var order = Enumerable.Range(0, count).ToArray();
        for (var i = count - 1; i > 0; i--)
        {
            var j = generator.AtMost((uint)i);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }

    /// <summary>MT19937 with 32-bit outputs; the constants are those of the paper.</summary>
    private sealed class MersenneTwister
    {
        private const int Length = 624, Shift = 397;
        private readonly uint[] state = new uint[Length];
        private int next = Length;

        public MersenneTwister(uint seed)
        {
            state[0] = seed;
            for (var i = 1; i < Length; i++)
            {
                state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >> 30) + (uint)i;
            }
        }

        /// <summary>
        /// Uniform in 0…largest: bits beyond the largest's are masked away, and what is still too
        /// large is drawn again.
        /// </summary>
        public int AtMost(uint largest)
        {
            var mask = uint.MaxValue >> System.Numerics.BitOperations.LeadingZeroCount(largest);
            uint value;
            do
            {
                value = Next() & mask;
            } while (value > largest);
            return (int)value;
        }

        private uint Next()
        {
            if (next == Length)
            {
                Twist();
            }
            var y = state[next++];
            y ^= y >> 11;
            y ^= y << 7 & 0x9D2C5680;
            y ^= y << 15 & 0xEFC60000;
            return y ^ y >> 18;
        }

        private void Twist()
        {
            for (var i = 0; i < Length; i++)
            {
                var y = state[i] & 0x80000000 | state[(i + 1) % Length] & 0x7FFFFFFF;
                state[i] = state[(i + Shift) % Length] ^ y >> 1 ^ ((y & 1) == 0 ? 0 : 0x9908B0DFu);
            }
            next = 0;
        }
    }
}
