namespace LoraScratch.Engine.NN;

/// <summary>
/// A fully connected layer on a weight that is not float32. It owns the weight, a constant that is
/// not among the <see cref="Module.OwnParameters"/>; the bias stays float32.
/// </summary>
/// <typeparam name="TWeight">How the weight is stored.</typeparam>
internal abstract class PackedLinear<TWeight> : WeightLayer, IDisposable where TWeight : class, IWeight
{
    /// <exception cref="ShapeMismatchException">The bias is not of shape [out].</exception>
    private protected PackedLinear(TWeight weight, Parameter? bias)
    {
        var outFeatures = weight.Shape[0];
        if (bias is not null && bias.Shape != new Shape(outFeatures))
        {
            throw new ShapeMismatchException($"{GetType().Name}: a weight of shape {weight.Shape} "
                + $"needs a bias of shape [{outFeatures}], got {bias.Shape}.");
        }
        Weight = weight;
        Bias = bias is null ? null : Add(bias);
    }

    /// <summary>Ŵ [out, in]</summary>
    public override TWeight Weight { get; }

    /// <inheritdoc/>
    public override Parameter? Bias { get; }

    /// <summary>Gives the memory of the weight back.</summary>
    public void Dispose() => Weight.Dispose();

    /// <inheritdoc/>
    protected override string Details =>
        $"in_features={InFeatures}, out_features={OutFeatures}, bias={Bias is not null}";
}
