using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Quantization;

/// <summary>Triangular factors of a symmetric positive definite matrix, in double.</summary>
internal static class TriangularFactor
{
    private const int ColumnsAtOnce = 64;

    /// <summary>
    /// The upper triangular U with H⁻¹ = UᵀU: the inverse of the upper triangular R with H = RRᵀ.
    /// </summary>
    /// <param name="h">H, row-major [n, n], symmetric and positive definite; overwritten</param>
    /// <param name="n">Its size.</param>
    /// <returns>[n, n], zeros below the diagonal</returns>
    /// <exception cref="ArgumentException">H is not positive definite.</exception>
    public static double[] OfInverse(double[] h, int n)
    {
        Factor(h, n);
        return Inverse(h, n);
    }

    /// <summary>
    /// H = RRᵀ from the last row up: h[i, k] = Σ_{j ≥ k} r[i, j]·r[k, j] for i ≤ k, and what lies
    /// behind column k is known, so r[k, k] = √(h[k, k] − Σ_{j > k} r[k, j]²) and r[i, k] = (h[i,
    /// k] − Σ_{j > k} r[i, j]·r[k, j]) / r[k, k]. R overwrites the upper half.
    /// </summary>
    private static void Factor(double[] h, int n)
    {
        for (var k = n - 1; k >= 0; k--)
        {
            var row = k * n;
            var rest = h.AsMemory(row + k + 1, n - k - 1);
            var square = h[row + k] - Vectors.Dot(rest.Span, rest.Span);
            if (!(square > 0))
            {
                throw new ArgumentException($"The matrix is not positive definite: pivot {k} is {square}.", nameof(h));
            }
            var pivot = Math.Sqrt(square);
            h[row + k] = pivot;
            ForEach(k, (long)k * rest.Length,
                i => h[i * n + k] = (h[i * n + k] - Vectors.Dot(h.AsSpan(i * n + k + 1, rest.Length), rest.Span))
                    / pivot);
        }
    }

    /// <summary>
    /// RU = 1 from the last row up: U[i, :] = (1ᵢ − Σ_{k > i} R[i, k]·U[k, :]) / R[i, i]. Strips of
    /// columns do not depend on each other.
    /// </summary>
    private static double[] Inverse(double[] r, int n)
    {
        var u = new double[n * n];
        Parallel.For(0, (n + ColumnsAtOnce - 1) / ColumnsAtOnce, strip =>
        {
            var start = strip * ColumnsAtOnce;
            var end = Math.Min(start + ColumnsAtOnce, n);
            for (var i = end - 1; i >= 0; i--)
            {
                var columns = u.AsSpan(i * n + start, end - start);
                if (i >= start)
                {
                    columns[i - start] = 1;
                }
                for (var k = i + 1; k < end; k++)
                {
                    Vectors.AddScaled(columns, -r[i * n + k], u.AsSpan(k * n + start, end - start));
                }
                foreach (ref var value in columns)
                {
                    value /= r[i * n + i];
                }
            }
        });
        return u;
    }

    /// <summary>In parallel where there is enough to do.</summary>
    private static void ForEach(int count, long work, Action<int> body)
    {
        const long Large = 1 << 16;
        if (work >= Large)
        {
            Parallel.For(0, count, body);
            return;
        }
        for (var i = 0; i < count; i++)
        {
            body(i);
        }
    }
}
