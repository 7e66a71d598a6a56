using LoraScratch.Kernels.Functions;

namespace LoraScratch.Engine;

/// <summary>
/// Reproducible random numbers from Philox: the whole state is (<see cref="Seed"/>,
/// <see cref="Position"/>), so a checkpoint can store it and two streams with different seeds never
/// share a number sequence.
/// </summary>
/// <param name="seed">Names the stream.</param>
/// <param name="position">Words drawn so far.</param>
public sealed class RandomStream(ulong seed, ulong position = 0)
{
    /// <summary>Names the stream.</summary>
    public ulong Seed { get; private set; } = seed;

    /// <summary>How many 32-bit words were drawn.</summary>
    public ulong Position { get; private set; } = position;

    /// <summary>
    /// Goes on from a saved state, or starts another stream: everything that shares this object
    /// follows.
    /// </summary>
    /// <param name="seed">Names the stream.</param>
    /// <param name="position">Words drawn so far.</param>
    public void Restore(ulong seed, ulong position = 0) => (Seed, Position) = (seed, position);

    /// <summary>The next 32 random bits.</summary>
    public uint NextWord() => Philox.Word(Seed, Advance(1));

    /// <summary>The next 64 random bits: the seed of a dropout mask or of another stream.</summary>
    public ulong NextSeed() => (ulong)NextWord() << 32 | NextWord();

    /// <summary>Uniform in [0, 1), 24 bits.</summary>
    public float NextUniform() => UniformAt(Seed, Advance(1));

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
    public float NextNormal() => NormalAt(Seed, Advance(2));

    /// <summary>Fills with uniform numbers in [−bound, bound).</summary>
    public float[] Uniform(int count, float bound) =>
        Draw(count, 1, (seed, position) => (2 * UniformAt(seed, position) - 1) * bound);

    /// <summary>Fills with normal numbers of mean 0.</summary>
    public float[] Normal(int count, float standardDeviation) =>
        Draw(count, 2, (seed, position) => NormalAt(seed, position) * standardDeviation);

    private static float UniformAt(ulong seed, ulong position) => (Philox.Word(seed, position) >> 8) * (1f / (1 << 24));

    private static float NormalAt(ulong seed, ulong position)
    {
        var (first, second) = Words(seed, position);
        var radius = Math.Sqrt(-2 * Math.Log((first + 1.0) / 4294967296.0));       // the argument lies in (0, 1]
        var angle = 2 * Math.PI * (second / 4294967296.0);
        return (float)(radius * Math.Cos(angle));
    }

    /// <summary>
    /// Two neighbouring words of a stream, which as a rule lie in one block of four.
    /// </summary>
    private static (uint First, uint Second) Words(ulong seed, ulong position)
    {
        var (x, y, z, w) = Philox.Block(seed, position >> 2);
        return (position & 3) switch
        {
            0 => (x, y),
            1 => (y, z),
            2 => (z, w),
            _ => (w, Philox.Word(seed, position + 1)),
        };
    }

    /// <summary>
    /// Numbers that each depend on nothing but their place in the stream, so that all cores can
    /// draw at once: a model has 10⁸ of them.
    /// </summary>
    private float[] Draw(int count, uint wordsEach, Func<ulong, ulong, float> valueAt)
    {
        const int chunk = 1 << 15;
        var values = new float[count];
        var (seed, start) = (Seed, Advance((ulong)count * wordsEach));
        Parallel.For(0, (count + chunk - 1) / chunk, number =>
        {
            for (var i = number * chunk; i < Math.Min(count, (number + 1) * chunk); i++)
            {
                values[i] = valueAt(seed, start + (ulong)i * wordsEach);
            }
        });
        return values;
    }

    /// <summary>Takes words, of which it returns the place of the first.</summary>
    private ulong Advance(ulong words)
    {
        GraphPart.Draws(this);
        var first = Position;
        Position += words;
        return first;
    }
}
