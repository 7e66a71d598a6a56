namespace LoraScratch.Engine.NN;

/// <summary>What a linear layer is, whether its weight is of float32 or quantised: y = xWᵀ + b.</summary>
public interface ILinear
{
    /// <summary>Width of the input.</summary>
    int InFeatures { get; }

    /// <summary>Width of the output.</summary>
    int OutFeatures { get; }

    /// <summary>b [out], or null</summary>
    Parameter? Bias { get; }
}
