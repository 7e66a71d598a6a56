using LoraScratch.Kernels;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Matrix products of the GPU backend, every tile in every way of reading, at shapes of one or two
/// tiles: a group of 256 threads is a slow thing on ILGPU's simulator.
/// </summary>
[Parallelizable]
[TestFixtureSource(typeof(Gpus), nameof(Gpus.Fixtures))]
public class GpuProductTests(GpuCase gpu)
{
    private IBackend backend = null!;
    private ProductPlan plan;
    private int depthOfSecond;          // of a second product, which is planned as Small; −1: there is none

    private static string[] Tiles => Enum.GetNames<ProductTile>();

    [OneTimeSetUp]
    public void Open()
    {
        backend = gpu.Open(groupThreads: 8, (_, _, depth, _) =>
            depth == depthOfSecond ? new ProductPlan(ProductTile.Small, false, 1, depth) : plan);
    }

    [SetUp]
    public void NoSecondProduct() => depthOfSecond = -1;

    [OneTimeTearDown]
    public void Close() => backend?.Dispose();

    /// <summary>
    /// Over the edge of a tile in one direction, by multiples of 4 where four are read at once.
    /// </summary>
    [Test]
    public void Every_tile_reads_every_layout([ValueSource(nameof(Tiles))] string tile, [Values] bool transposeA,
        [Values(Layout.Dense, Layout.Strided)] Layout layout)
    {
        var oneTile = new ProductPlan(Enum.Parse<ProductTile>(tile), false, 1, 32);
        // every pair, in one tile or another
        var transposeB = transposeA != (oneTile.Tile is ProductTile.Large or ProductTile.Thin32);
        var (m, n, k) = layout == Layout.Dense ? (12, oneTile.Columns + 4, 20) : (oneTile.Rows + 1, 5, 19);
        AssertProduct(oneTile, m, n, k, transposeA, transposeB, layout, scale: -0.75f,
            accumulate: layout == Layout.Dense);
    }

    [Test]
    public void Parts_of_the_depth_are_added(
        [Values(nameof(ProductTile.Large), nameof(ProductTile.Small), nameof(ProductTile.Thin8))] string tile, [Values]
            bool accumulate) =>
        AssertProduct(new ProductPlan(Enum.Parse<ProductTile>(tile), false, 3, 16), 9, 8, 41, false, false,
            Layout.Heads, scale: 0.5f, accumulate);

    [Test]
    public void A_product_with_few_rows_is_computed_transposed(
        [Values(nameof(ProductTile.Thin8), nameof(ProductTile.Thin16), nameof(ProductTile.Thin32))] string tile,
            [Values(1, 2)] int parts) =>
        AssertProduct(new ProductPlan(Enum.Parse<ProductTile>(tile), true, parts, 16), 5, 67 + parts, 9 * parts, true,
            false, Layout.Dense, scale: 2, accumulate: true);

    [Test]
    public void Every_matrix_of_a_batch_is_multiplied([Values(1, 2)] int parts, [Values] Layout layout) =>
        AssertProduct(new ProductPlan(ProductTile.Small, false, parts, 32 / parts), 4, 8, 17, false, true, layout,
            scale: 1, accumulate: true, batch: 3);

    [Test]
    public void The_same_matrix_may_serve_a_whole_batch() =>
        AssertProduct(new ProductPlan(ProductTile.Thin8, false, 1, 16), 4, 8, 8, false, true, Layout.Dense, scale: 1,
            accumulate: false, batch: 2, sharedB: true);

    /// <summary>
    /// By fours and one by one, as tiles, in parts, transposed and element by element.
    /// </summary>
    [Test]
    public void A_matrix_or_a_row_is_added_where_the_product_is_written([Values] bool everyRow,
        [Values(8, 7)] int columns, [Values] bool mirrored, [Values(1, 2)] int parts)
    {
        foreach (var tile in new[] { ProductTile.Thin8, ProductTile.Element })
        {
            plan = new ProductPlan(tile, mirrored && tile != ProductTile.Element, parts, 16);
            ProductPlusCase.Check(backend, 5, columns, 16 * parts, transposeB: true, everyRow);
        }
    }

    /// <summary>
    /// By fours and one by one, in one part and in several, and in every layout.
    /// </summary>
    [Test]
    public void A_second_product_is_added_where_the_first_is_written(
        [Values(nameof(ProductTile.Large), nameof(ProductTile.Small), nameof(ProductTile.Thin8))] string tile,
        [Values(8, 7)] int columns, [Values(1, 3)] int parts)
    {
        const int rank = 5, depth = 41;
        (plan, depthOfSecond) = (new ProductPlan(Enum.Parse<ProductTile>(tile), false, parts, parts == 1 ? depth : 16),
            rank);
        foreach (var z in Enum.GetValues<Addend>())
        {
            var sum = new SumOfProductsCase(9, columns, depth, rank, z, (false, true, z == Addend.Row,
                z != Addend.None));
            var y = sum.InOne(backend);
            Assert.That(y.AsSpan().SequenceEqual(sum.OneAfterTheOther(backend)), $"{sum}");
            sum.AssertEqualsReference(y);
        }
    }

    [Test]
    public void An_empty_sum_is_zero([Values] bool accumulate) =>
        AssertProduct(new ProductPlan(ProductTile.Small, false, 1, 0), 3, 4, 0, false, false, Layout.Strided, scale: 1,
            accumulate);

    [Test]
    public void An_empty_product_is_no_work() =>
        AssertProduct(new ProductPlan(ProductTile.Small, false, 1, 16), 0, 4, 3, false, false, Layout.Dense, scale: 1,
            accumulate: false);

    /// <summary>
    /// More bands than one, the last of them not full: a tile that is computed twice or not at all
    /// is found out.
    /// </summary>
    [Test]
    public void Tiles_cover_a_high_matrix() =>
        AssertProduct(new ProductPlan(ProductTile.Thin8, false, 1, 16), 9 * 64 - 3, 10, 3, false, false, Layout.Dense,
            scale: 1, accumulate: false);

    [TestCase(3, 2, 7)]
    [TestCase(4, 8, 130, Description = "in two parts")]
    [TestCase(2, 20, 5, Description = "mirrored")]
    [TestCase(33, 36, 4)]
    public void A_product_is_cut_by_its_shape(int m, int n, int k) =>
        AssertProduct(ProductPlan.For(m, n, k, batch: 1), m, n, k, false, true, Layout.Dense, scale: 1,
            accumulate: true);

    [Test]
    public void The_same_product_gives_the_same_bits()
    {
        plan = new ProductPlan(ProductTile.Thin16, false, 4, 16);
        var product = new ProductCase(backend, 10, 12, 64, false, false, batch: 1, Layout.Dense);
        product.Run(0.3f, accumulate: true);
        var first = product.Y();
        product.Run(0.3f, accumulate: true);
        Assert.That(product.Y().AsSpan().SequenceEqual(first));
    }

    private void AssertProduct(ProductPlan plan, int m, int n, int k, bool transposeA, bool transposeB, Layout layout,
        float scale, bool accumulate,
        int batch = 1, bool sharedB = false)
    {
        this.plan = plan;
        var product = new ProductCase(backend, m, n, k, transposeA, transposeB, batch, layout, sharedB);
        product.Run(scale, accumulate);
        product.AssertEqualsReference(scale, accumulate);
    }
}
