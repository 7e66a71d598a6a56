namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
internal class TransposeKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    // One, the sides of the tiles that backends move as a whole (4, 32, 64) and their neighbours, and several tiles.
    [Test]
    public void Every_element_moves([Values(1, 3, 4, 32, 63, 64, 130)] int rows, [Values(1, 2, 5, 33, 64, 67, 200)]
        int columns)
    {
        var x = Numbers(rows * columns, 1);
        var y = Lend(new float[x.Length]);
        Backend.Transpose(y, Lend(x), rows, columns);
        Assert.That(Read(y), Is.EqualTo(from j in Enumerable.Range(0, columns)
                                        from i in Enumerable.Range(0, rows)
                                        select x[i * columns + j]));
    }
}
