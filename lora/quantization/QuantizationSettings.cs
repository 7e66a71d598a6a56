using LoraScratch.Engine;

namespace LoraScratch.Lora.Quantization;

/// <summary>How a model is quantised.</summary>
internal sealed record QuantizationSettings
{
    /// <summary>Bits and group size.</summary>
    public QuantizationFormat Format { get; init; } = new(4, 32);

    /// <summary>How codes are chosen.</summary>
    public QuantizationMethod Method { get; init; }

    /// <summary>Checks the values.</summary>
    /// <exception cref="InputException">The format is none that there is.</exception>
    public void Check() => Format.Check();

    /// <summary>"INT4, groups of 32, rtn"</summary>
    public override string ToString() => $"{Format}, {ModelQuantizer.Name(Method)}";
}
