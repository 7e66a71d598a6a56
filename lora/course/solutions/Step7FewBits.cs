namespace LoraScratch.Course;

/// <summary>Step 7, solved.</summary>
internal static class Step7FewBits
{
    /// <summary>
    /// A product with a constant matrix, P(X) = κ·X·G, and so as easy to differentiate.
    /// </summary>
    public static double[] Pool(double[] x, int groupSize, double kappa) =>
        [.. x.Chunk(groupSize).Select(group => kappa * group.Sum())];

    /// <summary>
    /// α·q − α·ζ′ = α·q − α·ζ + s·κ·(A·B), so −α·ζ′ = −α·ζ + s·κ·(A·B), and ζ′ = ζ − s·κ·(A·B)/α.
    /// q fell out: the codes stay.
    /// </summary>
    public static double MergedZero(double zero, double scale, double s, double kappa, double product) =>
        zero - s * kappa * product / scale;

    /// <summary>[in, r] and [in/g, r].</summary>
    public static (int LoRA, int QALoRA) NumbersInA(int inFeatures, int rank, int groupSize) =>
        (inFeatures * rank, inFeatures / groupSize * rank);
}
