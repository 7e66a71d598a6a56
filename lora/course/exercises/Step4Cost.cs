namespace LoraScratch.Course;

/// <summary>
/// Step 4, what is never formed, and what it would cost. One multiply-add is one product and the
/// addition of it: a product [m, k]·[k, n] has m·k·n of them. float32: 4 bytes a number.
/// </summary>
internal static class Step4Cost
{
    /// <summary>Multiply-adds of dA = Xᵀ·(dY·Bᵀ), bracketed through the rank.</summary>
    public static long ThroughTheRank(long n, long inFeatures, long outFeatures, long rank)
    {
        throw new ToComplete("two products: [N, out]·[out, r], then [in, N]·[N, r]");
    }

    /// <summary>Multiply-adds of dA = (Xᵀ·dY)·Bᵀ, the other bracket.</summary>
    public static long ThroughTheWeight(long n, long inFeatures, long outFeatures, long rank)
    {
        throw new ToComplete("two products: [in, N]·[N, out], then [in, out]·[out, r]");
    }

    /// <summary>Bytes of what stands in the bracket, for either.</summary>
    public static (long ThroughTheRank, long ThroughTheWeight) BytesInTheBracket(long n, long inFeatures,
        long outFeatures, long rank)
    {
        throw new ToComplete("4 bytes for each number of dY·Bᵀ, and of Xᵀ·dY");
    }

    /// <summary>
    /// What the adapter adds to a forward and backward pass of a square layer (in = out = d) with a
    /// frozen weight, as a share of the layer's own multiply-adds.
    /// </summary>
    public static double AddedWork(long d, long rank)
    {
        throw new ToComplete("(X·A, H·B, dB, dH, dA, dH·Aᵀ) over (X·Wᵀ, dY·W)");
    }
}
