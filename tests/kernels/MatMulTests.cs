using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Products against a triple loop in double, on every code path that this machine has.
/// </summary>
internal class MatMulTests
{
    // Sizes about the edges of tiles (4, 6, 8, 12 rows; 8, 16, 32, 48 columns), of the skinny products (16 lines, 48
    // rows, rows of 64) and of the cuts of the inner dimension (1024).
    private static readonly (int M, int N, int K)[] Sizes =
    [
        (1, 1, 1), (1, 1, 7), (2, 3, 5), (1, 97, 33), (97, 1, 33), (3, 50, 2), (50, 3, 129), (17, 18, 1), (12, 32, 4),
            (13, 33, 3), (18, 17, 64),
        (25, 31, 70), (24, 64, 257), (7, 100, 513), (100, 16, 1030), (96, 8, 40), (40, 130, 300), (250, 47, 19),
            (33, 257, 5), (29, 19, 0), (5, 4, 0),
        // few rows beside a large Wᵀ, columns that fill one register, rows a way of the cache apart
        (17, 80, 400), (50, 230, 800), (13, 14, 200), (130, 7, 150), (30, 60, 1024), (64, 300, 33),
        // up to 192 rows beside a larger Wᵀ, two steps of the inner dimension
        (100, 430, 140), (24, 50, 1030), (20, 100, 1030),
        (1, 8, 70), (70, 1, 8), (8, 60, 1), (49, 16, 63), (24, 48, 385), (17, 142, 40), (23, 33, 9),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from set in InstructionSets.Supported
        from size in Sizes
        from transposeA in new[] { false, true }
        from transposeB in new[] { false, true }
        select new TestCaseData(set, size.M, size.N, size.K, transposeA, transposeB)
            .SetName($"Product [{size.M}, {size.K}]{(transposeA ? "ᵀ" : "")} · [{size.K}, "
                + $"{size.N}]{(transposeB ? "ᵀ" : "")} on {set}");

    [TestCaseSource(nameof(Cases))]
    public void Product_equals_the_reference(InstructionSet set, int m, int n, int k, bool transposeA, bool transposeB)
    {
        using var backend = new CpuBackend(threads: 2, set);
        foreach (var (scale, accumulate) in new[] { (1f, false), (1f, true), (-0.75f, false), (0.5f, true) })
        {
            foreach (var layout in new[] { Layout.Dense, Layout.Strided })
            {
                var product = new ProductCase(backend, m, n, k, transposeA, transposeB, batch: 1, layout);
                product.Run(scale, accumulate);
                product.AssertEqualsReference(scale, accumulate);
            }
        }
    }

    // Panels enough for each thread to pack its own: of 48 columns and of 32, more rows than a piece has, two steps of
    // the inner dimension, and rows that are packed because they lie a way of the cache apart.
    [Test]
    public void Large_products_are_cut_by_rows_columns_and_depth(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool transposeA, [Values] bool transposeB)
    {
        using var backend = new CpuBackend(threads: 2, set);
        foreach (var (m, n, k, layout) in new[] { (1030, 430, 130, Layout.Strided), (193, 384, 1030, Layout.Strided),
            (200, 400, 1024, Layout.Dense) })
        {
            var product = new ProductCase(backend, m, n, k, transposeA, transposeB, batch: 1, layout);
            product.Run(0.5f, accumulate: m == 193);
            product.AssertEqualsReference(0.5f, accumulate: m == 193);
        }
    }

    [Test]
    public void A_matrix_or_a_row_is_added_where_the_product_is_written(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool everyRow, [Values] bool transposeB)
    {
        using var backend = new CpuBackend(threads: 2, set);
        foreach (var (m, n, k) in Sizes)
        {
            ProductPlusCase.Check(backend, m, n, k, transposeB, everyRow);
        }
    }

    [Test]
    public void Batched_products_equal_the_reference(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool transposeA, [Values] bool transposeB, [Values] bool accumulate, [Values] Layout layout)
    {
        using var backend = new CpuBackend(threads: 2, set);
        foreach (var (m, n, k) in new[] { (5, 7, 3), (30, 20, 33), (1, 40, 8), (0, 3, 2) })
        {
            var product = new ProductCase(backend, m, n, k, transposeA, transposeB, batch: 3, layout);
            product.Run(0.5f, accumulate);
            product.AssertEqualsReference(0.5f, accumulate);
        }
    }

    [Test]
    public void Large_matrices_of_a_batch_are_computed_by_all_threads()
    {
        using var backend = new CpuBackend(threads: 2);
        var product = new ProductCase(backend, 210, 220, 230, false, false, batch: 2, Layout.Heads);
        product.Run(1, accumulate: false);
        product.AssertEqualsReference(1, accumulate: false);
    }

    [Test]
    public void The_same_matrix_may_serve_a_whole_batch()
    {
        using var backend = new CpuBackend(threads: 2);
        var shared = new ProductCase(backend, 9, 10, 11, false, true, batch: 4, Layout.Dense, sharedB: true);
        shared.Run(1, accumulate: true);
        shared.AssertEqualsReference(1, accumulate: true);
    }

    [Test]
    public void A_slab_larger_than_the_packing_buffers_is_cut()
    {
        using var backend = new CpuBackend(threads: 2);
        foreach (var (m, n, k) in new[] { (8200, 20, 17), (24, 1600, 1030) })
        {
            var product = new ProductCase(backend, m, n, k, false, false, batch: 1, Layout.Dense);
            product.Run(1, accumulate: false);
            product.AssertEqualsReference(1, accumulate: false);
        }
    }

    [Test]
    public void Any_number_of_threads_gives_the_same_bits(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set)
    {
        foreach (var (m, n, k) in new[] { (130, 200, 600), (128, 8, 768), (768, 8, 700), (8, 300, 1100), (1, 500, 300),
            (500, 1, 300), (200, 430, 1030) })
        {
            foreach (var (transposeA, transposeB) in new[] { (false, false), (true, false), (false, true),
                (true, true) })
            {
                float[]? first = null;
                foreach (var threads in new[] { 1, 2, 3 })
                {
                    using var backend = new CpuBackend(threads, set);
                    var product = new ProductCase(backend, m, n, k, transposeA, transposeB, batch: 1, Layout.Dense);
                    product.Run(0.3f, accumulate: true);
                    var y = product.Y();
                    first ??= y;
                    Assert.That(y.AsSpan().SequenceEqual(first), $"{m} × {n} × {k} with {threads} threads");
                }
            }
        }
    }

    [Test]
    public void A_single_thread_product_gives_the_bits_of_the_parallel_one(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set)
    {
        using var backend = new CpuBackend(threads: 2, set);
        using var scratch = new Scratch();
        var product = new ProductCase(backend, 70, 90, 300, true, true, batch: 1, Layout.Strided);
        product.Run(2, accumulate: true);
        var expected = product.Y();
        product.RunOnOneThread(2, accumulate: true, scratch);
        Assert.That(product.Y().AsSpan().SequenceEqual(expected));
    }

    [Test]
    public void A_product_in_steady_state_allocates_nothing()
    {
        using var backend = new CpuBackend(threads: 2);
        var large = new ProductCase(backend, 100, 100, 30, false, true, batch: 1, Layout.Dense);
        var panels = new ProductCase(backend, 200, 400, 130, true, true, batch: 1, Layout.Dense);
        var skinny = new ProductCase(backend, 100, 8, 30, true, false, batch: 1, Layout.Dense);
        var batched = new ProductCase(backend, 20, 20, 30, false, true, batch: 6, Layout.Heads);
        void RunAll()
        {
            large.RunAgain();
            panels.RunAgain();
            skinny.RunAgain();
            batched.RunAgain();
        }
        Assert.That(Allocations.Least(RunAll, times: 40), Is.LessThan(40 * 24), "less than the smallest object a run");
    }
}
