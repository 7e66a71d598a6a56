namespace LoraScratch.Engine.NN;

/// <summary>A linear layer that an adapter can stand on: y = xWᵀ + b, with a weight of float32 or a group-quantised one, or an <see cref="Embedding"/>. <see cref="DynamicInt8Linear"/> passes no gradient on and is none.</summary>
public interface ILinear
{
    /// <summary>Width of the input.</summary>
    int InFeatures { get; }

    /// <summary>Width of the output.</summary>
    int OutFeatures { get; }

    /// <summary>b [out], or null</summary>
    Parameter? Bias { get; }
}
