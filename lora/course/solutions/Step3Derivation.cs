using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Course;

/// <summary>
/// Step 3, solved. Everything follows from ⟨P, Q·R⟩ = ⟨Qᵀ·P, R⟩ = ⟨P·Rᵀ, Q⟩: a factor moves to the
/// other side transposed.
/// </summary>
internal static class Step3Derivation
{
    /// <summary>δY = s·H·δB with H = X·A, and ⟨dY, s·H·δB⟩ = ⟨s·Hᵀ·dY, δB⟩.</summary>
    public static DenseMatrix GradientOfB(DenseMatrix x, DenseMatrix a, DenseMatrix dY, double s) =>
        s * ((x * a).Transpose() * dY);

    /// <summary>
    /// δY = s·(X·δA)·B, and ⟨dY, s·(X·δA)·B⟩ = ⟨s·dY·Bᵀ, X·δA⟩ = ⟨Xᵀ·(s·dY·Bᵀ), δA⟩. The bracket
    /// holds dH = s·dY·Bᵀ [N, r].
    /// </summary>
    public static DenseMatrix GradientOfA(DenseMatrix x, DenseMatrix b, DenseMatrix dY, double s) =>
        x.Transpose() * (s * (dY * b.Transpose()));

    /// <summary>δY = δX·Wᵀ + s·(δX·A)·B: two terms, each moved to the other side.</summary>
    public static DenseMatrix GradientOfX(DenseMatrix w, DenseMatrix a, DenseMatrix b, DenseMatrix dY, double s) =>
        dY * w + s * (dY * b.Transpose()) * a.Transpose();
}
