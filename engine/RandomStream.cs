using LoraScratch.Kernels.Functions;

namespace LoraScratch.Engine;

/// <summary>
/// Reproducible random numbers from Philox: the whole state is (<see cref="Seed"/>, <see cref="Position"/>), so a checkpoint can store it and two streams
/// with different seeds never share a number sequence.
/// </summary>
/// <param name="seed">Names the stream.</param> <param name="position">Words drawn so far.</param>
public sealed class RandomStream(ulong seed, ulong position = 0)
{
    /// <summary>Names the stream.</summary>
    public ulong Seed { get; private set; } = seed;

    /// <summary>How many 32-bit words were drawn.</summary>
    public ulong Position { get; private set; } = position;

    /// <summary>Goes on from a saved state, or starts another stream: everything that shares this object follows.</summary>
    /// <param name="seed">Names the stream.</param> <param name="position">Words drawn so far.</param>
    public void Restore(ulong seed, ulong position = 0) => (Seed, Position) = (seed, position);

    /// <summary>The next 32 random bits.</summary>
    public uint NextWord() => Philox.Word(Seed, Position++);

    /// <summary>The next 64 random bits: the seed of a dropout mask or of another stream.</summary>
    public ulong NextSeed() => (ulong)NextWord() << 32 | NextWord();

    /// <summary>Uniform in [0, 1), 24 bits.</summary>
    public float NextUniform() => (NextWord() >> 8) * (1f / (1 << 24));

    /// <summary>Uniform whole number in [0, bound), without bias.</summary>
    public int NextBelow(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        // Words at or above the largest multiple of the bound would make small results likelier: draw again.
        var limit = uint.MaxValue - (uint.MaxValue % (uint)bound + 1) % (uint)bound;
        uint word;
        do
        {
            word = NextWord();
        } while (word > limit);
        return (int)(word % (uint)bound);
    }

    /// <summary>Standard normal, by Box and Muller (1958).</summary>
    public float NextNormal()
    {
        var radius = Math.Sqrt(-2 * Math.Log((NextWord() + 1.0) / 4294967296.0));       // the argument lies in (0, 1]
        var angle = 2 * Math.PI * (NextWord() / 4294967296.0);
        return (float)(radius * Math.Cos(angle));
    }

    /// <summary>Fills with uniform numbers in [−bound, bound).</summary>
    public float[] Uniform(int count, float bound) => Draw(count, () => (2 * NextUniform() - 1) * bound);

    /// <summary>Fills with normal numbers of mean 0.</summary>
    public float[] Normal(int count, float standardDeviation) => Draw(count, () => NextNormal() * standardDeviation);

    private static float[] Draw(int count, Func<float> next)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = next();
        }
        return values;
    }
}
