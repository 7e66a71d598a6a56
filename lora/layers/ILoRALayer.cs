using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A low-rank update of a linear layer: <see cref="LoRALayer"/> of the input itself,
/// <see cref="QALoRALayer"/> of the input pooled over groups.
/// </summary>
public interface ILoRALayer
{
    /// <summary>[in, rank], or with a pooled input [in/g, rank]</summary>
    Parameter A { get; }

    /// <summary>[rank, out]</summary>
    Parameter B { get; }

    /// <summary>What the layer was created with.</summary>
    LoRASettings Settings { get; }

    /// <summary>r</summary>
    int Rank { get; }

    /// <summary>The factor s.</summary>
    float Scaling { get; }

    /// <summary>Width of the input.</summary>
    int InFeatures { get; }

    /// <summary>Width of the output.</summary>
    int OutFeatures { get; }

    /// <summary>y and the update of it.</summary>
    /// <param name="y">[…, out], the output of the layer that is adapted.</param>
    /// <param name="x">[…, in], its input.</param>
    /// <returns>[…, out]</returns>
    Tensor AddTo(Tensor y, Tensor x);
}
