using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// One batch through one adapted linear layer of a model: the layer op by op, and its gradients
/// three ways, for the X and the dY that the model had there.
/// </summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Tape">The layer on X, backward from dY.</param>
/// <param name="Numbers">The same in float64.</param>
/// <param name="DY">dY [N, out]</param>
/// <param name="Ways">H, Y, dA, dB, dX.</param>
/// <param name="Loss">Of the model.</param>
/// <param name="InputNeedsGradient">
/// Whether the model asks for dX: something before the layer is trained.
/// </param>
/// <param name="Merge">Of a quantised layer, the update in its zeros.</param>
internal sealed record LayerExplanation(string Path, LayerWithLoRA Layer, Explanation Tape, LayerNumbers Numbers,
    DenseMatrix DY, IReadOnlyList<ThreeWays> Ways, double Loss, bool InputNeedsGradient, ZeroMerge? Merge)
{
    private const int Elements = 64, Directions = 3;

    /// <summary>Explains a layer of a model.</summary>
    /// <param name="model">The model with its adapter.</param>
    /// <param name="adapted">The layer, on a linear one.</param>
    /// <param name="loss">Runs the model and computes its loss, a single number.</param>
    public static LayerExplanation Of(Module model, (string Path, LayerWithLoRA Layer) adapted, Func<Tensor> loss)
    {
        var (x, dY, value, needsGradient) = LayerProbe.Listen(model, adapted, loss);
        return Of(adapted, x, dY, value, needsGradient);
    }

    /// <summary>Explains a layer on given numbers.</summary>
    /// <param name="adapted">The layer.</param>
    /// <param name="x">[N, in]</param>
    /// <param name="dY">[N, out]</param>
    /// <param name="loss">Of the model.</param>
    /// <param name="needsGradient">Whether the model asks for dX.</param>
    public static LayerExplanation Of((string Path, LayerWithLoRA Layer) adapted, float[] x, float[] dY, double loss,
        bool needsGradient)
    {
        var (layer, backend) = (adapted.Layer, adapted.Layer.Base.Weight.Backend);
        int inner = layer.Base.InFeatures, outer = layer.Base.OutFeatures, rows = x.Length / inner;
        using var input = Tensor.From(x, new Shape(rows, inner), backend, requiresGradient: true);
        using var upstream = Tensor.From(dY, new Shape(rows, outer), backend);
        var parameters = new[] { layer.Lora.A, layer.Lora.B };
        var wereTrainable = Array.ConvertAll(parameters, parameter => parameter.IsTrainable);
        foreach (var parameter in parameters)
        {
            parameter.IsTrainable = true;
            parameter.ZeroGradient();
        }
        var tape = LayerTape.Run(layer, input, () => layer.Forward(input), upstream);
        input.ZeroGradient();
        foreach (var (parameter, wasTrainable) in parameters.Zip(wereTrainable))
        {
            parameter.ZeroGradient();
            parameter.IsTrainable = wasTrainable;
        }
        var numbers = LayerTape.Numbers(layer, tape);
        var exact = DenseMatrix.From(dY, rows, outer);
        var ways = LayerComparison.Of(numbers, exact, null, LayerTape.Results(tape), new ProductLoss(exact),
            new FiniteDifferences(Elements, Directions));
        return new LayerExplanation(adapted.Path, layer, tape, numbers, exact, ways, loss, needsGradient,
            layer is LinearWithQALoRA quantized ? ZeroMerge.Of(quantized, numbers, tape["Y"].Values) : null);
    }
}

/// <summary>
/// QA-LoRA's update in the zeros of the packed weight, tried on the explained batch.
/// </summary>
/// <param name="LargestMove">The largest |ζ′ − ζ|, in codes.</param>
/// <param name="LargestZero">The largest |ζ′|.</param>
/// <param name="LargestDifference">The largest |y merged − y with the update beside it|.</param>
/// <param name="Tolerance">What float32 allows there.</param>
internal sealed record ZeroMerge(double LargestMove, double LargestZero, double LargestDifference, double Tolerance)
{
    /// <summary>Whether merging changes no output beyond rounding.</summary>
    public bool Agrees => LargestDifference <= Tolerance;

    /// <summary>Merges, computes, and puts the zeros back.</summary>
    public static ZeroMerge Of(LinearWithQALoRA layer, LayerNumbers numbers, IReadOnlyList<float> unmerged)
    {
        var before = layer.Base.Weight.Grids();
        var merged = QALoRAMerge.Merge(layer.Base.Weight, layer.Lora);
        float[] outputs;
        try
        {
            layer.Base.Weight.SetGrids(merged);
            using var frozen = new NoGradient();
            using var scope = new TensorScope();
            using var x = Tensor.From(Array.ConvertAll(numbers.Mask is null ? numbers.X.Values
                : LayerNumbers.Product(numbers.X, numbers.Mask).Values, value => (float)value),
                new Shape(numbers.Count, numbers.X.Columns), layer.Base.Weight.Backend);
            outputs = layer.Base.Forward(x).ToArray();
        }
        finally
        {
            layer.Base.Weight.SetGrids(before);
        }
        // a weight of a group moves by rounding its zero, |α·ζ′|·u, and both sums by their own roundings
        var terms = 0.0;
        for (var n = 0; n < numbers.Count; n++)
        {
            for (var j = 0; j < numbers.W.Rows; j++)
            {
                var sum = 0.0;
                for (var i = 0; i < numbers.X.Columns; i++)
                {
                    var grid = merged[j * (numbers.X.Columns / numbers.GroupSize) + i / numbers.GroupSize];
                    sum += Math.Abs(numbers.X[n, i])
                        * (Math.Abs(numbers.W[j, i]) + 2.0 * Math.Abs(grid.Scale * grid.Zero));
                }
                terms = Math.Max(terms, sum);
            }
        }
        var update = numbers.Absolute().Forward().Values.Max();
        return new ZeroMerge(before.Zip(merged, (old, now) => Math.Abs((double)now.Zero - old.Zero)).Max(),
            merged.Max(grid => Math.Abs((double)grid.Zero)),
            outputs.Zip(unmerged, (y, z) => Math.Abs((double)y - z)).Max(),
            ThreeWays.Gamma(2 * numbers.X.Columns + numbers.A.Columns + 16, ThreeWays.Single) * (terms + update));
    }
}

/// <summary>
/// Stands around a layer for one pass of its model, and keeps what came in and what its gradient
/// was.
/// </summary>
internal sealed class LayerProbe : Layer
{
    private readonly Submodule<Layer> layer;

    private LayerProbe(Layer layer) => this.layer = Add("layer", layer);

    /// <summary>The layer's input in the last pass.</summary>
    public Tensor? Input { get; private set; }

    /// <summary>The layer's output in the last pass, kept.</summary>
    public Tensor? Output { get; private set; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x)
    {
        Values = x.ToArray();
        Input = x;
        Output = layer.Value.Forward(x).Keep();
        return Output;
    }

    private float[] Values { get; set; } = [];

    /// <summary>Runs a model forward and backward and listens at one of its layers.</summary>
    /// <param name="model">The model.</param>
    /// <param name="adapted">The layer, in a place of the model.</param>
    /// <param name="loss">Runs the model.</param>
    /// <returns>X, dY, the loss, and whether the model asks for dX.</returns>
    public static (float[] X, float[] DY, double Loss, bool NeedsGradient) Listen(Module model,
        (string Path, LayerWithLoRA Layer) adapted, Func<Tensor> loss)
    {
        var submodule = model.NamedSubmodules().First(entry => entry.Submodule.Current == adapted.Layer).Submodule;
        var probe = new LayerProbe(adapted.Layer);
        submodule.Replace(probe);
        try
        {
            using var scope = new TensorScope();
            var result = loss();
            var value = (double)result.Item();
            var needsGradient = probe.Input!.RequiresGradient;
            result.Backward();
            var dY = probe.Output!.Gradient!.ToArray();
            probe.Output.Dispose();
            return (probe.Values, dY, value, needsGradient);
        }
        finally
        {
            submodule.Replace(adapted.Layer);
            model.ZeroGradient();
        }
    }
}
