namespace LoraScratch.Engine.NN;

/// <summary>
/// A fully connected layer on a weight of a few bits, y = xŴᵀ + b. The weight is a constant; the
/// gradient passes through it to x, and the bias stays float32 and has one.
/// </summary>
internal sealed class QuantizedLinear : PackedLinear<GroupQuantizedWeight>
{
    /// <summary>A layer on a given weight, which it owns from now on.</summary>
    /// <param name="weight">Ŵ [out, in]</param>
    /// <param name="bias">b [out], or null for none.</param>
    /// <exception cref="ShapeMismatchException">
    /// The bias does not have one element per output.
    /// </exception>
    public QuantizedLinear(GroupQuantizedWeight weight, Parameter? bias = null) : base(weight, bias)
    {
    }

    /// <summary>y = xŴᵀ + b</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x) => x.QuantizedLinear(Weight, Bias);

    /// <inheritdoc/>
    protected override string Details =>
        $"{base.Details}, bits={Weight.Format.Bits}, group_size={Weight.Format.GroupSize}";
}
