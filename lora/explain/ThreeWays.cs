using LoraScratch.Engine;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// A gradient (or a result) three ways: its closed form in float64, what autograd computed in
/// float32, and differences of a float64 reference; with what rounding allows between them.
/// </summary>
/// <param name="Name">"dA"</param>
/// <param name="Shape">Sizes.</param>
/// <param name="ClosedForm">Row-major.</param>
/// <param name="Autograd">Row-major.</param>
/// <param name="Tolerance">
/// What float32 may differ from the closed form, for each element: γₖ·Σ|terms| with k roundings one
/// after the other, γₖ = ku/(1 − ku), u = 2⁻²⁴ (Higham 2002, section 3.1).
/// </param>
/// <param name="Depth">k</param>
/// <param name="Differences">
/// Finite differences of some elements or directions; may be none.
/// </param>
internal sealed record ThreeWays(string Name, Shape Shape, IReadOnlyList<double> ClosedForm,
    IReadOnlyList<float> Autograd, IReadOnlyList<double> Tolerance, int Depth,
    IReadOnlyList<FiniteDifference> Differences)
{
    /// <summary>u = 2⁻²⁴ in float32.</summary>
    public const double Single = 1.0 / (1 << 24);

    /// <summary>u = 2⁻⁵³ in float64.</summary>
    public const double Double = 1.0 / (1L << 53);

    /// <summary>The largest |closed form − autograd|.</summary>
    public double LargestDifference => Errors().DefaultIfEmpty().Max();

    /// <summary>The largest |closed form − autograd| as a share of its tolerance.</summary>
    public double LargestShare => Errors().Zip(Tolerance, (error, allowed) => error == 0 ? 0 : error / allowed)
        .DefaultIfEmpty().Max(share => double.IsNaN(share) ? double.PositiveInfinity : share);

    /// <summary>The largest |closed form − finite difference|.</summary>
    public double LargestNumericDifference => Differences.Select(difference => Math.Abs(difference.Numeric
        - difference.ClosedForm)).DefaultIfEmpty().Max();

    /// <summary>Elements of autograd beyond the tolerance.</summary>
    public IReadOnlyList<int> Disagreeing => [.. Enumerable.Range(0, ClosedForm.Count)
        .Where(i => !(Math.Abs(ClosedForm[i] - Autograd[i]) <= Tolerance[i]))];

    /// <summary>Whether all three agree.</summary>
    public bool Agree => Disagreeing.Count == 0 && Differences.All(difference => difference.Agrees);

    /// <summary>γₖ = ku/(1 − ku)</summary>
    /// <param name="roundings">k</param>
    /// <param name="unit">u</param>
    public static double Gamma(int roundings, double unit) => roundings * unit / (1 - roundings * unit);

    private IEnumerable<double> Errors() =>
        ClosedForm.Zip(Autograd, (closed, autograd) => Math.Abs(closed - autograd));
}

/// <summary>One finite difference of a float64 reference.</summary>
/// <param name="Index">Row-major index of the element; −1: a random direction of signs.</param>
/// <param name="Numeric">(L(v + h) − L(v − h))/2h</param>
/// <param name="ClosedForm">The closed form there, or its product with the direction.</param>
/// <param name="Autograd">What autograd has there.</param>
/// <param name="Tolerance">What the two roundings of L allow, divided by h.</param>
internal sealed record FiniteDifference(int Index, double Numeric, double ClosedForm, double Autograd,
    double Tolerance)
{
    /// <summary>Whether the closed form is within the tolerance.</summary>
    public bool Agrees => Math.Abs(Numeric - ClosedForm) <= Tolerance;
}

/// <summary>Takes the differences.</summary>
/// <param name="elements">Elements of each tensor at most; those are spread over it.</param>
/// <param name="directions">Random directions beside them.</param>
internal sealed class FiniteDifferences(int elements, int directions)
{
    /// <summary>h: a power of two, so that v ± h is exact for most v.</summary>
    public const double Step = 1.0 / (1 << 10);

    /// <summary>
    /// Differences of a loss that is at most quadratic in each of these values: then nothing is
    /// truncated, and what remains is rounding.
    /// </summary>
    /// <param name="values">Moved one after the other, and put back.</param>
    /// <param name="closedForm">The gradient.</param>
    /// <param name="autograd">The gradient.</param>
    /// <param name="loss">
    /// Reads the values; is told which of them has moved, −1 for all. A constant part may be left
    /// out.
    /// </param>
    /// <param name="terms">Σ|terms| of the loss.</param>
    /// <param name="depth">Roundings one after the other in the loss.</param>
    public IReadOnlyList<FiniteDifference> Of(double[] values, IReadOnlyList<double> closedForm,
        IReadOnlyList<float> autograd, Func<int, double> loss, double terms, int depth)
    {
        var allowed = ThreeWays.Gamma(depth, ThreeWays.Double) * terms / Step;
        var found = new List<FiniteDifference>();
        var count = Math.Min(elements, values.Length);
        for (var n = 0; n < count; n++)
        {
            var i = (int)((long)n * values.Length / count);
            var value = values[i];
            values[i] = value + Step;
            var above = loss(i);
            values[i] = value - Step;
            var below = loss(i);
            values[i] = value;
            found.Add(new FiniteDifference(i, (above - below) / (2 * Step), closedForm[i], autograd[i], allowed));
        }
        var random = new RandomStream(19);
        for (var n = 0; n < directions && count < values.Length; n++)
        {
            var kept = values.ToArray();
            var signs = Array.ConvertAll(kept, _ => random.NextWord() % 2 == 0 ? 1.0 : -1.0);
            var above = At(1);
            var below = At(-1);
            kept.CopyTo(values, 0);
            found.Add(new FiniteDifference(-1, (above - below) / (2 * Step),
                signs.Select((sign, i) => sign * closedForm[i]).Sum(),
                signs.Select((sign, i) => sign * autograd[i]).Sum(),
                allowed * 4));                                  // every value has moved, and all terms with it

            double At(int side)
            {
                for (var i = 0; i < kept.Length; i++)
                {
                    values[i] = kept[i] + side * Step * signs[i];
                }
                return loss(-1);
            }
        }
        return found;
    }
}
