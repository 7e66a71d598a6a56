using System.Globalization;
using System.Text;

namespace LoraScratch.Engine;

/// <summary>What numeric gradients were taken from.</summary>
internal enum NumericGradient
{
    /// <summary>Differences of the reference that was given.</summary>
    FromReference,

    /// <summary>Differences of the op's own kernels, run in double.</summary>
    FromKernels,

    /// <summary>Differences of the op's float32 forward pass.</summary>
    FromFloat32,
}

/// <summary>One comparison, element by element.</summary>
public sealed record GradientCheckEntry
{
    private readonly float[] got;
    private readonly double[] expected;
    private readonly double scale, bound;

    internal GradientCheckEntry(string name, Shape shape, float[] got, double[] expected, double bound)
    {
        if (got.Length != expected.Length)
        {
            throw new ArgumentException(
                $"GradientCheck: {name} has {got.Length} elements, the reference gave {expected.Length}.");
        }
        (Name, Shape, this.got, this.expected, this.bound) = (name, shape, got, expected, bound);
        scale = Math.Max(1e-3, expected.Length == 0 ? 0 : expected.Max(Math.Abs));
        for (var i = 0; i < got.Length; i++)
        {
            if (double.IsNaN(ErrorAt(i)))
            {
                Index = i;
                break;
            }
            Index = ErrorAt(i) > ErrorAt(Index) ? i : Index;
        }
    }

    /// <summary>"forward", or d and the name of the input.</summary>
    public string Name { get; }

    /// <summary>Sizes of the input, or of the result.</summary>
    public Shape Shape { get; }

    /// <summary>Elements compared.</summary>
    public int Count => got.Length;

    /// <summary>Row-major index of the worst element.</summary>
    public int Index { get; }

    /// <summary>What the engine computed there.</summary>
    public double Got => Count == 0 ? 0 : got[Index];

    /// <summary>What the numeric gradient (or the reference) says there.</summary>
    public double Expected => Count == 0 ? 0 : expected[Index];

    /// <summary>The worst difference as a share of the largest expected value.</summary>
    public double Error => Count == 0 ? 0 : ErrorAt(Index);

    /// <summary>Whether every element is within the tolerance.</summary>
    public bool Passed => Error <= bound;

    /// <summary>All that the engine computed, row-major.</summary>
    public IReadOnlyList<float> Gradients => got;

    /// <summary>All that was expected, row-major.</summary>
    public IReadOnlyList<double> Numeric => expected;

    /// <summary>The equations that add to the gradient, with the ops that have them.</summary>
    public IReadOnlyList<string> Equations { get; init; } = [];

    /// <summary>
    /// What the difference looks like, such as "dW is twice the numeric gradient: a factor, or
    /// added twice?"; null where it passed.
    /// </summary>
    public string? Diagnosis => Passed ? null : GradientDiagnosis.Of(this, bound);

    /// <summary>The numbers that the ops use: a factor may have been forgotten.</summary>
    internal IReadOnlyList<ExplainedConstant> Constants { get; init; } = [];

    /// <summary>The difference at an element as a share of the largest expected value.</summary>
    public double ErrorAt(int index) => Math.Abs(got[index] - expected[index]) / scale;

    /// <summary>"[1, 3]", the place of an element.</summary>
    public string Place(int index)
    {
        var place = new int[Shape.Rank];
        for (var dimension = Shape.Rank - 1; dimension >= 0; dimension--)
        {
            (index, place[dimension]) = (index / Shape[dimension], index % Shape[dimension]);
        }
        return $"[{string.Join(", ", place)}]";
    }

    /// <summary>
    /// A line for each element: place, gradient, numeric gradient, difference; those out of
    /// tolerance are marked.
    /// </summary>
    /// <param name="most">Lines at most; the worst elements where there are more.</param>
    public string Table(int most = 64)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{Name} {Shape}{"",8}{"gradient",16}{"numeric",16}{"difference",13}");
        var shown = Enumerable.Range(0, Count);
        if (Count > most)
        {
            shown = shown.OrderByDescending(i => double.IsNaN(ErrorAt(i)) ? double.PositiveInfinity : ErrorAt(i))
                .Take(most).Order();
            text.Append(CultureInfo.InvariantCulture, $"   the worst {most} of {Count:N0}");
        }
        foreach (var i in shown)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n{Place(i),-12}{got[i],24:G7}{expected[i],16:G7}")
                .Append(CultureInfo.InvariantCulture, $"{got[i] - expected[i],13:G3}")
                .Append(ErrorAt(i) <= bound ? "" : "  FAIL");
        }
        return text.ToString();
    }
}

/// <summary>What <see cref="GradientCheck"/> found.</summary>
public sealed class GradientCheckReport
{
    internal GradientCheckReport(IReadOnlyList<GradientCheckEntry> entries, double tolerance, NumericGradient method,
        string? obstacle, Explanation? explanation) =>
        (Entries, Tolerance, Method, Obstacle, Explanation) = (entries, tolerance, method, obstacle, explanation);

    /// <summary>One per comparison.</summary>
    public IReadOnlyList<GradientCheckEntry> Entries { get; }

    /// <summary>The allowed error, as a share of the largest numeric gradient.</summary>
    public double Tolerance { get; }

    /// <summary>
    /// Why the op's kernels could not be run in double, as the end of a sentence; null where they
    /// could.
    /// </summary>
    public string? Obstacle { get; }

    /// <summary>
    /// The op taken apart, as it was checked; null where it returned a tensor that it did not
    /// compute.
    /// </summary>
    public Explanation? Explanation { get; }

    /// <summary>What the numeric gradients were taken from.</summary>
    internal NumericGradient Method { get; }

    /// <summary>True when every element of every comparison is within the tolerance.</summary>
    public bool Passed => Entries.All(entry => entry.Passed);

    /// <summary>The comparison that is furthest off.</summary>
    public GradientCheckEntry Worst =>
        Entries.MaxBy(entry => double.IsNaN(entry.Error) ? double.PositiveInfinity : entry.Error)!;

    /// <summary>What the numeric gradients are, and what they cannot show.</summary>
    public string Limits => Method switch
    {
        NumericGradient.FromReference => "numeric: differences of the reference, in float64",
        NumericGradient.FromKernels => "numeric: differences of the op's own kernels, run in float64; not seen: a "
            + "forward pass that computes something else than it should (give a reference for that)",
        _ => string.Create(CultureInfo.InvariantCulture,
            $"numeric: differences of the float32 forward pass, for {Obstacle}; not seen: errors below ")
            + string.Create(CultureInfo.InvariantCulture, $"{Tolerance:P0} of the largest gradient, and a forward ")
            + "pass that computes something else than it should (give a reference in double)",
    };

    /// <summary>
    /// A line per comparison, with its worst element; where one failed, the equation and what the
    /// difference looks like; and what the check cannot see.
    /// </summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"gradient check {(Passed ? "passed" : "FAILED")}: worst error {Worst.Error:G3} in "
                + $"{Worst.Name}{Worst.Place(Worst.Index)}, allowed {Tolerance:G3}");
        foreach (var entry in Entries)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"\n  {(entry.Passed ? "ok  " : "FAIL")} {entry.Name}: {entry.Count} elements, worst at "
                    + $"{entry.Place(entry.Index)}: got {entry.Got:G9}, expected {entry.Expected:G9}, "
                    + $"error {entry.Error:G3}");
            if (!entry.Passed)
            {
                foreach (var equation in entry.Equations)
                {
                    text.Append("\n       ").Append(equation);
                }
                text.Append("\n       ").Append(entry.Diagnosis);
            }
        }
        return text.Append("\n  ").Append(Limits).ToString();
    }
}
