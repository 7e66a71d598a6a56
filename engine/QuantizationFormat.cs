using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// How a weight is quantised: its codes have so many bits, and so many neighbours along the input
/// share a scale and a zero.
/// </summary>
/// <param name="Bits">2, 3, 4 or 8</param>
/// <param name="GroupSize">
/// A multiple of 16 from 16 to 128 that divides the layer's input. A scale and a zero for each
/// group take 64 bits: 2 a weight at 32, 1 at 64.
/// </param>
internal sealed record QuantizationFormat(int Bits, int GroupSize)
{
    private const int LargestGroup = 128;

    /// <summary>2^Bits − 1</summary>
    public int LargestCode => (1 << Bits) - 1;

    /// <summary>
    /// Bits of memory for one weight, with its share of the group's scale and zero.
    /// </summary>
    public double BitsPerWeight => Bits + 64.0 / GroupSize;

    /// <summary>Checks the bits and the group size.</summary>
    /// <exception cref="InputException">They are none that there are.</exception>
    public void Check()
    {
        if (Problem() is { } problem)
        {
            throw new InputException($"Quantisation: {problem}.");
        }
    }

    /// <summary>
    /// What is wrong with the bits or the group size, and which there are; null when all is well.
    /// </summary>
    public string? Problem() =>
        Bits is not (2 or 3 or 4 or 8) ? $"weights of {Bits} bits are not known; choose 2, 3, 4 or 8"
        : GroupSize < PackedCodes.BlockSize || GroupSize > LargestGroup || GroupSize % PackedCodes.BlockSize != 0
            ? $"a group of {GroupSize} weights is not possible; choose a multiple of {PackedCodes.BlockSize} from "
                + $"{PackedCodes.BlockSize} to {LargestGroup}"
        : null;

    /// <summary>
    /// Checks that a layer can be quantised so. A last group that is shorter than the others is not
    /// offered: the layer that pools its input over the groups would need one, too.
    /// </summary>
    /// <param name="layer">The layer's name, for the message.</param>
    /// <param name="inFeatures">Width of its input.</param>
    /// <exception cref="InputException">
    /// The groups do not divide the input, or the format is none that there is.
    /// </exception>
    public void CheckInput(string layer, int inFeatures)
    {
        Check();
        if (inFeatures <= 0 || inFeatures % GroupSize != 0)
        {
            var sizes = Enumerable.Range(1, LargestGroup / PackedCodes.BlockSize).Select(i => i * PackedCodes.BlockSize)
                .Where(size => inFeatures > 0 && inFeatures % size == 0).ToList();
            var mend = sizes.Count == 0 ? $"no multiple of {PackedCodes.BlockSize} does; leave this layer as it is"
                : $"group sizes that do: {string.Join(", ", sizes)}";
            throw new InputException(
                $"Quantisation: groups of {GroupSize} do not divide the {inFeatures} inputs of {layer}; {mend}.");
        }
    }

    /// <summary>"INT4, groups of 32"</summary>
    public override string ToString() => $"INT{Bits}, groups of {GroupSize}";
}
