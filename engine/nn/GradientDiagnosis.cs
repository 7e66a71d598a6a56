using System.Globalization;

namespace LoraScratch.Engine;

/// <summary>
/// What a wrong gradient looks like beside the numeric one: the usual mistakes leave traces.
/// </summary>
internal static class GradientDiagnosis
{
    /// <summary>A sentence about an entry that failed.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="bound">The tolerance.</param>
    public static string Of(GradientCheckEntry entry, double bound)
    {
        var got = entry.Gradients.Select(value => (double)value).ToArray();
        var expected = entry.Numeric.ToArray();
        var (name, largest) = (entry.Name, Math.Max(1e-3, expected.Max(Math.Abs)));
        var wrong = Enumerable.Range(0, got.Length).Where(i => !(entry.ErrorAt(i) <= bound)).ToList();
        if (name == "forward")
        {
            return "the forward pass computes something else than the reference, so its gradient may be right and "
                + "differ all the same.";
        }
        if (got.FirstOrDefault(value => !double.IsFinite(value), 0) is var broken && !double.IsFinite(broken))
        {
            return $"{name} is {broken.ToString(CultureInfo.InvariantCulture)} in places: a division by 0, or memory "
                + "that the gradient function never wrote?";
        }
        if (Array.TrueForAll(got, value => value == 0))
        {
            return $"{name} is 0 everywhere: no GradientFor for this input, or a Detach or NoGradient on its way?";
        }
        if (Factor(got, expected, bound * largest) is { } factor)
        {
            return $"{name} is {Words(factor)} the numeric gradient: {Cause(factor, entry)}";
        }
        if (Transposed(entry, expected) is { } transposed
            && Enumerable.Range(0, got.Length).All(i => Math.Abs(got[i] - transposed[i]) <= bound * largest))
        {
            return $"{name} is the transpose of the numeric gradient: a .T too many or too few, or the factors of a "
                + "product exchanged?";
        }
        return Where(entry, wrong) ?? (entry.Equations.Count > 1
            ? $"{name} differs in {wrong.Count} of {got.Length} elements; {entry.Equations.Count} ops add to it: is "
                + "the share of one missing, doubled or overwritten (= for +=)?"
            : $"{name} differs in {wrong.Count} of {got.Length} elements, and is no multiple of the numeric gradient: "
                + "an operand exchanged, or a term missing?");
    }

    /// <summary>
    /// The number that makes the expected gradient the one that was got, if there is one.
    /// </summary>
    private static double? Factor(double[] got, double[] expected, double allowed)
    {
        var squares = expected.Sum(value => value * value);
        if (squares == 0)
        {
            return null;
        }
        var factor = got.Zip(expected, (x, y) => x * y).Sum() / squares;
        return got.Zip(expected, (x, y) => Math.Abs(x - factor * y)).Max() <= allowed * Math.Max(1, Math.Abs(factor))
            ? factor : null;
    }

    private static string Words(double factor) => Near(factor, -1) ? "the negative of"
        : Near(factor, 2) ? "twice"
        : Near(factor, 0.5) ? "half"
        : string.Create(CultureInfo.InvariantCulture, $"{factor:G4} times");

    private static string Cause(double factor, GradientCheckEntry entry)
    {
        if (Near(factor, -1))
        {
            return "a sign?";
        }
        foreach (var constant in entry.Constants.Where(constant => constant.Number is { } number && number is not 0 and
            not 1 and not -1))
        {
            var number = constant.Number!.Value;
            var named = $"{constant.Name} = {constant.Text}";
            if (Near(factor * number, 1))
            {
                return $"a missing factor {named}?";
            }
            if (Near(factor, number))
            {
                return $"the factor {named} once too often?";
            }
        }
        return Near(factor, 2) ? "a factor, or added twice?"
            : factor < 1 && Near(Math.Round(1 / factor) * factor, 1)
                ? string.Create(CultureInfo.InvariantCulture,
                    $"a mean over {1 / factor:F0} where a sum is meant, or a factor?")
            : "a factor?";
    }

    private static bool Near(double a, double b) => Math.Abs(a - b) <= 5e-3 * Math.Abs(b);

    /// <summary>
    /// The expected gradient as it lies in memory when rows and columns are exchanged.
    /// </summary>
    private static double[]? Transposed(GradientCheckEntry entry, double[] expected)
    {
        if (entry.Shape.Rank != 2)
        {
            return null;
        }
        var (rows, columns) = (entry.Shape[0], entry.Shape[1]);
        return [.. Enumerable.Range(0, expected.Length).Select(i => expected[i % rows * columns + i / rows])];
    }

    /// <summary>Where it is wrong, if that is a small part.</summary>
    private static string? Where(GradientCheckEntry entry, List<int> wrong)
    {
        if (entry.Count < 4)
        {
            return null;
        }
        var columns = Math.Max(1, entry.Shape.Columns);
        var rows = wrong.Select(i => i / columns).Distinct().ToList();
        var inColumns = wrong.Select(i => i % columns).Distinct().ToList();
        return wrong.Count == 1 ? $"{entry.Name} is right but for the element {entry.Place(wrong[0])}."
            : rows.Count == 1 && entry.Shape.Rows > 1
                ? $"{entry.Name} is right but for row {rows[0]}: a bound of a loop, or a row of another example?"
            : inColumns.Count == 1 && columns > 1
                ? $"{entry.Name} is right but for column {inColumns[0]}: a bound of a loop?"
            : 4 * wrong.Count <= entry.Count
                ? $"{entry.Name} is right but for {wrong.Count} of {entry.Count} elements, the first of them "
                    + $"{entry.Place(wrong[0])}."
            : null;
    }
}
