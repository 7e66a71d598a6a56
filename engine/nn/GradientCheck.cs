using System.Globalization;
using System.Text;
using LoraScratch.Engine.NN;

namespace LoraScratch.Engine;

/// <summary>
/// Compares the gradients of your own op or layer with numeric ones, element by element. The loss
/// is ⟨U, y⟩ with a random upstream U: a plain sum would hide errors (the gradient of Σ softmax is
/// 0 whatever the code does).
/// <para>
/// Best give a reference: the same function in <c>double</c>, written plainly. The numeric gradient
/// is then taken from the reference in double arithmetic (central differences, good to about 1e-9
/// relative) and the forward values are compared as well. Without one, the float32 forward itself
/// is differenced (fourth order, summed in double): its rounding alone costs up to about 1e-3 of
/// the largest gradient, so the default tolerance is wider there.
/// </para>
/// </summary>
public static class GradientCheck
{
    /// <summary>Checks an op.</summary>
    /// <param name="op">
    /// The op on the engine; called again for every numeric difference when there is no reference.
    /// </param>
    /// <param name="inputs">
    /// Leaves; those with requiresGradient are checked, in every element. Keep them away from kinks
    /// (ReLU at 0).
    /// </param>
    /// <param name="reference">
    /// The op in double on row-major arrays, one per input; null: difference the op itself.
    /// </param>
    /// <param name="tolerance">
    /// Allowed |gradient − numeric| as a share of the largest numeric gradient of that input (at
    /// least 1e-3); default 1e-4 with a reference, 1e-2 without.
    /// </param>
    /// <param name="seed">Seed of the upstream.</param>
    /// <returns>A report; see <see cref="GradientCheckReport.Passed"/>.</returns>
    /// <exception cref="ArgumentException">No input requires a gradient.</exception>
    public static GradientCheckReport Run(Func<Tensor> op, IReadOnlyList<(string Name, Tensor Value)> inputs,
        Func<double[][], double[]>? reference = null, double? tolerance = null, ulong seed = 1)
    {
        if (!inputs.Any(input => input.Value.RequiresGradient))
        {
            throw new ArgumentException(
                "GradientCheck: no input requires a gradient; create one with requiresGradient: true.", nameof(inputs));
        }
        var bound = tolerance ?? (reference is null ? 1e-2 : 1e-4);
        var values = inputs.Select(input => Array.ConvertAll(input.Value.ToArray(), x => (double)x)).ToArray();

        float[] upstream, forward;
        foreach (var (_, value) in inputs)
        {
            value.ZeroGradient();
        }
        using (var scope = new TensorScope())
        {
            var y = op();
            forward = y.ToArray();
            upstream = new RandomStream(seed).Normal(forward.Length, 1);
            using var dY = Tensor.From(upstream, y.Shape, y.Backend);
            y.Backward(dY);
        }

        var worst = new List<GradientCheckEntry>();
        if (reference is not null)
        {
            worst.Add(Compare("forward", forward, reference(values), bound));
        }
        for (var i = 0; i < inputs.Count; i++)
        {
            var (name, input) = inputs[i];
            if (!input.RequiresGradient)
            {
                continue;
            }
            var numeric = reference is not null
                ? NumericOfReference(reference, values, i, upstream) : NumericOfOp(op, input, upstream);
            worst.Add(Compare($"d{name}", input.Gradient?.ToArray() ?? new float[numeric.Length], numeric, bound));
            input.ZeroGradient();
        }
        return new GradientCheckReport(worst, bound);
    }

    /// <summary>
    /// Checks a layer: the gradient of its input and of every trainable parameter. Switch dropout
    /// off (<see cref="Module.Evaluate"/>).
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input; checked when it requires a gradient.</param>
    /// <param name="reference">
    /// The layer in double: arrays of x, then of each trainable parameter in order of
    /// <see cref="Module.Parameters"/>; null: difference the layer itself.
    /// </param>
    /// <param name="tolerance">As for an op.</param>
    /// <param name="seed">Seed of the upstream.</param>
    public static GradientCheckReport Run(Layer layer, Tensor x, Func<double[][], double[]>? reference = null,
        double? tolerance = null, ulong seed = 1) =>
        Run(() => layer.Forward(x),
            [("x", x), .. layer.NamedParameters().Where(entry => entry.Parameter.IsTrainable)
                .Select(entry => (entry.Path, (Tensor)entry.Parameter))], reference, tolerance, seed);

    private static double[] NumericOfReference(Func<double[][], double[]> reference, double[][] values, int input,
        float[] upstream)
    {
        var gradient = new double[values[input].Length];
        for (var e = 0; e < gradient.Length; e++)
        {
            var x = values[input][e];
            var step = 1e-5 * Math.Max(1, Math.Abs(x));
            values[input][e] = x + step;
            var above = Loss(reference(values), upstream);
            values[input][e] = x - step;
            var below = Loss(reference(values), upstream);
            values[input][e] = x;
            gradient[e] = (above - below) / (2 * step);
        }
        return gradient;
    }

    private static double[] NumericOfOp(Func<Tensor> op, Tensor input, float[] upstream)
    {
        using var frozen = new NoGradient();
        var values = input.ToArray();
        var gradient = new double[values.Length];
        for (var e = 0; e < gradient.Length; e++)
        {
            var x = values[e];
            // balances rounding, 6e-8/step, against truncation, step⁴
            var step = 0.03f * Math.Max(1, Math.Abs(x));
            // Fourth order: (8·(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h
            gradient[e] = (8 * (At(x + step) - At(x - step)) - (At(x + 2 * step) - At(x - 2 * step))) / (12.0 * step);
            At(x);

            double At(float moved)
            {
                values[e] = moved;
                input.Set(values);
                using var scope = new TensorScope();
                return Loss(Array.ConvertAll(op().ToArray(), y => (double)y), upstream);
            }
        }
        return gradient;
    }

    private static double Loss(double[] y, float[] upstream)
    {
        if (y.Length != upstream.Length)
        {
            throw new ArgumentException(
                $"GradientCheck: the reference returned {y.Length} values, the op {upstream.Length}.");
        }
        var loss = 0.0;
        for (var i = 0; i < y.Length; i++)
        {
            loss += y[i] * upstream[i];
        }
        return loss;
    }

    private static GradientCheckEntry Compare(string name, float[] got, double[] expected, double bound)
    {
        if (got.Length != expected.Length)
        {
            throw new ArgumentException(
                $"GradientCheck: {name} has {got.Length} elements, the reference gave {expected.Length}.");
        }
        var scale = Math.Max(1e-3, expected.Length == 0 ? 0 : expected.Max(Math.Abs));
        var worst = new GradientCheckEntry(name, got.Length, 0, 0, 0, 0, true);
        for (var i = 0; i < got.Length; i++)
        {
            var error = Math.Abs(got[i] - expected[i]) / scale;
            if (error > worst.Error || double.IsNaN(error) || i == 0)
            {
                worst = new GradientCheckEntry(name, got.Length, i, got[i], expected[i], error, error <= bound);
            }
            if (double.IsNaN(error))
            {
                break;
            }
        }
        return worst;
    }
}

/// <summary>The worst element of one comparison.</summary>
/// <param name="Name">"forward", or d and the name of the input.</param>
/// <param name="Count">Elements compared.</param>
/// <param name="Index">Row-major index of the worst one.</param>
/// <param name="Got">What the engine computed there.</param>
/// <param name="Expected">What the numeric gradient (or the reference) says.</param>
/// <param name="Error">Their difference as a share of the largest expected value.</param>
/// <param name="Passed">Whether it is within the tolerance.</param>
internal sealed record GradientCheckEntry(string Name, int Count, int Index, double Got, double Expected, double Error,
    bool Passed);

/// <summary>What <see cref="GradientCheck"/> found.</summary>
public sealed class GradientCheckReport
{
    internal GradientCheckReport(IReadOnlyList<GradientCheckEntry> entries, double tolerance) =>
        (Entries, Tolerance) = (entries, tolerance);

    /// <summary>One per comparison.</summary>
    internal IReadOnlyList<GradientCheckEntry> Entries { get; }

    /// <summary>The allowed error, as a share of the largest numeric gradient.</summary>
    public double Tolerance { get; }

    /// <summary>The largest error of any element, likewise.</summary>
    public double WorstError => Worst.Error;

    /// <summary>True when every element of every comparison is within the tolerance.</summary>
    public bool Passed => Entries.All(entry => entry.Passed);

    /// <summary>The comparison that is furthest off.</summary>
    internal GradientCheckEntry Worst =>
        Entries.MaxBy(entry => double.IsNaN(entry.Error) ? double.PositiveInfinity : entry.Error)!;

    /// <summary>A line per comparison, with its worst element.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"gradient check {(Passed ? "passed" : "FAILED")}: worst error {Worst.Error:G3} in "
                + $"{Worst.Name}[{Worst.Index}], allowed {Tolerance:G3}");
        foreach (var entry in Entries)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"\n  {(entry.Passed ? "ok  " : "FAIL")} {entry.Name}: {entry.Count} elements, worst at "
                    + $"{entry.Index}: got {entry.Got:G9}, expected {entry.Expected:G9}, error {entry.Error:G3}");
        }
        return text.ToString();
    }
}
