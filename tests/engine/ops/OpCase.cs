using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// A row of the op table: an op on the engine beside the same function in double.
/// </summary>
public sealed class OpCase
{
    private const int UpstreamSeed = 991;

    private readonly Lazy<double[]> forward;
    private readonly Lazy<double[][]> gradients;

    /// <summary>A row.</summary>
    /// <param name="operation">Name of the method in <see cref="Ops"/>.</param>
    /// <param name="shapes">Shapes of the differentiable inputs.</param>
    /// <param name="compute">The op on tensors of these shapes.</param>
    /// <param name="reference">The op on the same numbers in double.</param>
    /// <param name="note">What distinguishes the row besides its shapes.</param>
    /// <param name="change">
    /// Moves the inputs' random values (given their row-major indices), away from a kink for
    /// instance.
    /// </param>
    public OpCase(string operation, Shape[] shapes, Func<Tensor[], Tensor> compute,
        Func<double[][], double[]> reference, string note = "", Func<float, int, float>? change = null)
    {
        Operation = operation;
        Compute = compute;
        Name = $"{operation} "
            + $"{string.Join(" ", shapes.Select(shape => shape.ToString()))}{(note.Length > 0 ? ", " + note : "")}";
        Shapes = shapes;
        Inputs =
            [.. shapes.Select((shape, i) => Values.Normal(shape.Count, 17 * shape.Count + i)
                .Select((value, e) => change?.Invoke(value, e) ?? value).ToArray())];
        forward = new(() => reference([.. Inputs.Select(Values.ToDouble)]));
        gradients = new(() => NumericGradients(reference));
    }

    public string Operation { get; }

    public string Name { get; }

    public Func<Tensor[], Tensor> Compute { get; }

    public IReadOnlyList<Shape> Shapes { get; }

    public float[][] Inputs { get; }

    /// <summary>The result in double.</summary>
    public double[] Forward => forward.Value;

    /// <summary>
    /// d⟨upstream, y⟩/d(input) of every element of every input, from central differences of the
    /// double reference.
    /// </summary>
    public double[][] Gradients => gradients.Value;

    /// <summary>A random upstream gradient for the result.</summary>
    public float[] Upstream => Values.Normal(Forward.Length, UpstreamSeed);

    /// <summary>
    /// The inputs as leaves; those that <paramref name="isFrozen"/> names require no gradient.
    /// </summary>
    public Tensor[] Leaves(IBackend backend, Predicate<int>? isFrozen = null) =>
        [.. Inputs.Select((values, i) =>
            Tensor.From(values, Shapes[i], backend, requiresGradient: !(isFrozen?.Invoke(i) ?? false)))];

    /// <summary>
    /// Backward of <paramref name="y"/> with the random upstream, times a factor.
    /// </summary>
    public void Backward(Tensor y, float factor = 1)
    {
        using var upstream = Tensor.From(Array.ConvertAll(Upstream, value => factor * value), y.Shape, y.Backend);
        y.Backward(upstream);
    }

    public override string ToString() => Name;

    private double[][] NumericGradients(Func<double[][], double[]> reference)
    {
        var values = Inputs.Select(Values.ToDouble).ToArray();
        var upstream = Upstream;
        return [.. values.Select(input => Enumerable.Range(0, input.Length).Select(e => Slope(input, e)).ToArray())];

        double Slope(double[] input, int e)
        {
            var x = input[e];
            var step = 1e-5 * Math.Max(1, Math.Abs(x));
            input[e] = x + step;
            var above = Loss();
            input[e] = x - step;
            var below = Loss();
            input[e] = x;
            return (above - below) / (2 * step);
        }

        double Loss() => reference(values).Zip(upstream, (y, u) => y * u).Sum();
    }
}
