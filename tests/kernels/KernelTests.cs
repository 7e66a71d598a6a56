using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// What the kernel tests share: a backend, buffers with values, and comparison with double
/// arithmetic.
/// </summary>
internal abstract class KernelTests(BackendCase backendCase)
{
    /// <summary>
    /// One, every register width and its neighbours, primes, and more than one block of work.
    /// </summary>
    protected static readonly int[] Lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 97, 1021, 16384, 40009];

    /// <summary>(rows, columns) of matrices, odd ones and several blocks of work.</summary>
    protected static readonly (int Rows, int Columns)[] Shapes =
        [(1, 1), (3, 1), (1, 2), (5, 7), (7, 8), (2, 9), (33, 15), (4, 16), (6, 17), (13, 31), (70, 33), (101, 64),
            (37, 131), (61, 768), (5, 9001)];

    private readonly List<IDisposable> lent = [];

    protected IBackend Backend { get; private set; } = null!;

    /// <summary>Whether a product takes it a fifth of a second.</summary>
    protected bool IsSimulated => backendCase.IsSimulated;

    [OneTimeSetUp]
    public void CreateBackend()
    {
        Backend = backendCase.Create();
    }

    [OneTimeTearDown]
    public void DisposeBackend() => Backend?.Dispose();

    [TearDown]
    public void GiveBuffersBack()
    {
        lent.ForEach(buffer => buffer.Dispose());
        lent.Clear();
    }

    protected DeviceBuffer<T> Lend<T>(params T[] values) where T : unmanaged
    {
        var buffer = Backend.Allocate<T>(values.Length);
        lent.Add(buffer);
        Backend.Upload<T>(buffer, values);
        return buffer;
    }

    protected float[] Read(DeviceBuffer<float> buffer)
    {
        var values = new float[buffer.Length];
        Backend.Download(values, buffer);
        return values;
    }

    /// <summary>Numbers in [−size, size).</summary>
    protected static float[] Numbers(int count, int seed, double size = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((2 * random.NextDouble() - 1) * size))];
    }

    protected static int[] Indices(int count, int below, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(below))];
    }

    protected static double[] Each(int count, Func<int, double> element) =>
        [.. Enumerable.Range(0, count).Select(element)];

    /// <summary>Every element within tolerance·max(1, |expected|).</summary>
    protected void AssertClose(DeviceBuffer<float> actual, double[] expected, double tolerance, string what) =>
        AssertClose(Read(actual), expected, tolerance, what);

    protected static void AssertClose(float[] actual, double[] expected, double tolerance, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        for (var i = 0; i < expected.Length; i++)
        {
            var error = Math.Abs(actual[i] - expected[i]) / Math.Max(1, Math.Abs(expected[i]));
            if (!(error <= tolerance))
            {
                Assert.Fail($"{what}: element {i} is {actual[i]:R}, expected {expected[i]:R} (error {error:E2}, "
                    + $"allowed {tolerance:E1})");
            }
        }
    }
}
