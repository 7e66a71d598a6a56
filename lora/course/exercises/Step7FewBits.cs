namespace LoraScratch.Course;

/// <summary>
/// Step 7, QA-LoRA. A weight of a few bits is ŵ = α·(q − ζ): its code q is a whole number, scale α
/// and zero ζ belong to a group of g neighbouring inputs.
/// </summary>
internal static class Step7FewBits
{
    /// <summary>P(x)[l] = κ·Σᵢ x[l·g + i], one number for each group.</summary>
    /// <param name="x">[in]</param>
    /// <param name="groupSize">g, a divisor of in</param>
    /// <param name="kappa">κ: 1/g for the mean of a group, 1 for its sum.</param>
    /// <returns>[in/g]</returns>
    public static double[] Pool(double[] x, int groupSize, double kappa)
    {
        throw new ToComplete("κ times the sum of each group of neighbours");
    }

    /// <summary>
    /// The zero ζ′ for which α·(q − ζ′) = α·(q − ζ) + s·κ·(A·B)[l, j], whatever the code q.
    /// </summary>
    /// <param name="zero">ζ[j, l]</param>
    /// <param name="scale">α[j, l]</param>
    /// <param name="s">The factor.</param>
    /// <param name="kappa">κ</param>
    /// <param name="product">(A·B)[l, j]</param>
    public static double MergedZero(double zero, double scale, double s, double kappa, double product)
    {
        throw new ToComplete("solve the equation above for ζ′");
    }

    /// <summary>
    /// Numbers in A, for LoRA and for QA-LoRA: how many different ΔW does a row of weights get?
    /// </summary>
    public static (int LoRA, int QALoRA) NumbersInA(int inFeatures, int rank, int groupSize)
    {
        throw new ToComplete("A is [in, r] in LoRA; which shape has it when x is pooled first?");
    }
}
