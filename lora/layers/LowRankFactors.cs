using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora;

/// <summary>
/// A weight, or a change of one, as two thin factors: W [out, in] ≈ (A·B)ᵀ with A [in, k] and B [k,
/// out]. Of W = U·diag(σ)·Vᵀ they are A = V_k, whose columns are orthonormal, and B =
/// (U_k·diag(σ_k))ᵀ, so that k columns and rows of them are the best approximation of rank k for
/// every k.
/// </summary>
/// <param name="Rank">k</param>
/// <param name="InFeatures">in</param>
/// <param name="OutFeatures">out</param>
/// <param name="A">[in, k], row-major, rounded to float32.</param>
/// <param name="B">[k, out], row-major, rounded to float32.</param>
internal sealed record LowRankFactors(int Rank, int InFeatures, int OutFeatures, float[] A, float[] B)
{
    /// <summary>The factors of the first k singular values.</summary>
    /// <param name="svd">Of W [out, in].</param>
    /// <param name="rank">k, as many as there are at most.</param>
    public static LowRankFactors Of(SingularValueDecomposition svd, int rank)
    {
        var first = svd.Truncate(rank);
        return new LowRankFactors(rank, first.V.Rows, first.U.Rows, first.V.ToFloats(),
            first.U.ScaleColumns([.. first.Values]).Transpose().ToFloats());
    }

    /// <summary>The factors of a smaller rank: the first columns of A and rows of B.</summary>
    public LowRankFactors Truncate(int rank) => rank == Rank ? this
        : new LowRankFactors(rank, InFeatures, OutFeatures,
            DenseMatrix.From(A, InFeatures, Rank).FirstColumns(rank).ToFloats(), B[..(rank * OutFeatures)]);

    /// <summary>‖W − (A·B)ᵀ‖_F with the factors as they are, rounding included.</summary>
    /// <param name="weight">W [out, in]</param>
    public double Error(DenseMatrix weight) =>
        (weight - (DenseMatrix.From(A, InFeatures, Rank) * DenseMatrix.From(B, Rank, OutFeatures)).Transpose()).Norm();
}
