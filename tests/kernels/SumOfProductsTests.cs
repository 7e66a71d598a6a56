using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>A product with a second one added to it in the same kernel.</summary>
[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
[Parallelizable]
internal sealed class SumOfProductsTests(BackendCase backendCase) : KernelTests(backendCase)
{
    private static readonly (int M, int N, int K, int Rank)[] Small =
        [(5, 7, 9, 2), (17, 18, 1, 3), (20, 9, 0, 4), (9, 20, 4, 0)];

    // few rows and many, edges of tiles, deep second products
    private static readonly (int M, int N, int K, int Rank)[] Sizes =
    [
        .. Small, (1, 40, 300, 8), (24, 96, 40, 8), (25, 97, 770, 5), (32, 140, 65, 4), (64, 300, 33, 64),
        (50, 230, 800, 16), (40, 900, 390, 7), (30, 40, 70, 65), (130, 48, 100, 1),
    ];

    // two steps of the depth, the second product with the last: in slabs, with few rows, in each thread's own panels
    private static readonly (int M, int N, int K, int Rank)[] Deep =
        [(40, 60, 1030, 7), (40, 200, 1030, 8), (200, 430, 1030, 16)];

    [Test]
    public void It_has_the_bits_of_the_two_products_one_after_the_other([Values] Addend z, [Values] bool transposeB,
        [Values] bool transposeSecond)
    {
        foreach (var (m, n, k, rank) in IsSimulated ? Small : Sizes)
        {
            var sum = new SumOfProductsCase(m, n, k, rank, z, (false, transposeB, transposeSecond,
                transposeSecond));
            var y = sum.InOne(Backend);
            Assert.That(y.AsSpan().SequenceEqual(sum.OneAfterTheOther(Backend)), $"{sum}");
            sum.AssertEqualsReference(y);
        }
    }

    [Test]
    public void So_it_has_where_the_first_is_deep([Values] bool transposeA, [Values] bool transposeB,
        [Values] bool transposeSecond)
    {
        foreach (var (m, n, k, rank) in IsSimulated ? [] : Deep)
        {
            var sum = new SumOfProductsCase(m, n, k, rank, Addend.Row, (transposeA, transposeB, transposeSecond,
                transposeSecond));
            Assert.That(sum.InOne(Backend).AsSpan().SequenceEqual(sum.OneAfterTheOther(Backend)), $"{sum}");
        }
    }
}

/// <summary>On one thread and on several.</summary>
internal sealed class SumOfProductsThreadsTests
{
    [Test]
    public void Any_number_of_threads_gives_the_same_bits(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set)
    {
        foreach (var (m, n, k, rank) in new[] { (130, 200, 600, 8), (32, 300, 400, 16), (8, 300, 100, 4),
            (200, 430, 1030, 8) })
        {
            var sum = new SumOfProductsCase(m, n, k, rank, Addend.Row, (A: false, B: true, C: false, D: false));
            float[]? first = null;
            foreach (var threads in new[] { 1, 2, 3 })
            {
                using var backend = new CpuBackend(threads, set);
                var y = sum.InOne(backend);
                first ??= y;
                Assert.That(y.AsSpan().SequenceEqual(first), $"{sum} with {threads} threads");
            }
        }
    }
}
