using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// The kernels of dynamic quantisation of the GPU backend, at tiny shapes: ILGPU's
/// simulator is slow.
/// </summary>
[TestFixtureSource(typeof(Gpus), nameof(Gpus.Fixtures))]
public class GpuInt8Tests(GpuCase gpu)
{
    private IBackend backend = null!;

    [OneTimeSetUp]
    public void Open()
    {
        backend = gpu.Open(groupThreads: 8);
    }

    [OneTimeTearDown]
    public void Close() => backend?.Dispose();

    [Test]
    public void Sums_are_exact()
    {
        foreach (var (rows, outputs, inputs) in new[] { (1, 1, 1), (2, 17, 5), (3, 33, 12), (5, 4, 31) })
        {
            Int8Case.Random(rows, outputs, inputs).AssertSumsAreExact(backend);
        }
        Int8Case.Of(1, 2, 600, (_, _) => 255, (j, _) => j == 0 ? 127 : -127).AssertSumsAreExact(backend);
    }

    [Test]
    public void Codes_are_those_of_the_page() => RowCodes.AssertFollowTheRule(backend, 3, 18);

    [Test]
    public void Sums_become_floats_as_the_page_says() => Int8Case.Random(3, 19, 6).AssertDequantizes(backend);
}
