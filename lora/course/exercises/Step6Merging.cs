using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Course;

/// <summary>Step 6, merging: the adapter disappears into W, and comes out again.</summary>
internal static class Step6Merging
{
    /// <summary>The update ΔW for which X·(W + ΔW)ᵀ = X·Wᵀ + s·(X·A)·B.</summary>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="s">The factor.</param>
    /// <returns>[out, in], as W</returns>
    public static DenseMatrix Update(DenseMatrix a, DenseMatrix b, double s)
    {
        throw new ToComplete("ΔW of A, B and s, in the shape of W");
    }

    /// <summary>W + ΔW in float32, and what <see cref="Unmerge"/> will need.</summary>
    public static (float[] Merged, float[] Kept) Merge(float[] w, float[] update)
    {
        throw new ToComplete("every element of W plus its element of ΔW, and what must be kept to undo that exactly");
    }

    /// <summary>W as it was, bit for bit.</summary>
    public static float[] Unmerge(float[] merged, float[] update, float[] kept)
    {
        throw new ToComplete("W again; is merged − update the same bits?");
    }
}
