namespace LoraScratch.Engine.NN;

/// <summary>A fully connected layer on a packed weight, y = xŴᵀ + b. The weight is a constant and not among the <see cref="Module.OwnParameters"/>; the bias stays float32.</summary>
public sealed class QuantizedLinear : Layer, ILinear, IDisposable
{
    /// <summary>A layer on a given weight, which it owns from now on.</summary>
    /// <param name="weight">Ŵ [out, in]</param> <param name="bias">b [out], or null for none.</param>
    /// <exception cref="ShapeMismatchException">The bias does not have one element per output.</exception>
    public QuantizedLinear(GroupQuantizedWeight weight, Parameter? bias = null)
    {
        if (bias is not null && bias.Shape != new Shape(weight.OutFeatures))
        {
            throw new ShapeMismatchException($"QuantizedLinear: a weight of shape {weight.Shape} needs a bias of shape [{weight.OutFeatures}], got {bias.Shape}.");
        }
        Weight = weight;
        Bias = bias is null ? null : Add(bias);
    }

    /// <summary>Ŵ [out, in]</summary>
    public GroupQuantizedWeight Weight { get; }

    /// <summary>b [out], or null</summary>
    public Parameter? Bias { get; }

    /// <summary>Width of the input.</summary>
    public int InFeatures => Weight.InFeatures;

    /// <summary>Width of the output.</summary>
    public int OutFeatures => Weight.OutFeatures;

    /// <summary>y = xŴᵀ + b</summary>
    /// <param name="x">[…, in]</param> <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x) => x.QuantizedLinear(Weight, Bias);

    /// <summary>Gives the memory of the weight back.</summary>
    public void Dispose() => Weight.Dispose();

    internal override (Shape Shape, long Bytes)? PackedWeight => (Weight.Shape, Weight.Bytes);

    /// <inheritdoc/>
    protected override string Details => $"in_features={InFeatures}, out_features={OutFeatures}, bias={Bias is not null}, bits={Weight.Format.Bits}, group_size={Weight.Format.GroupSize}";
}
