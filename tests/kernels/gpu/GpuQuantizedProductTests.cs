using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Products with packed weights of the GPU backend, at tiny shapes; a weight of more than one slab,
/// too.
/// </summary>
[TestFixtureSource(typeof(Gpus), nameof(Gpus.Fixtures))]
public class GpuQuantizedProductTests(GpuCase gpu)
{
    private IBackend backend = null!;

    [OneTimeSetUp]
    public void Open()
    {
        backend = gpu.Open(groupThreads: 8, decodedAtATime: 100);
    }

    [OneTimeTearDown]
    public void Close() => backend?.Dispose();

    [Test]
    public void Product_with_a_packed_weight_equals_the_reference([Values(2, 3, 4, 8)] int bits, [Values] bool forward,
        [Values] bool accumulate)
    {
        foreach (var (rows, outputs, inputs, groupSize, gap) in new[] { (1, 1, 16, 16, 0), (3, 7, 32, 16, 2),
            (2, 5, 48, 48, 0), (5, 4, 64, 32, 1) })
        {
            new QuantizedProductCase(backend, rows, new RandomWeight(outputs, inputs, bits, groupSize), forward,
                gap).AssertEqualsReference(accumulate);
        }
    }
}
