namespace LoraScratch.Course;

/// <summary>Step 1, by hand: one example, arrays and loops.</summary>
internal static class Step1ByHand
{
    /// <summary>y = x·Wᵀ + s·(x·A)·B</summary>
    /// <param name="x">[in]</param>
    /// <param name="w">W [out, in]</param>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="s">The factor on the update.</param>
    /// <returns>[out]</returns>
    public static double[] Forward(double[] x, double[,] w, double[,] a, double[,] b, double s)
    {
        // First h = x·A, then y. Sizes: x.Length is in, b.GetLength(0) is r, b.GetLength(1) is out.
        throw new ToComplete("hₖ = Σᵢ xᵢ·A[i, k], then yⱼ = Σᵢ xᵢ·W[j, i] + s·Σₖ hₖ·B[k, j]");
    }

    /// <summary>How many numbers A and B hold together.</summary>
    public static int TrainableNumbers(int inFeatures, int outFeatures, int rank)
    {
        throw new ToComplete("the elements of A [in, r] and of B [r, out], counted");
    }
}
