using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>Numbers for tests, the same in every run, and how close two arrays must be.</summary>
public static class Values
{
    /// <summary>
    /// Normal numbers from System.Random, which has nothing to do with the product's generator.
    /// </summary>
    public static float[] Normal(int count, int seed, double scale = 1)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = (float)(scale * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()))
                * Math.Cos(2 * Math.PI * random.NextDouble()));
        }
        return values;
    }

    /// <summary>A leaf of normal numbers.</summary>
    public static Tensor Leaf(IBackend backend, int seed, Shape shape, bool requiresGradient = true) =>
        Tensor.From(Normal(shape.Count, seed), shape, backend, requiresGradient);

    public static double[] ToDouble(float[] values) => Array.ConvertAll(values, value => (double)value);

    /// <summary>
    /// |got − expected| ≤ tolerance · (|expected| + the largest |expected|, at least 0.1), in every
    /// element.
    /// </summary>
    public static void AssertClose(float[] got, double[] expected, double tolerance, string what)
    {
        Assert.That(got, Has.Length.EqualTo(expected.Length), what);
        var scale = expected.Length == 0 ? 0 : Math.Max(0.1, expected.Max(Math.Abs));
        for (var i = 0; i < got.Length; i++)
        {
            var allowed = tolerance * (Math.Abs(expected[i]) + scale);
            Assert.That(Math.Abs(got[i] - expected[i]) <= allowed, Is.True,
                $"{what}[{i}]: got {got[i]:G9}, expected {expected[i]:G9}, allowed error {allowed:G2}");
        }
    }

    public static void AssertClose(float[] got, float[] expected, double tolerance, string what) =>
        AssertClose(got, ToDouble(expected), tolerance, what);

    /// <summary>Equal bit by bit.</summary>
    public static void AssertSameBits(float[] got, float[] expected, string what) =>
        Assert.That(Array.ConvertAll(got, BitConverter.SingleToInt32Bits),
            Is.EqualTo(Array.ConvertAll(expected, BitConverter.SingleToInt32Bits)), what);
}
