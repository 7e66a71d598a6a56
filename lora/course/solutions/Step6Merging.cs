using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Course;

/// <summary>Step 6, solved.</summary>
internal static class Step6Merging
{
    /// <summary>X·ΔWᵀ = s·X·(A·B) for every X, so ΔWᵀ = s·A·B.</summary>
    public static DenseMatrix Update(DenseMatrix a, DenseMatrix b, double s) => s * (a * b).Transpose();

    /// <summary>
    /// W + ΔW is rounded to 24 bits, and what was rounded away cannot be computed again: W itself
    /// is kept.
    /// </summary>
    public static (float[] Merged, float[] Kept) Merge(float[] w, float[] update) =>
        ([.. w.Zip(update, (weight, change) => weight + change)], [.. w]);

    /// <summary>The kept bits.</summary>
    public static float[] Unmerge(float[] merged, float[] update, float[] kept) => [.. kept];
}
