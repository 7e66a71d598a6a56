using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// The dropout mask of one Philox stream as factors: 0 where an element is dropped, 1/(1−p) where
/// it is kept.
/// </summary>
internal readonly struct DropoutMask(float probability, ulong seed)
{
    private readonly uint threshold = Philox.Threshold(probability);
    private readonly float kept = 1 / (1 - probability);

    /// <summary>The factors of the elements 4·counter … 4·counter + 3.</summary>
    public Float4 At(ulong counter)
    {
        var (x, y, z, w) = Philox.Block(seed, counter);
        return new Float4(Factor(x), Factor(y), Factor(z), Factor(w));
    }

    private float Factor(uint word) => word < threshold ? 0 : kept;
}
