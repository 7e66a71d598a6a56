namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// A = U·diag(σ)·Vᵀ with orthonormal columns in U and V and σ₁ ≥ σ₂ ≥ … ≥ 0, whole or the largest k
/// of it.
/// <para>
/// The sum of its first k terms, A_k = Σᵢ≤k σᵢ·uᵢ·vᵢᵀ, is the best matrix of rank k: no other is
/// closer to A (Eckart and Young 1936), and the error is known before anything is multiplied out,
/// ‖A − A_k‖²_F = Σᵢ>k σᵢ². The share Σᵢ≤k σᵢ² / ‖A‖²_F is the energy that is kept.
/// </para>
/// </summary>
internal sealed class SingularValueDecomposition
{
    private readonly bool isWhole;                          // whether the values that are not here are zero

    internal SingularValueDecomposition(DenseMatrix u, double[] values, DenseMatrix v, double squaredNorm,
        bool isWhole) =>
        (U, Values, V, SquaredNorm, this.isWhole) = (u, values, v, squaredNorm, isWhole);

    /// <summary>[m, k]: the left vectors are its columns.</summary>
    public DenseMatrix U { get; }

    /// <summary>σ, falling; k of them.</summary>
    public IReadOnlyList<double> Values { get; }

    /// <summary>
    /// [n, k]: the right vectors are its columns. The largest element of each is positive, which
    /// settles the signs.
    /// </summary>
    public DenseMatrix V { get; }

    /// <summary>‖A‖²_F, of all of A, whatever part of its values is here.</summary>
    public double SquaredNorm { get; }

    /// <summary>
    /// Every singular value and vector, each σ to a few ulps of itself as far as A's columns allow;
    /// see <see cref="JacobiRotations"/>.
    /// </summary>
    /// <param name="a">A [m, n]; it is not changed.</param>
    /// <returns>k = min(m, n) of them.</returns>
    /// <exception cref="ArgumentException">An element is not finite.</exception>
    public static SingularValueDecomposition Jacobi(DenseMatrix a) => JacobiRotations.Decompose(a);

    /// <summary>
    /// The largest <paramref name="rank"/> singular values and vectors of a large matrix, by random
    /// projection; see <see cref="RandomizedRange"/>.
    /// </summary>
    /// <param name="a">A [m, n]; it is not changed.</param>
    /// <param name="rank">k, from 1 to min(m, n).</param>
    /// <param name="seed">Names the random numbers: the same seed gives the same bits.</param>
    /// <param name="oversampling">
    /// How many directions are followed beside the k; null: as many again, and at least 10.
    /// </param>
    /// <param name="powerIterations">At most so many products with A·Aᵀ.</param>
    /// <param name="tolerance">
    /// Ends them when the energy that the k values hold grows by no more than this share.
    /// </param>
    /// <exception cref="ArgumentException">
    /// An element is not finite, or the rank is out of range.
    /// </exception>
    public static SingularValueDecomposition Randomized(DenseMatrix a, int rank, ulong seed = 0,
        int? oversampling = null, int powerIterations = 32, double tolerance = 1e-7) =>
        RandomizedRange.Decompose(a, rank, seed, oversampling ?? Math.Max(10, rank), powerIterations, tolerance);

    /// <summary>
    /// The largest <paramref name="rank"/>: by random projection where that is much less work, else
    /// all of them by Jacobi's rotations.
    /// </summary>
    /// <param name="a">A [m, n]; it is not changed.</param>
    /// <param name="rank">k, from 1 to min(m, n).</param>
    /// <param name="seed">Names the random numbers.</param>
    /// <exception cref="ArgumentException">
    /// An element is not finite, or the rank is out of range.
    /// </exception>
    public static SingularValueDecomposition Largest(DenseMatrix a, int rank, ulong seed = 0)
    {
        const int small = 128;                              // such a matrix takes a fraction of a second either way
        var least = Math.Min(a.Rows, a.Columns);
        return least <= small || 8L * rank > least ? Jacobi(a).Truncate(rank) : Randomized(a, rank, seed);
    }

    /// <summary>
    /// All singular values and vectors of a product A·B whose inner width is small, without forming
    /// it: A = Qₐ·Rₐ and Bᵀ = Q_b·R_b, so A·B = Qₐ·(Rₐ·R_bᵀ)·Q_bᵀ. What stands in the middle is no
    /// larger than [r, r], and of its decomposition Û·diag(σ)·V̂ᵀ come U = Qₐ·Û and V = Q_b·V̂.
    /// </summary>
    /// <param name="a">[m, r]</param>
    /// <param name="b">[r, n]</param>
    /// <returns>min(m, r, n) of them; all others are zero.</returns>
    /// <exception cref="ShapeMismatchException">The inner dimensions differ.</exception>
    /// <exception cref="ArgumentException">An element is not finite.</exception>
    public static SingularValueDecomposition OfProduct(DenseMatrix a, DenseMatrix b)
    {
        if (a.Columns != b.Rows)
        {
            throw new ShapeMismatchException($"SingularValueDecomposition: {a} · {b} needs equal inner dimensions.");
        }
        var (left, right) = (QrDecomposition.Of(a), QrDecomposition.Of(b.Transpose()));
        var middle = Jacobi(left.R * right.R.Transpose());
        return JacobiRotations.Signed(left.Q * middle.U, [.. middle.Values], right.Q * middle.V, middle.SquaredNorm);
    }

    /// <summary>The first k values and vectors.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are not so many.</exception>
    public SingularValueDecomposition Truncate(int rank)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Values.Count);
        return rank == Values.Count
            ? this : new SingularValueDecomposition(U.FirstColumns(rank), [.. Values.Take(rank)], V.FirstColumns(rank),
                SquaredNorm, isWhole: false);
    }

    /// <summary>Σ σᵢ·uᵢ·vᵢᵀ over the values that are here [m, n].</summary>
    public DenseMatrix Reconstruct() => U.ScaleColumns([.. Values]) * V.Transpose();

    /// <summary>
    /// Σᵢ≤k σᵢ² / ‖A‖²_F, from 0 to 1; 1 for the zero matrix, of which nothing can be lost.
    /// </summary>
    public double EnergyOf(int rank) =>
        SquaredNorm == 0 ? 1 : Math.Min(1, Values.Take(rank).Sum(value => value * value) / SquaredNorm);

    /// <summary>‖A − A_k‖_F = √Σᵢ>k σᵢ²: what the first k terms leave out.</summary>
    public double ErrorOf(int rank) => isWhole
        ? Math.Sqrt(Values.Skip(rank).Sum(value => value * value))
        : Math.Sqrt(Math.Max(0, SquaredNorm - Values.Take(rank).Sum(value => value * value)));

    /// <summary>The smallest k with Σᵢ≤k σᵢ² ≥ share·‖A‖²_F; at least 1.</summary>
    /// <param name="share">
    /// In (0, 1]; 1 asks for all that is not rounding: what lies below max(m, n)·2⁻⁵²·σ₁ counts as
    /// zero.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// Only a part of the values is here, and it does not hold so much.
    /// </exception>
    public int RankForEnergy(double share)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(share);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(share, 1);
        var total = isWhole ? Values.Sum(value => value * value) : SquaredNorm;
        var sum = 0.0;
        for (var k = 0; k < NumericRank; k++)
        {
            sum += Values[k] * Values[k];
            if (sum >= share * total)
            {
                return k + 1;
            }
        }
        return isWhole ? Math.Max(1, NumericRank)
            : throw new InvalidOperationException($"The {Values.Count} largest singular values hold {sum / total:P2} "
                + $"of the energy, less than the {share:P2} that are asked for. Take the whole decomposition.");
    }

    /// <summary>How many values are above max(m, n)·2⁻⁵²·σ₁: the others are rounding.</summary>
    public int NumericRank
    {
        get
        {
            var rounding = Values.Count == 0 ? 0 : Values[0] * Math.Max(U.Rows, V.Rows) * Math.ScaleB(1, -52);
            return Values.Count(value => value > rounding);
        }
    }
}
