using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// Compares the gradients of your own op or layer with numeric ones, element by element. The loss
/// is ⟨U, y⟩ with a random upstream U: a plain sum would hide errors (the gradient of Σ softmax is
/// 0 whatever the code does).
/// <para>
/// The numeric gradient is taken from differences in double arithmetic, in one of three ways; the
/// report says which, and what it cannot see.
/// </para>
/// <list type="bullet">
/// <item>
/// Given a reference, the same function in <c>double</c>, written plainly: differences of it, good
/// to about 1e-9 of the largest; the forward values are compared as well. Only this way finds a
/// forward pass that computes something else than it should.
/// </item>
/// <item>
/// Without one, the kernels that the op called, formulas over IReal with them, run again in double.
/// </item>
/// <item>
/// Where an op computes on the host, or with whole numbers, neither is possible: the float32
/// forward pass itself is differenced, whose rounding alone costs up to about 1e-3 of the largest
/// gradient. The default tolerance is 1e-2 then, and smaller errors pass unseen.
/// </item>
/// </list>
/// </summary>
public static class GradientCheck
{
    /// <summary>Checks an op.</summary>
    /// <param name="op">
    /// The op on the engine; called again for every numeric difference where it cannot be run in
    /// double.
    /// </param>
    /// <param name="inputs">
    /// Leaves; those with requiresGradient are checked, in every element. Keep them away from kinks
    /// (ReLU at 0).
    /// </param>
    /// <param name="reference">
    /// The op in double on row-major arrays, one per input; null: the op's own kernels in double.
    /// </param>
    /// <param name="tolerance">
    /// Allowed |gradient − numeric| as a share of the largest numeric gradient of that input (at
    /// least 1e-3); default 1e-4, and 1e-2 where the float32 forward pass is differenced.
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
        foreach (var (_, value) in inputs)
        {
            value.ZeroGradient();
        }
        using var scope = new TensorScope();
        var run = Run(op, inputs, seed);
        var method = reference is not null ? NumericGradient.FromReference
            : run.Program.Obstacle is null ? NumericGradient.FromKernels : NumericGradient.FromFloat32;
        var bound = tolerance ?? (method == NumericGradient.FromFloat32 ? 1e-2 : 1e-4);
        var values = inputs.Select(input => Array.ConvertAll(input.Value.ToArray(), x => (double)x)).ToArray();

        var entries = new List<GradientCheckEntry>();
        if (reference is not null)
        {
            entries.Add(new GradientCheckEntry("forward", run.Y.Shape, run.Forward, reference(values), bound));
        }
        for (var i = 0; i < inputs.Count; i++)
        {
            var (name, input) = inputs[i];
            if (!input.RequiresGradient)
            {
                continue;
            }
            var numeric = method switch
            {
                NumericGradient.FromReference => NumericOfReference(reference!, values, i, run.Upstream),
                NumericGradient.FromKernels => NumericOfProgram(run, inputs, values, i),
                _ => NumericOfOp(op, input, run.Upstream),
            };
            entries.Add(new GradientCheckEntry($"d{name}", input.Shape,
                input.Gradient?.ToArray() ?? new float[numeric.Length], numeric, bound)
            {
                Equations = Equations(run.Explanation, name),
                Constants = [.. run.Explanation?.Operations.SelectMany(operation => operation.Constants) ?? []],
            });
            input.ZeroGradient();
        }
        return new GradientCheckReport(entries, bound, method, run.Program.Obstacle, run.Explanation);
    }

    /// <summary>
    /// Checks a layer: the gradient of its input and of every trainable parameter. Switch dropout
    /// off (<see cref="Module.Evaluate"/>).
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input; checked when it requires a gradient.</param>
    /// <param name="reference">
    /// The layer in double: arrays of x, then of each trainable parameter in order of
    /// <see cref="Module.Parameters"/>; null: the layer's own kernels in double.
    /// </param>
    /// <param name="tolerance">As for an op.</param>
    /// <param name="seed">Seed of the upstream.</param>
    public static GradientCheckReport Run(Layer layer, Tensor x, Func<double[][], double[]>? reference = null,
        double? tolerance = null, ulong seed = 1) =>
        Run(() => layer.Forward(x),
            [("x", x), .. layer.NamedParameters().Where(entry => entry.Parameter.IsTrainable)
                .Select(entry => (entry.Path, (Tensor)entry.Parameter))], reference, tolerance, seed);

    /// <summary>The op forward and backward, and what it did.</summary>
    private sealed record Pass(Tensor Y, float[] Forward, float[] Upstream, Float64Program Program,
        DeviceBuffer<float> Result, IReadOnlyList<DeviceBuffer<float>> Inputs, Explanation? Explanation);

    private static Pass Run(Func<Tensor> op, IReadOnlyList<(string Name, Tensor Value)> inputs, ulong seed)
    {
        using var tape = new Tape();
        var program = new Float64Program();
        var buffers = inputs.Select(input => input.Value.Data).ToList();
        Tensor y;
        using (new KernelTrace(program: program))
        {
            y = op();
        }
        var (result, forward) = (y.Data, y.ToArray());
        var upstream = new RandomStream(seed).Normal(forward.Length, 1);
        var entry = tape.Entries.FirstOrDefault(entry => entry.Result == y);
        var builder = entry is null ? null : new ExplanationBuilder(tape, entry, inputs);
        using var dY = Tensor.From(upstream, y.Shape, y.Backend);
        tape.Backward(y, dY);
        tape.CountUnformed();
        return new Pass(y, forward, upstream, program, result, buffers, builder?.Build());
    }

    /// <summary>"dW += Xᵀ·dY (MyMatMul)", for each op that takes the input.</summary>
    private static IReadOnlyList<string> Equations(Explanation? explanation, string input) =>
        [.. explanation?.Backward.Where(gradient => gradient.Targets.Any(target => target.Name == input))
            .Select(gradient => $"{gradient.Equation} ({gradient.Operation.Name})") ?? []];

    /// <summary>
    /// Fourth order, (8·(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h)))/12h, of the kernels in double. The
    /// step is large against the steps of up to 1e-7 between the polynomials that a formula such as
    /// exp is made of.
    /// </summary>
    private static double[] NumericOfProgram(Pass run, IReadOnlyList<(string Name, Tensor Value)> inputs,
        double[][] values, int input)
    {
        var gradient = new double[values[input].Length];
        if (!run.Program.Knows(run.Inputs[input]) && run.Inputs[input] != run.Result)
        {
            return gradient;                                    // no kernel reads it
        }
        for (var e = 0; e < gradient.Length; e++)
        {
            var x = values[input][e];
            const double step = 4e-3;
            gradient[e] = (8 * (At(x + step) - At(x - step)) - (At(x + 2 * step) - At(x - 2 * step))) / (12 * step);
            values[input][e] = x;

            double At(double moved)
            {
                values[input][e] = moved;
                return Loss(run.Program.Run(inputs.Select((_, i) => (run.Inputs[i], values[i])), run.Result),
                    run.Upstream);
            }
        }
        return gradient;
    }

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
}
