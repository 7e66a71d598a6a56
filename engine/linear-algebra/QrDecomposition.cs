namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// A·P = Q·R with orthonormal columns in Q and zeros below R's diagonal, by Householder's
/// reflections (Golub and Van Loan, Matrix Computations, 5.2 and 5.4).
/// <para>
/// Reflection j is H = I − β·v·vᵀ with β = 2/‖v‖² and v = x ∓ ‖x‖·e₁, where x is column j from row
/// j on: H·x = ±‖x‖·e₁ has zeros from its second element on. The sign is the one that adds to x₁
/// without cancelling. R is what is left of A, Q = H₀·H₁·… .
/// </para>
/// <para>
/// With pivoting, step j first exchanges column j for the one that has most of its length left
/// below row j. The diagonal of R falls then, and shows where the columns become dependent.
/// </para>
/// </summary>
internal sealed class QrDecomposition
{
    private QrDecomposition(DenseMatrix q, DenseMatrix r, int[] order) => (Q, R, Order) = (q, r, order);

    /// <summary>[m, p], p = min(m, n); QᵀQ = I</summary>
    public DenseMatrix Q { get; }

    /// <summary>[p, n], zero below the diagonal.</summary>
    public DenseMatrix R { get; }

    /// <summary>P: column j of A·P is column Order[j] of A. 0, 1, 2, … without pivoting.</summary>
    public IReadOnlyList<int> Order { get; }

    /// <summary>Decomposes a matrix of any shape and rank.</summary>
    /// <param name="a">A [m, n]; it is not changed.</param>
    /// <param name="pivot">Whether columns are exchanged.</param>
    public static QrDecomposition Of(DenseMatrix a, bool pivot = false)
    {
        // row j: column j of A, so that what is worked on lies in one piece
        var columns = a.Transpose();
        var (m, n) = (a.Rows, a.Columns);
        var p = Math.Min(m, n);
        var order = Enumerable.Range(0, n).ToArray();
        var left = new double[n];                           // of each column: ‖its part below the rows that are done‖²
        DenseMatrix.ForEachRow(n, m, c => left[c] = Vectors.Dot(columns.Row(c), columns.Row(c)));
        var (reflections, betas, diagonal) = (new DenseMatrix(p, m), new double[p], new double[p]);
        for (var j = 0; j < p; j++)
        {
            if (pivot)
            {
                Exchange(columns, order, left, j, Longest(left, j));
            }
            var v = reflections.Row(j)[j..];
            columns.Row(j)[j..].CopyTo(v);
            (betas[j], diagonal[j]) = Reflection(v);
            var step = j;
            DenseMatrix.ForEachRow(n - j - 1, 3L * (m - j), offset =>
            {
                var c = step + 1 + offset;
                var x = columns.Row(c)[step..];
                Reflect(x, reflections.Row(step)[step..], betas[step]);
                left[c] = Vectors.Dot(x[1..], x[1..]);
            });
        }
        return new QrDecomposition(FormQ(reflections, betas), FormR(columns, diagonal), order);
    }

    /// <summary>Makes v of the x that it is given.</summary>
    /// <returns>β, and what stands on R's diagonal.</returns>
    private static (double Beta, double Diagonal) Reflection(Span<double> v)
    {
        var norm = Vectors.Length(v);
        if (norm == 0)
        {
            return (0, 0);                                  // nothing to reflect: H = I
        }
        var diagonal = v[0] > 0 ? -norm : norm;
        v[0] -= diagonal;
        return (2 / Vectors.Dot(v, v), diagonal);
    }

    /// <summary>x ← H·x = x − β·⟨v, x⟩·v</summary>
    private static void Reflect(Span<double> x, ReadOnlySpan<double> v, double beta) =>
        Vectors.AddScaled(x, -beta * Vectors.Dot(v, x), v);

    private static int Longest(double[] left, int from)
    {
        var longest = from;
        for (var c = from + 1; c < left.Length; c++)
        {
            longest = left[c] > left[longest] ? c : longest;
        }
        return longest;
    }

    private static void Exchange(DenseMatrix columns, int[] order, double[] left, int j, int other)
    {
        if (other == j)
        {
            return;
        }
        var kept = columns.Row(j).ToArray();
        columns.Row(other).CopyTo(columns.Row(j));
        kept.CopyTo(columns.Row(other));
        (order[j], order[other], left[j], left[other]) = (order[other], order[j], left[other], left[j]);
    }

    /// <summary>
    /// The first p columns of H₀·H₁·…·I, the last reflection first: so reflection j meets nothing
    /// but zeros before column j.
    /// </summary>
    private static DenseMatrix FormQ(DenseMatrix reflections, double[] betas)
    {
        var (p, m) = (reflections.Rows, reflections.Columns);
        var columns = new DenseMatrix(p, m);
        for (var j = p - 1; j >= 0; j--)
        {
            columns[j, j] = 1;
            var step = j;
            DenseMatrix.ForEachRow(p - j, 2L * (m - j),
                offset => Reflect(columns.Row(step + offset)[step..], reflections.Row(step)[step..], betas[step]));
        }
        return columns.Transpose();
    }

    private static DenseMatrix FormR(DenseMatrix columns, double[] diagonal)
    {
        var r = new DenseMatrix(diagonal.Length, columns.Rows);
        for (var i = 0; i < r.Rows; i++)
        {
            r[i, i] = diagonal[i];
            for (var c = i + 1; c < r.Columns; c++)
            {
                r[i, c] = columns[c, i];
            }
        }
        return r;
    }
}
