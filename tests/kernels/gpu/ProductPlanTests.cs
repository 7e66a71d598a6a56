using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>How products are cut for a GPU.</summary>
public class ProductPlanTests
{
    [TestCase(4096, 4096, 4096, nameof(ProductTile.Large), 1, Description = "a large square")]
    [TestCase(1024, 1024, 1024, nameof(ProductTile.Large), 4,
        Description = "64 tiles do not fill a GPU: the depth is cut")]
    [TestCase(512, 512, 512, nameof(ProductTile.Small), 4, Description = "too shallow to cut large tiles")]
    [TestCase(4096, 768, 768, nameof(ProductTile.Large), 1, Description = "x·Wᵀ of 32 × 128 tokens")]
    [TestCase(4096, 768, 8, nameof(ProductTile.Large), 1, Description = "z·B: no more than one panel deep")]
    [TestCase(4096, 8, 768, nameof(ProductTile.Thin8), 6, Description = "x·A")]
    [TestCase(4096, 16, 768, nameof(ProductTile.Thin16), 6, Description = "x·A, rank 16")]
    [TestCase(768, 8, 4096, nameof(ProductTile.Thin8), 32, Description = "dA = xᵀ·u")]
    [TestCase(768, 768, 4096, nameof(ProductTile.Large), 7, Description = "dW = xᵀ·dY")]
    [TestCase(128, 768, 768, nameof(ProductTile.Small), 6, Description = "x·Wᵀ of one short text")]
    [TestCase(33, 33, 70, nameof(ProductTile.Small), 1, Description = "little more than a tile")]
    [TestCase(33, 33, 10, nameof(ProductTile.Element), 1, Description = "next to nothing")]
    [TestCase(5, 4, 0, nameof(ProductTile.Element), 1, Description = "an empty sum")]
    public void A_product_takes_the_tile_and_the_parts_that_fill_a_GPU(int m, int n, int k, string tile, int parts)
    {
        var plan = ProductPlan.For(m, n, k, batch: 1);
        Assert.That((plan.Tile, plan.Parts), Is.EqualTo((Enum.Parse<ProductTile>(tile), parts)));
        Assert.That(plan.Mirrored, Is.False);
    }

    [TestCase(8, 768, 4096, nameof(ProductTile.Thin8), Description = "dB = zᵀ·dY")]
    [TestCase(1, 3072, 768, nameof(ProductTile.Thin8), Description = "a single row")]
    [TestCase(32, 768, 768, nameof(ProductTile.Thin32), Description = "32 rows")]
    public void Few_rows_are_the_columns_of_the_transposed_product(int m, int n, int k, string tile)
    {
        var plan = ProductPlan.For(m, n, k, batch: 1);
        Assert.That((plan.Tile, plan.Mirrored), Is.EqualTo((Enum.Parse<ProductTile>(tile), true)));
        Assert.That(plan.TilesDown(m, n), Is.EqualTo((n + 63) / 64));
        Assert.That(plan.TilesAcross(m, n), Is.EqualTo(1));
    }

    [Test]
    public void The_parts_cover_the_depth_and_none_is_empty()
    {
        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var (m, n, k, batch) = (1 + random.Next(1 << random.Next(13)), 1 + random.Next(1 << random.Next(13)),
                random.Next(1 << random.Next(16)), 1 + random.Next(20));
            var plan = ProductPlan.For(m, n, k, batch);
            var what = $"{batch} × [{m}, {k}] · [{k}, {n}]: {plan}";
            Assert.That((long)plan.Parts * plan.DepthOfPart, Is.GreaterThanOrEqualTo(k), what);
            Assert.That(plan.Parts == 1 || (plan.Parts - 1) * plan.DepthOfPart < k, what);
            Assert.That(plan.Parts == 1 || plan.DepthOfPart % 16 == 0, what);
            Assert.That(plan.Parts == 1 || plan.Groups(m, n, batch) <= 3 * 132, what);
        }
    }

    [Test]
    public void A_batch_fills_the_GPU_without_cutting_the_depth() =>
    Assert.That(ProductPlan.For(64, 64, 4096, batch: 384).Parts, Is.EqualTo(1));
}
