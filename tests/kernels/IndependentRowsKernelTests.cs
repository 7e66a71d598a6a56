using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Rows that are computed as few, or as many, have the same bits alone and among others, on every
/// code path.
/// </summary>
[Parallelizable]
internal class IndependentRowsKernelTests
{
    private const int Rows = 45;

    // the cuts of a product's rows: 16 and fewer are few; 45 ends in the middle of every tile
    private static readonly int[][] Parts = [[.. Enumerable.Repeat(1, Rows)], [16, 17, 12], [44, 1], [3, 42]];

    // with a small rank on either side, wide, deep and shallow, few columns, edges of tiles, and last a product whose
    // low-rank update is cut otherwise for few rows than for many
    private static readonly (int Columns, int Depth, int Rank)[] Sizes =
    [
        (64, 70, 64), (8, 200, 8), (40, 24, 40), (2, 130, 2), (50, 400, 8), (49, 8, 49), (16, 300, 16), (17, 129, 4),
        (100, 33, 100), (300, 9, 8),
    ];

    private static IEnumerable<TestCaseData> Devices()
    {
        foreach (var set in InstructionSets.Supported)
        {
            yield return new TestCaseData(new BackendCase(set.Name(), () => new CpuBackend(2, set)))
                .SetArgDisplayNames(set.Name());
        }
        yield return new TestCaseData(new BackendCase("simulator", () => GpuCase.Simulator.Open(groupThreads: 4),
            Categories.Simulator)).SetArgDisplayNames("GPU simulator").In(Categories.Simulator);
        foreach (var gpu in Gpus.Backends)
        {
            yield return new TestCaseData(gpu).SetArgDisplayNames($"{gpu}").In(gpu.Category);
        }
    }

    [TestCaseSource(nameof(Devices))]
    public void A_row_has_the_same_bits_alone_and_among_others(BackendCase device)
    {
        using var backend = device.Backend;
        // each product takes the simulator a fifth of a second
        var (sizes, cuts) = device.IsSimulated ? ([Sizes[1], Sizes[^1]], Parts[3..]) : (Sizes, Parts);
        foreach (var (columns, depth, rank) in sizes)
        {
            foreach (var transposed in new[] { false, true })
            {
                foreach (var asRows in new[] { IndependentRows.Few, IndependentRows.Many })
                {
                    var together = Product(backend, [Rows], columns, depth, rank, transposed, asRows);
                    foreach (var parts in cuts)
                    {
                        Assert.That(Product(backend, parts, columns, depth, rank, transposed, asRows).AsSpan()
                            .SequenceEqual(together), $"[{string.Join(" + ", parts.Distinct())}, {depth}]·[{depth}, "
                                + $"{columns}]{(transposed ? "ᵀ" : "")} as {asRows} rows");
                    }
                }
            }
        }
    }

    // as few rows, as many and in each thread's own panels, in two steps of the depth
    [Test]
    public void So_has_one_of_a_large_product(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool transposed)
    {
        using var backend = new CpuBackend(2, set);
        foreach (var asRows in new[] { IndependentRows.Few, IndependentRows.Many })
        {
            var together = Product(backend, [200], 430, 1030, 8, transposed, asRows);
            foreach (var parts in new int[][] { [1, 199], [100, 100] })
            {
                Assert.That(Product(backend, parts, 430, 1030, 8, transposed, asRows).AsSpan().SequenceEqual(together),
                    $"{string.Join(" + ", parts)} as {asRows} rows");
            }
        }
    }

    /// <summary>
    /// Y ← Y + 0.3·X·W, then Y ← X·W + 0.3·Y[:, rank]·D, some rows at a time.
    /// </summary>
    private static float[] Product(IBackend backend, int[] parts, int columns, int depth, int rank, bool transposed,
        int asRows)
    {
        var random = new Random(columns * depth);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        var (x, w, y) = (Values(parts.Sum() * depth), Values(depth * columns), Values(parts.Sum() * columns));
        using var second = backend.Allocate<float>(rank * columns);
        backend.Upload<float>(second, Values(rank * columns));
        using var weight = backend.Allocate<float>(w.Length);
        backend.Upload<float>(weight, w);
        var matrix = transposed ? new Matrix(weight, columns, depth).T : new Matrix(weight, depth, columns);
        using var independent = IndependentRows.As(asRows);
        var first = 0;
        foreach (var rows in parts)
        {
            using var left = backend.Allocate<float>(rows * depth);
            using var result = backend.Allocate<float>(rows * columns);
            backend.Upload<float>(left, x.AsSpan(first * depth, rows * depth));
            backend.Upload<float>(result, y.AsSpan(first * columns, rows * columns));
            backend.AddProduct(new Matrix(result, rows, columns), new Matrix(left, rows, depth), matrix, 0.3f);
            using var sum = backend.Allocate<float>(rows * columns);
            backend.SumOfProducts(new Matrix(sum, rows, columns), null, new Matrix(left, rows, depth), matrix,
                new Matrix(result, rows, rank, columns), new Matrix(second, rank, columns), 0.3f);
            backend.Download(y.AsSpan(first * columns, rows * columns), sum);
            first += rows;
        }
        return y;
    }
}
