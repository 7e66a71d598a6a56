namespace LoraScratch.Kernels.Gpu;

/// <summary>The tiles that a product can be cut into.</summary>
internal enum ProductTile
{
    /// <summary>128 × 128</summary>
    Large,

    /// <summary>64 × 64</summary>
    Small,

    /// <summary>64 × 32</summary>
    Thin32,

    /// <summary>64 × 16</summary>
    Thin16,

    /// <summary>64 × 8</summary>
    Thin8,

    /// <summary>One element for each thread, without groups.</summary>
    Element,
}

/// <summary>
/// How a product is computed: a function of its shape alone, so that the same product has the same
/// bits on every GPU.
/// </summary>
/// <param name="Tile">The tile of a group.</param>
/// <param name="Mirrored">
/// Yᵀ = Bᵀ·Aᵀ is computed: the tile's few columns are rows of Y. Never of the large tile, which has
/// not few.
/// </param>
/// <param name="Parts">
/// Into how many parts the depth is cut; their sums are added afterwards.
/// </param>
/// <param name="DepthOfPart">The depth of a part.</param>
internal readonly record struct ProductPlan(ProductTile Tile, bool Mirrored, int Parts, int DepthOfPart)
{
    // What a large GPU runs at a time: 132 processors (H100), on each two groups of the large tile or three of the
    // others.
    private const int Processors = 132, LargeGroups = 2 * Processors, SmallGroups = 3 * Processors;

    // Parts of less depth would spend more time on writing and adding their sums than on the product: a tile of side s
    // takes s² sums for s²·depth.
    private const int LeastDepthOfLarge = 256, LeastDepthOfSmall = 128, LeastDepthOfThin = 64;

    // Up to here a product is one tile, or a few, with not enough depth to share out.
    private const int MaxElements = 4096, MaxDepthOfElements = 64;

    /// <summary>Rows of the tile.</summary>
    public int Rows => Tile == ProductTile.Large ? 128 : 64;

    /// <summary>Columns of the tile.</summary>
    public int Columns => Tile switch
    {
        ProductTile.Large => 128,
        ProductTile.Small => 64,
        ProductTile.Thin32 => 32,
        ProductTile.Thin16 => 16,
        _ => 8
    };

    /// <summary>The plan for a product.</summary>
    /// <param name="m">Rows of Y.</param>
    /// <param name="n">Columns of Y.</param>
    /// <param name="k">The inner dimension.</param>
    /// <param name="batch">How many products.</param>
    public static ProductPlan For(int m, int n, int k, int batch)
    {
        if (k <= MaxDepthOfElements && (long)m * n * batch <= MaxElements)
        {
            return new ProductPlan(ProductTile.Element, false, 1, k);
        }
        if (Math.Min(m, n) <= 32)
        {
            var tile = Math.Min(m, n) switch
            {
                <= 8 => ProductTile.Thin8,
                <= 16 => ProductTile.Thin16,
                _ =>
                ProductTile.Thin32
            };
            return Cut(tile, mirrored: m < n, m, n, k, batch, SmallGroups, LeastDepthOfThin);
        }
        // Large tiles read less shared memory for each multiply-add, but only pay where they keep every processor busy.
        var large = Cut(ProductTile.Large, false, m, n, k, batch, LargeGroups, LeastDepthOfLarge);
        return large.Groups(m, n, batch) >= Processors
            ? large : Cut(ProductTile.Small, false, m, n, k, batch, SmallGroups, LeastDepthOfSmall);
    }

    /// <summary>Tiles below each other in a product with so many rows and columns.</summary>
    public int TilesDown(int m, int n) => Quotient(Mirrored ? n : m, Rows);

    /// <summary>Tiles side by side.</summary>
    public int TilesAcross(int m, int n) => Quotient(Mirrored ? m : n, Columns);

    /// <summary>Groups that compute the product.</summary>
    public int Groups(int m, int n, int batch) => checked(TilesDown(m, n) * TilesAcross(m, n) * batch * Parts);

    /// <summary>As many parts as run at a time beside each other, none too thin.</summary>
    private static ProductPlan Cut(ProductTile tile, bool mirrored, int m, int n, int k, int batch, int groups,
        int leastDepth)
    {
        var whole = new ProductPlan(tile, mirrored, 1, k);
        var parts = Math.Clamp(groups / Math.Max(whole.Groups(m, n, batch), 1), 1, Math.Max(k / leastDepth, 1));
        const int multiple = 16;                            // of every tile's depth
        var depthOfPart = Quotient(Quotient(k, parts), multiple) * multiple;
        return whole with { Parts = Math.Max(Quotient(k, Math.Max(depthOfPart, 1)), 1), DepthOfPart = depthOfPart };
    }

    private static int Quotient(int total, int part) => (total + part - 1) / part;
}
