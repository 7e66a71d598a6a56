namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// The largest singular values of a matrix from a few products with it (Halko, Martinsson and Tropp
/// 2011, SIAM Review 53, algorithms 4.4 and 5.1).
/// <para>
/// A·Ω with a random Ω [n, k + p] holds, in all likelihood, most of what A's first k left vectors
/// span; Q is an orthonormal basis of it. Each multiplication with A·Aᵀ raises the share of every
/// direction by σᵢ², so that those of small singular values fade (where they all are alike, slowly:
/// then it takes many). The basis is made orthonormal again after every product, or all its columns
/// would turn into u₁. What is left is the small matrix B = Qᵀ·A [k + p, n], whose decomposition
/// Û·diag(σ)·Vᵀ is exact: A ≈ Q·B, U = Q·Û.
/// </para>
/// <para>
/// ‖A − U_k·diag(σ)·V_kᵀ‖²_F = ‖A‖²_F − Σᵢ≤k σᵢ² holds with these σ whatever Q is, so that the
/// error is known, though it is a little above that of A's own first k.
/// </para>
/// </summary>
internal static class RandomizedRange
{
    public static SingularValueDecomposition Decompose(DenseMatrix a, int rank, ulong seed, int oversampling,
        int powerIterations, double tolerance)
    {
        var least = Math.Min(a.Rows, a.Columns);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, least);
        ArgumentOutOfRangeException.ThrowIfNegative(oversampling);
        ArgumentOutOfRangeException.ThrowIfNegative(powerIterations);
        ArgumentOutOfRangeException.ThrowIfNegative(tolerance);
        if (Array.FindIndex(a.Values, value => !double.IsFinite(value)) is >= 0 and var wrong)
        {
            throw new ArgumentException($"A matrix {a} with the element {a.Values[wrong]} has no singular values.",
                nameof(a));
        }
        var width = Math.Min(least, rank + oversampling);
        var transposed = a.Transpose();
        var omega = DenseMatrix.From(new RandomStream(seed).Normal(a.Columns * width, 1), a.Columns, width);
        var basis = QrDecomposition.Of(a * omega).Q;        // Q [m, k + p]
        var squaredNorm = a.SquaredNorm();
        // Bᵀ = Aᵀ·Q [n, k + p]: its left vectors are A's right ones
        var small = JacobiRotations.Decompose(transposed * basis);
        for (var i = 0; i < powerIterations; i++)
        {
            var before = small.EnergyOf(rank) * small.SquaredNorm;
            basis = QrDecomposition.Of(a * small.U).Q;      // the left vectors of Aᵀ·Q are an orthonormal basis of it
            small = JacobiRotations.Decompose(transposed * basis);
            if (small.EnergyOf(rank) * small.SquaredNorm - before <= tolerance * squaredNorm)
            {
                break;
            }
        }
        return JacobiRotations.Signed(basis * small.V, [.. small.Values], small.U, squaredNorm, isWhole: false)
            .Truncate(rank);
    }
}
