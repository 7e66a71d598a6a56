using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Course;

/// <summary>What the checks share: numbers, differences, and guesses at what went wrong.</summary>
internal static class Check
{
    /// <summary>Normal numbers, the same in every run.</summary>
    public static DenseMatrix Random(int rows, int columns, ulong seed) =>
        DenseMatrix.From(new RandomStream(seed).Normal(rows * columns, 1), rows, columns);

    public static Tensor ToTensor(this DenseMatrix values, bool requiresGradient = false) =>
        Tensor.From(values.ToFloats(), new Shape(values.Rows, values.Columns), requiresGradient: requiresGradient);

    /// <summary>
    /// d(loss)/d(every element) by central differences; exact up to rounding where the loss is at
    /// most quadratic in each element.
    /// </summary>
    public static DenseMatrix Numeric(DenseMatrix input, Func<double> loss)
    {
        const double step = 1e-3;
        var gradient = new DenseMatrix(input.Rows, input.Columns);
        for (var i = 0; i < input.Values.Length; i++)
        {
            var value = input.Values[i];
            input.Values[i] = value + step;
            var above = loss();
            input.Values[i] = value - step;
            gradient.Values[i] = (above - loss()) / (2 * step);
            input.Values[i] = value;
        }
        return gradient;
    }

    /// <summary>⟨U, Y⟩, the sum of all products of equal elements.</summary>
    public static double Inner(DenseMatrix u, DenseMatrix y) => u.Values.Zip(y.Values, (a, b) => a * b).Sum();

    /// <summary>Equal in every element, or a sentence that helps.</summary>
    /// <param name="name">What it is called on the page.</param>
    /// <param name="got">The learner's.</param>
    /// <param name="expected">The right one.</param>
    /// <param name="tolerance">
    /// Allowed difference as a share of the largest expected element.
    /// </param>
    public static void Same(string name, DenseMatrix got, DenseMatrix expected, double tolerance = 1e-7)
    {
        Assert.That((got.Rows, got.Columns), Is.EqualTo((expected.Rows, expected.Columns)),
            $"{name} must be {expected}, yours is {got}");
        var scale = Math.Max(1e-12, expected.Values.Max(Math.Abs));
        var errors = got.Values.Zip(expected.Values, (a, b) => Math.Abs(a - b) / scale).ToArray();
        var worst = Array.FindIndex(errors, error => !(error <= tolerance));
        if (worst < 0)
        {
            return;
        }
        worst = Array.IndexOf(errors, errors.Max());
        var (row, column) = (worst / expected.Columns, worst % expected.Columns);
        Assert.Fail($"{name}[{row}, {column}] is {expected[row, column]:G6}, yours is {got[row, column]:G6}: "
            + Guess(got, expected));
    }

    private static string Guess(DenseMatrix got, DenseMatrix expected)
    {
        if (got.Values.All(value => value == 0))
        {
            return "all of yours is 0.";
        }
        var ratio = Inner(got, expected) / expected.SquaredNorm();
        if ((got - ratio * expected).Norm() < 1e-4 * got.Norm())
        {
            return $"all of yours is {ratio:G4} times what it should be. A factor forgotten, or one too many?";
        }
        var right = got.Values.Zip(expected.Values, (a, b) => Math.Abs(a - b) < 1e-4 * expected.Values.Max(Math.Abs))
            .Count(same => same);
        return right > 0 ? $"{right} of {got.Values.Length} elements are right."
            : "no common factor: a matrix is missing, transposed, or another one.";
    }
}
