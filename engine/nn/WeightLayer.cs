namespace LoraScratch.Engine.NN;

/// <summary>
/// A layer on one weight: y = xWᵀ + b, or y = xE of an <see cref="Embedding"/>. The kinds differ in
/// how the weight is stored and how the product is computed. Whoever counts, saves, quantises or
/// adapts layers asks here for what differs, not for the kind: a new kind is one more subclass,
/// with an <see cref="IWeight"/> of its own where the weight is stored in a new way.
/// </summary>
public abstract class WeightLayer : Layer
{
    /// <summary>W [out, in], or E [count, width].</summary>
    public abstract IWeight Weight { get; }

    /// <summary>b [out], or null</summary>
    public abstract Parameter? Bias { get; }

    /// <summary>Width of the input; of an embedding, how many vectors there are.</summary>
    public int InFeatures => Weight.Shape[IsEmbedding ? 0 : 1];

    /// <summary>Width of the output; of an embedding, elements of a vector.</summary>
    public int OutFeatures => Weight.Shape[IsEmbedding ? 1 : 0];

    /// <summary>
    /// Whether the inputs are ids, each of which selects a row of the weight, which is [in, out]
    /// then. What is said of the linear layers of a model does not include such a layer.
    /// </summary>
    public virtual bool IsEmbedding => false;

    /// <summary>
    /// Whether the gradient of the output is passed on to the input. A layer that does not is for
    /// prediction: what comes before it cannot be trained, and it gets no low-rank update.
    /// </summary>
    public virtual bool PassesGradient => true;
}
