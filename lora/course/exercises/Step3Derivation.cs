using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Course;

/// <summary>
/// Step 3, dA, dB and dX of Y = X·Wᵀ + s·(X·A)·B, derived on paper and written here.
/// <para>
/// P * Q is the matrix product, s * P scales, P + Q adds, P.Transpose() transposes. X [N, in], W
/// [out, in], A [in, r], B [r, out], dY [N, out].
/// </para>
/// </summary>
internal static class Step3Derivation
{
    /// <returns>dB [r, out]</returns>
    public static DenseMatrix GradientOfB(DenseMatrix x, DenseMatrix a, DenseMatrix dY, double s)
    {
        throw new ToComplete("dB, of X, A, dY and s: what stands beside δB in ⟨dY, s·(X·A)·δB⟩");
    }

    /// <returns>dA [in, r]</returns>
    public static DenseMatrix GradientOfA(DenseMatrix x, DenseMatrix b, DenseMatrix dY, double s)
    {
        throw new ToComplete("dA, of X, B, dY and s: what stands beside δA in ⟨dY, s·(X·δA)·B⟩");
    }

    /// <returns>dX [N, in]</returns>
    public static DenseMatrix GradientOfX(DenseMatrix w, DenseMatrix a, DenseMatrix b, DenseMatrix dY, double s)
    {
        throw new ToComplete("dX, of W, A, B, dY and s: X reaches Y on two paths, and their gradients add");
    }
}
