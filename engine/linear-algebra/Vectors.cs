using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>
/// The loops over rows of doubles that decompositions are made of; vectors of one call have the
/// same length. They always add up in four lanes, with one rounding for a product and its addition,
/// on every processor: hardware that lacks either is slower and gives the same bits.
/// </summary>
internal static class Vectors
{
    /// <summary>⟨x, y⟩</summary>
    public static double Dot(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        var xs = Lanes(x);
        var ys = Lanes(y);
        // two sums: the next addition need not wait for the last
        var (even, odd) = (Vector256<double>.Zero, Vector256<double>.Zero);
        var i = 0;
        for (; i + 2 <= xs.Length; i += 2)
        {
            even = Vector256.FusedMultiplyAdd(xs[i], ys[i], even);
            odd = Vector256.FusedMultiplyAdd(xs[i + 1], ys[i + 1], odd);
        }
        if (i < xs.Length)
        {
            even = Vector256.FusedMultiplyAdd(xs[i], ys[i], even);
        }
        var sum = Sum(even + odd);
        for (var j = xs.Length * 4; j < x.Length; j++)
        {
            sum = Math.FusedMultiplyAdd(x[j], y[j], sum);
        }
        return sum;
    }

    /// <summary>‖x‖</summary>
    public static double Length(ReadOnlySpan<double> x) => Math.Sqrt(Dot(x, x));

    /// <summary>‖x‖², ‖y‖² and ⟨x, y⟩ in one pass.</summary>
    public static (double X, double Y, double Product) Gram(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        var xs = Lanes(x);
        var ys = Lanes(y);
        var (sumX, sumY, sumXY) = (Vector256<double>.Zero, Vector256<double>.Zero, Vector256<double>.Zero);
        for (var i = 0; i < xs.Length; i++)
        {
            sumX = Vector256.FusedMultiplyAdd(xs[i], xs[i], sumX);
            sumY = Vector256.FusedMultiplyAdd(ys[i], ys[i], sumY);
            sumXY = Vector256.FusedMultiplyAdd(xs[i], ys[i], sumXY);
        }
        var (a, b, ab) = (Sum(sumX), Sum(sumY), Sum(sumXY));
        for (var j = xs.Length * 4; j < x.Length; j++)
        {
            a = Math.FusedMultiplyAdd(x[j], x[j], a);
            b = Math.FusedMultiplyAdd(y[j], y[j], b);
            ab = Math.FusedMultiplyAdd(x[j], y[j], ab);
        }
        return (a, b, ab);
    }

    /// <summary>y ← y + factor·x</summary>
    public static void AddScaled(Span<double> y, double factor, ReadOnlySpan<double> x)
    {
        var xs = Lanes(x);
        var ys = Lanes(y);
        var f = Vector256.Create(factor);
        for (var i = 0; i < ys.Length; i++)
        {
            ys[i] = Vector256.FusedMultiplyAdd(f, xs[i], ys[i]);
        }
        for (var j = ys.Length * 4; j < y.Length; j++)
        {
            y[j] = Math.FusedMultiplyAdd(factor, x[j], y[j]);
        }
    }

    /// <summary>
    /// y ← y + a·p + b·q + c·r + d·s, as four calls of
    /// <see cref="AddScaled(Span{double}, double, ReadOnlySpan{double})"/> would, with y read and
    /// written once.
    /// </summary>
    public static void AddScaled(Span<double> y, double a, ReadOnlySpan<double> p, double b, ReadOnlySpan<double> q,
        double c, ReadOnlySpan<double> r, double d, ReadOnlySpan<double> s)
    {
        var ys = Lanes(y);
        ReadOnlySpan<Vector256<double>> ps = Lanes(p), qs = Lanes(q), rs = Lanes(r), ss = Lanes(s);
        var (fa, fb, fc, fd) = (Vector256.Create(a), Vector256.Create(b), Vector256.Create(c), Vector256.Create(d));
        for (var i = 0; i < ys.Length; i++)
        {
            var sum = Vector256.FusedMultiplyAdd(fa, ps[i], ys[i]);
            sum = Vector256.FusedMultiplyAdd(fb, qs[i], sum);
            sum = Vector256.FusedMultiplyAdd(fc, rs[i], sum);
            ys[i] = Vector256.FusedMultiplyAdd(fd, ss[i], sum);
        }
        for (var j = ys.Length * 4; j < y.Length; j++)
        {
            y[j] = Math.FusedMultiplyAdd(d, s[j],
                Math.FusedMultiplyAdd(c, r[j], Math.FusedMultiplyAdd(b, q[j], Math.FusedMultiplyAdd(a, p[j], y[j]))));
        }
    }

    /// <summary>x ← cos·x − sin·y and y ← sin·x + cos·y, with the x of before.</summary>
    public static void Rotate(Span<double> x, Span<double> y, double cos, double sin)
    {
        var xs = Lanes(x);
        var ys = Lanes(y);
        var (c, s) = (Vector256.Create(cos), Vector256.Create(sin));
        for (var i = 0; i < xs.Length; i++)
        {
            var (a, b) = (xs[i], ys[i]);
            xs[i] = Vector256.FusedMultiplyAdd(c, a, -(s * b));
            ys[i] = Vector256.FusedMultiplyAdd(s, a, c * b);
        }
        for (var j = xs.Length * 4; j < x.Length; j++)
        {
            var (a, b) = (x[j], y[j]);
            x[j] = Math.FusedMultiplyAdd(cos, a, -(sin * b));
            y[j] = Math.FusedMultiplyAdd(sin, a, cos * b);
        }
    }

    /// <summary>x ← factor·x</summary>
    public static void Scale(Span<double> x, double factor)
    {
        for (var i = 0; i < x.Length; i++)
        {
            x[i] *= factor;
        }
    }

    private static double Sum(Vector256<double> lanes) => lanes[0] + lanes[1] + (lanes[2] + lanes[3]);

    private static ReadOnlySpan<Vector256<double>> Lanes(ReadOnlySpan<double> values) =>
        MemoryMarshal.Cast<double, Vector256<double>>(values);

    private static Span<Vector256<double>> Lanes(Span<double> values) =>
        MemoryMarshal.Cast<double, Vector256<double>>(values);
}
