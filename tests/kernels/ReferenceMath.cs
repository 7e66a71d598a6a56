namespace LoraScratch.Tests.Kernels;

/// <summary>
/// erf and its complement in double, from the series and the continued fraction: what System.Math
/// lacks.
/// </summary>
internal static class ReferenceMath
{
    /// <summary>
    /// erf(x) = 2/√π · exp(−x²) · Σₙ 2ⁿ·x²ⁿ⁺¹ / (1·3·…·(2n+1)): every term has the sign of x,
    /// nothing cancels.
    /// </summary>
    public static double Erf(double x)
    {
        if (double.IsNaN(x))
        {
            return x;
        }
        if (Math.Abs(x) > 3)
        {
            return Math.Sign(x) * (1 - Erfc(Math.Abs(x)));
        }
        double term = x, sum = x;
        for (var n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); n++)
        {
            sum += term *= 2 * x * x / (2 * n + 1);
        }
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    /// <summary>
    /// 1 − erf(x), with all its digits for large x: exp(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x +
    /// …)))).
    /// </summary>
    public static double Erfc(double x)
    {
        if (x < 2)
        {
            return 1 - Erf(x);
        }
        if (double.IsPositiveInfinity(x))
        {
            return 0;
        }
        var fraction = x;
        for (var n = 60; n >= 1; n--)
        {
            fraction = x + n / 2.0 / fraction;
        }
        return Math.Exp(-x * x) / (Math.Sqrt(Math.PI) * fraction);
    }
}
