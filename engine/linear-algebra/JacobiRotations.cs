namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// One-sided Jacobi (Hestenes 1958), after a QR decomposition with pivoting (Drmač and Veselić
/// 2008, SIAM J. Matrix Anal. Appl. 29).
/// <para>
/// With A·P = Q·R, rotations J from the left make the rows of R orthogonal to each other: J·R =
/// diag(σ)·Ŵ, so that R = Jᵀ·diag(σ)·Ŵ and A = (Q·Jᵀ)·diag(σ)·(P·Ŵᵀ)ᵀ: U = Q·Jᵀ, V = P·Ŵᵀ, and σ
/// are the lengths of the rows.
/// </para>
/// <para>
/// A rotation turns two rows x and y in their plane: x ← c·x − s·y, y ← s·x + c·y. ⟨x, y⟩ becomes 0
/// for t = s/c with t² + 2ζt − 1 = 0, ζ = (‖y‖² − ‖x‖²) / 2⟨x, y⟩; the smaller root, t =
/// sign(ζ)/(|ζ| + √(1 + ζ²)), turns by at most 45°. A sweep does this for every pair of rows. It
/// destroys a little of what it did before, less in each sweep, in the end quadratically. The QR
/// decomposition comes first because R's rows fall in length and are nearly orthogonal where A's
/// singular values fall, and because only R, [n, n], is rotated of a tall A.
/// </para>
/// <para>
/// No Aᵀ·A is formed, whose small singular values would drown in the rounding of the large ones:
/// each σ comes out with an error relative to itself, as far as A's columns determine it.
/// </para>
/// </summary>
internal static class JacobiRotations
{
    private const int MaxSweeps = 60;                      // ten are many
    private const double Epsilon = 1.0 / (1L << 52);
    // the length of a row, beside elements of size 1, whose square is no longer exact
    private const double Nothing = 1e-150;

    public static SingularValueDecomposition Decompose(DenseMatrix a)
    {
        if (a.Rows < a.Columns)
        {
            var turned = Decompose(a.Transpose());          // Aᵀ = V·diag(σ)·Uᵀ
            return Signed(turned.V, [.. turned.Values], turned.U, turned.SquaredNorm);
        }
        var exponent = Exponent(a);
        var qr = QrDecomposition.Of(Math.ScaleB(1, -exponent) * a, pivot: true);
        var rows = qr.R;                                    // becomes diag(σ)·Ŵ
        var turns = DenseMatrix.Identity(rows.Rows);        // becomes J
        MakeOrthogonal(rows, turns);
        var lengths = Lengths(rows);
        var order = Enumerable.Range(0, lengths.Length).OrderByDescending(i => lengths[i]).ToArray();
        var (left, right, values) =
            (new DenseMatrix(rows.Rows, rows.Rows), new DenseMatrix(rows.Rows, rows.Columns), new double[rows.Rows]);
        for (var i = 0; i < order.Length; i++)
        {
            values[i] = lengths[order[i]];
            turns.Row(order[i]).CopyTo(left.Row(i));
            // 1, but for what thousands of rotations have rounded
            Vectors.Scale(left.Row(i), 1 / Vectors.Length(left.Row(i)));
            for (var j = 0; j < rows.Columns && values[i] > 0; j++)
            {
                right[i, qr.Order[j]] = rows[order[i], j] / values[i];
            }
        }
        Complete(right, values);
        Vectors.Scale(values, Math.ScaleB(1, exponent));
        return Signed(qr.Q * left.Transpose(), values, right.Transpose(), a.SquaredNorm());
    }

    /// <summary>
    /// The power of two of the largest element: without it, squares of very large or small elements
    /// would leave the range of a double.
    /// </summary>
    private static int Exponent(DenseMatrix a)
    {
        var largest = 0.0;
        foreach (var value in a.Values)
        {
            if (!double.IsFinite(value))
            {
                throw new ArgumentException($"A matrix {a} with the element {value} has no singular values.",
                    nameof(a));
            }
            largest = Math.Max(largest, Math.Abs(value));
        }
        return largest == 0 ? 0 : Math.Clamp(Math.ILogB(largest), -1000, 1000);
    }

    /// <summary>
    /// Sweeps until every two rows are orthogonal to the rounding of their product, and lets J take
    /// the same rotations.
    /// </summary>
    private static void MakeOrthogonal(DenseMatrix rows, DenseMatrix turns)
    {
        var tolerance = Math.Max(10, Math.Sqrt(rows.Columns)) * Epsilon;
        for (var sweep = 0; sweep < MaxSweeps; sweep++)
        {
            var rotations = 0;
            foreach (var pairs in Rounds(rows.Rows))
            {
                DenseMatrix.ForEachRow(pairs.Length, 8L * rows.Columns, i =>
                {
                    if (Orthogonalize(rows, turns, pairs[i].First, pairs[i].Second, tolerance))
                    {
                        Interlocked.Increment(ref rotations);
                    }
                });
            }
            if (rotations == 0)
            {
                return;
            }
        }
        throw new InvalidOperationException($"The rotations of a matrix {rows} did not end after {MaxSweeps} sweeps.");
    }

    /// <returns>Whether the two rows had to be turned.</returns>
    private static bool Orthogonalize(DenseMatrix rows, DenseMatrix turns, int first, int second, double tolerance)
    {
        var x = rows.Row(first);
        var y = rows.Row(second);
        var (xx, yy, xy) = Vectors.Gram(x, y);
        var (lengthX, lengthY) = (Math.Sqrt(xx), Math.Sqrt(yy));
        if (lengthX <= Nothing || lengthY <= Nothing || Math.Abs(xy) <= tolerance * lengthX * lengthY)
        {
            return false;
        }
        var zeta = (yy - xx) / (2 * xy);
        // beyond, ζ² + 1 = ζ² in a double, and may overflow
        var tan = Math.Abs(zeta) > 1e10
            ? 0.5 / zeta : Math.CopySign(1, zeta) / (Math.Abs(zeta) + Math.Sqrt(1 + zeta * zeta));
        // 1/√(1 + t²) rounds up more often than down where t is small, and thousands of such rotations would lengthen
        // the rows by hundreds of ulps; 1 − t²/(h + h²) errs both ways alike.
        var h = Math.Sqrt(1 + tan * tan);
        var (cos, sin) = (1 - tan * tan / (h + h * h), tan / h);
        Vectors.Rotate(x, y, cos, sin);
        Vectors.Rotate(turns.Row(first), turns.Row(second), cos, sin);
        return true;
    }

    /// <summary>
    /// Every pair of rows once, as the rounds of a tournament: within a round no row comes twice,
    /// so that its rotations can run at the same time, and give the same bits in any order. Row 0
    /// stays, the others move on by one place from round to round.
    /// </summary>
    private static IEnumerable<(int First, int Second)[]> Rounds(int count)
    {
        // with an odd number, whoever meets the row that is not there sits out
        var places = count + count % 2;
        for (var round = 0; round < places - 1; round++)
        {
            var pairs = new List<(int, int)>(places / 2);
            for (var i = 0; i < places / 2; i++)
            {
                var (a, b) = (RowAt(i, round, places), RowAt(places - 1 - i, round, places));
                if (Math.Max(a, b) < count)
                {
                    pairs.Add((Math.Min(a, b), Math.Max(a, b)));
                }
            }
            yield return [.. pairs];
        }
    }

    private static int RowAt(int place, int round, int places) =>
        place == 0 ? 0 : 1 + (place - 1 + round) % (places - 1);

    private static double[] Lengths(DenseMatrix rows)
    {
        var lengths = new double[rows.Rows];
        for (var i = 0; i < lengths.Length; i++)
        {
            lengths[i] = Vectors.Length(rows.Row(i)) is var length && length > Nothing ? length : 0;
        }
        return lengths;
    }

    /// <summary>
    /// Gives the singular values that are zero directions of their own: any that are orthogonal to
    /// the others and to each other will do.
    /// </summary>
    /// <param name="right">[n, n]: row i is vᵢ, or zero where σᵢ is.</param>
    /// <param name="values">σ, falling.</param>
    private static void Complete(DenseMatrix right, double[] values)
    {
        // Σ of the squares of what the vectors so far have of each axis
        var covered = new double[right.Columns];
        for (var i = 0; i < right.Rows; i++)
        {
            var v = right.Row(i);
            if (values[i] == 0)
            {
                v[Array.IndexOf(covered, covered.Min())] = 1;
                for (var pass = 0; pass < 2; pass++)        // the second takes off what rounding left in the first
                {
                    for (var j = 0; j < i; j++)
                    {
                        Vectors.AddScaled(v, -Vectors.Dot(v, right.Row(j)), right.Row(j));
                    }
                    Vectors.Scale(v, 1 / Vectors.Length(v));
                }
            }
            for (var j = 0; j < v.Length; j++)
            {
                covered[j] += v[j] * v[j];
            }
        }
    }

    /// <summary>
    /// Turns the signs of pairs uᵢ, vᵢ, of which only the product counts, so that the largest
    /// element of every vᵢ is positive.
    /// </summary>
    /// <param name="u">[m, k]</param>
    /// <param name="values">σ</param>
    /// <param name="v">[n, k]</param>
    /// <param name="squaredNorm">Of the whole matrix.</param>
    /// <param name="isWhole">Whether all other singular values are zero.</param>
    internal static SingularValueDecomposition Signed(DenseMatrix u, double[] values, DenseMatrix v, double squaredNorm,
        bool isWhole = true)
    {
        var signs = new double[values.Length];
        for (var i = 0; i < signs.Length; i++)
        {
            var largest = 0.0;
            for (var j = 0; j < v.Rows; j++)
            {
                largest = Math.Abs(v[j, i]) > Math.Abs(largest) ? v[j, i] : largest;
            }
            signs[i] = largest < 0 ? -1 : 1;
        }
        return new SingularValueDecomposition(u.ScaleColumns(signs), values, v.ScaleColumns(signs), squaredNorm,
            isWhole);
    }
}
