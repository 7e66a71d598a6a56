using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Every formula against double arithmetic over the whole range of float32, in every register
/// width.
/// </summary>
[Parallelizable]
public class FormulaTests
{
    private const float SmallestNormal = 1.17549435e-38f;

    // The widest lanes serve the AVX-512 path alone and cannot run without it.
    private static readonly bool HasLanes512 = InstructionSet.Avx512.IsSupported();

    private static readonly float[] SpecialValues =
    [
        0f, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, -float.Epsilon,
            SmallestNormal, -SmallestNormal,
        float.MaxValue, float.MinValue, 1f, -1f, 88.72283f, 88.72284f, -87.33654f, -87.33655f, -103.97208f, -103.97209f,
            0.55f, -0.55f, 0.5f, -0.5f
    ];

    // Every exponent and sign, with dense stretches where the formulas change pieces.
    private static readonly float[] Everywhere =
        [.. Patterns(), .. Dense(-12, 12, 200_000), .. Dense(-110, 95, 100_000), .. SpecialValues];

    [TestCase(0.0, 0.0)]
    [TestCase(0.5, 0.5204998778130465)]
    [TestCase(1.0, 0.8427007929497149)]
    [TestCase(2.0, 0.9953222650189527)]
    [TestCase(3.5, 0.9999992569016276)]
    public void The_reference_erf_knows_published_values(double x, double erf)
    {
        Assert.That(ReferenceMath.Erf(x), Is.EqualTo(erf).Within(1e-15));
        Assert.That(ReferenceMath.Erf(-x), Is.EqualTo(-erf).Within(1e-15));
        Assert.That(ReferenceMath.Erfc(5) / 1.5374597944280349e-12, Is.EqualTo(1).Within(1e-12));
    }

    [Test]
    public void Exp_is_within_1e_6_of_every_normal_result() => CheckRelative<Exponential>(Math.Exp, 1e-6);

    [Test]
    public void Tanh_is_within_1e_6_of_every_normal_result() => CheckRelative<Tanh>(Math.Tanh, 1e-6);

    [Test]
    public void Erf_is_within_1e_6_of_every_normal_result() => CheckRelative<Erf>(ReferenceMath.Erf, 1e-6);

    [Test]
    public void Sigmoid_is_within_1e_6_everywhere() => CheckAbsolute<Sigmoid>(x => 1 / (1 + Math.Exp(-x)), 1e-6);

    [Test]
    public void Softplus_is_within_1e_6_of_every_normal_result() => CheckRelative<Softplus>(SoftplusReference, 1e-6);

    [Test]
    public void Gelu_is_within_1e_6_everywhere() => CheckAbsolute<Gelu>(GeluReference, 1e-6);

    [Test]
    public void GeluTanh_is_within_1e_6_everywhere() => CheckAbsolute<GeluTanh>(GeluTanhReference, 1e-6);

    [Test]
    public void Silu_is_within_1e_6_of_its_size_everywhere() =>
        CheckAbsolute<Silu>(x => double.IsNegativeInfinity(x) ? 0 : x / (1 + Math.Exp(-x)), 1e-6,
            relativeAboveOne: true);

    [Test]
    public void Relu_is_exact() => CheckAbsolute<Relu>(x => x > 0 ? x : double.IsNaN(x) ? x : 0, 0);

    [Test]
    public void Square_is_the_nearest_float() => CheckRelative<Square>(x => x * x, 6e-8);

    [Test]
    public void Gelu_keeps_its_digits_where_a_naive_formula_cancels() =>
        Assert.That(Gelu.Value(new Scalar(-5.5f)).Value, Is.EqualTo(GeluReference(-5.5)).Within(0.002).Percent);

    [Test]
    public void Exp_overflows_to_infinity_and_underflows_through_the_denormals_to_zero()
    {
        Func<float, float>[] widths =
            [One<Exponential, Scalar>, One<Exponential, Lanes>,
                .. HasLanes512 ? [One<Exponential, Lanes512>] : Array.Empty<Func<float, float>>()];
        foreach (var exp in widths)
        {
            Assert.That(exp(88.73f), Is.EqualTo(float.PositiveInfinity));
            Assert.That(exp(float.PositiveInfinity), Is.EqualTo(float.PositiveInfinity));
            Assert.That(exp(88.72283f), Is.LessThan(float.PositiveInfinity));
            Assert.That(exp(-104f), Is.Zero);
            Assert.That(exp(float.NegativeInfinity), Is.Zero);
            Assert.That(exp(-100f), Is.EqualTo(MathF.Exp(-100f)).Within(float.Epsilon));
            Assert.That(exp(float.NaN), Is.NaN);
        }
    }

    [Test]
    public void Derivatives_agree_with_double_arithmetic()
    {
        CheckDerivative<Exponential>(Math.Exp, Math.Exp, relativeAboveOne: true);
        CheckDerivative<Tanh>(Math.Tanh, x => 1 / (Math.Cosh(x) * Math.Cosh(x)));
        CheckDerivative<Erf>(ReferenceMath.Erf, x => 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x));
        CheckDerivative<Sigmoid>(x => 1 / (1 + Math.Exp(-x)),
            x => Math.Exp(-Math.Abs(x)) / Math.Pow(1 + Math.Exp(-Math.Abs(x)), 2));
        CheckDerivative<Gelu>(GeluReference, x => double.IsInfinity(x) ? (x > 0 ? 1 : 0)
            : 0.5 * ReferenceMath.Erfc(-x / Math.Sqrt(2)) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
        CheckDerivative<GeluTanh>(GeluTanhReference, GeluTanhDerivative);
        CheckDerivative<Silu>(x => x, x => SiluDerivative(x));
        CheckDerivative<Softplus>(SoftplusReference, x => 1 / (1 + Math.Exp(-x)));
        CheckDerivative<Relu>(x => Math.Max(x, 0), x => x > 0 ? 1 : 0);
        CheckDerivative<Square>(x => x * x, x => 2 * x, relativeAboveOne: true);
    }

    [Test]
    public void Lanes_and_scalar_agree_in_every_bit_where_they_share_the_fused_multiply_add() =>
        // A tail then continues its row without a seam, and results do not depend on where a row is cut.
        Assert.Multiple(() =>
        {
            Assert.That(Bits(Apply<Gelu, Lanes>(Everywhere)), Is.EqualTo(Bits(Apply<Gelu, Scalar>(Everywhere))),
                "Lanes");
            if (HasLanes512)
            {
                Assert.That(Bits(Apply<Gelu, Lanes512>(Everywhere)),
                Is.EqualTo(Bits(Apply<Gelu, Scalar>(Everywhere))), "Lanes512");
            }
        });

    private static double GeluReference(double x) =>
        double.IsNegativeInfinity(x) ? 0 : double.IsPositiveInfinity(x)
        ? x : 0.5 * x * ReferenceMath.Erfc(-x / Math.Sqrt(2));

    // x/2·(1 + tanh u) = x/(1 + exp(−2u)), which does not cancel
    private static double GeluTanhReference(double x) => double.IsInfinity(x) ? Math.Max(x, 0)
        : x / (1 + Math.Exp(-2 * Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    private static double GeluTanhDerivative(double x)
    {
        if (Math.Abs(x) > 100)
        {
            return x > 0 ? 1 : 0;
        }
        var (root, tanh) = (Math.Sqrt(2 / Math.PI), Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
        return (1 + tanh) / 2 + x / 2 * (1 - tanh * tanh) * root * (1 + 3 * 0.044715 * x * x);
    }

    // log(1 + e) of an e below the last digit of 1 is e
    private static double SoftplusReference(double x)
    {
        var e = Math.Exp(-Math.Abs(x));
        return Math.Max(x, 0) + (e < 1e-8 ? e : Math.Log(1 + e));
    }

    private static double SiluDerivative(double x)
    {
        if (Math.Abs(x) > 700)
        {
            return x > 0 ? 1 : 0;
        }
        var sigmoid = 1 / (1 + Math.Exp(-x));
        return sigmoid * (1 + x * (1 - sigmoid));
    }

    private static void CheckRelative<TFormula>(Func<double, double> reference, double bound) where TFormula : struct,
        IFormula =>
        Check<TFormula>(reference, (exact, difference) => difference / Math.Abs(exact), bound, onlyNormal: true);

    private static void CheckAbsolute<TFormula>(Func<double, double> reference, double bound,
        bool relativeAboveOne = false) where TFormula : struct, IFormula =>
        Check<TFormula>(reference,
            (exact, difference) => relativeAboveOne ? difference / Math.Max(1, Math.Abs(exact)) : difference, bound,
                onlyNormal: false);

    private static void Check<TFormula>(Func<double, double> reference, Func<double, double, double> error,
        double bound, bool onlyNormal)
        where TFormula : struct, IFormula
    {
        var exact = Array.ConvertAll(Everywhere, x => reference(x));
        Check("Scalar", Everywhere, exact, Apply<TFormula, Scalar>(Everywhere), error, bound, onlyNormal);
        Check("Lanes", Everywhere, exact, Apply<TFormula, Lanes>(Everywhere), error, bound, onlyNormal);
        if (HasLanes512)
        {
            Check("Lanes512", Everywhere, exact, Apply<TFormula, Lanes512>(Everywhere), error, bound,
            onlyNormal);
        }
    }

    private static void CheckDerivative<TFormula>(Func<double, double> value, Func<double, double> derivative,
        bool relativeAboveOne = false)
        where TFormula : struct, IFormula
    {
        var finite = Everywhere.Where(x => !float.IsNaN(x) && MathF.Abs((float)value(x)) < 1e37f).ToArray();
        var exact = Array.ConvertAll(finite, x => derivative(x));
        var y = Array.ConvertAll(finite, x => (float)value(x));
        double Error(double correct, double difference) =>
            relativeAboveOne ? difference / Math.Max(1, Math.Abs(correct)) : difference;
        Check("Scalar", finite, exact, ApplyDerivative<TFormula, Scalar>(finite, y), Error, 1e-6, onlyNormal: false);
        Check("Lanes", finite, exact, ApplyDerivative<TFormula, Lanes>(finite, y), Error, 1e-6, onlyNormal: false);
        if (HasLanes512)
        {
            Check("Lanes512", finite, exact, ApplyDerivative<TFormula, Lanes512>(finite, y), Error, 1e-6,
            onlyNormal: false);
        }
    }

    private static void Check(string width, float[] inputs, double[] exact, float[] actual,
        Func<double, double, double> error, double bound, bool onlyNormal)
    {
        var (worst, at) = (-1.0, 0f);
        for (var i = 0; i < inputs.Length; i++)
        {
            if (double.IsNaN(exact[i]) || Math.Abs(exact[i]) > float.MaxValue)
            {
                // What no float32 can hold must be NaN or the infinity that the exact result rounds to.
                if (!actual[i].Equals((float)exact[i]))
                {
                    Assert.Fail($"{width}: at {inputs[i]:R} got {actual[i]:R}, expected {(float)exact[i]:R}");
                }
                continue;
            }
            if (onlyNormal && Math.Abs(exact[i]) < SmallestNormal)
            {
                continue;
            }
            var found = exact[i] == actual[i] ? 0 : error(exact[i], Math.Abs(actual[i] - exact[i]));
            if (!(found <= worst))
            {
                (worst, at) = (found, inputs[i]);
            }
        }
        TestContext.Out.WriteLine($"{width}: worst error {worst:E2} at {at:R}");
        Assert.That(worst, Is.LessThanOrEqualTo(bound), $"{width}: worst at {at:R}");
    }

    private static float One<TFormula, T>(float x) where TFormula : struct, IFormula where T : struct, ILanes<T> =>
        Apply<TFormula, T>([x])[0];

    private static unsafe float[] Apply<TFormula, T>(float[] x) where TFormula : struct, IFormula where T : struct,
        ILanes<T>
    {
        var y = new float[x.Length];
        fixed (float* from = x, to = y)
        {
            for (var i = 0; i < x.Length; i += T.Width)
            {
                T.Store(ref to[i], x.Length - i, TFormula.Value(T.Load(ref from[i], x.Length - i, 0)));
            }
        }
        return y;
    }

    private static unsafe float[] ApplyDerivative<TFormula, T>(float[] x, float[] y) where TFormula : struct, IFormula
        where T : struct, ILanes<T>
    {
        var result = new float[x.Length];
        fixed (float* input = x, output = y, to = result)
        {
            for (var i = 0; i < x.Length; i += T.Width)
            {
                var left = x.Length - i;
                T.Store(ref to[i], left,
                    TFormula.Derivative(T.Load(ref input[i], left, 0), T.Load(ref output[i], left, 0)));
            }
        }
        return result;
    }

    private static int[] Bits(float[] values) =>
        Array.ConvertAll(values, value => float.IsNaN(value) ? -1 : BitConverter.SingleToInt32Bits(value));

    private static IEnumerable<float> Patterns()
    {
        for (long pattern = 0; pattern <= uint.MaxValue; pattern += 4999)
        {
            yield return BitConverter.UInt32BitsToSingle((uint)pattern);
        }
    }

    private static IEnumerable<float> Dense(double from, double to, int count) =>
        Enumerable.Range(0, count).Select(i => (float)(from + (to - from) * i / count));
}
