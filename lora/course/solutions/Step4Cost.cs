namespace LoraScratch.Course;

/// <summary>Step 4, solved.</summary>
internal static class Step4Cost
{
    /// <summary>dY·Bᵀ costs N·out·r, Xᵀ·dH costs in·N·r.</summary>
    public static long ThroughTheRank(long n, long inFeatures, long outFeatures, long rank) =>
        n * rank * (inFeatures + outFeatures);

    /// <summary>Xᵀ·dY costs in·N·out, as a full fine-tune's dW; ·Bᵀ costs in·out·r.</summary>
    public static long ThroughTheWeight(long n, long inFeatures, long outFeatures, long rank) =>
        inFeatures * outFeatures * (n + rank);

    /// <summary>[N, r], and [in, out]: as large as W.</summary>
    public static (long ThroughTheRank, long ThroughTheWeight) BytesInTheBracket(long n, long inFeatures,
        long outFeatures, long rank) => (4 * n * rank, 4 * inFeatures * outFeatures);

    /// <summary>Six products of N·d·r beside two of N·d·d: 3·r/d.</summary>
    public static double AddedWork(long d, long rank) => 3.0 * rank / d;
}
