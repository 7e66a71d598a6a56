namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Y = M ⊙ X/(1−p), where each element of the mask M is 0 with probability p and else 1
    /// (Srivastava et al., JMLR 15, 2014). The mask is a pure function of (seed, index) and is
    /// drawn again for the gradient: nothing is stored.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="probability">p in [0, 1)</param>
    /// <param name="seed">Names the mask; draw a new one for each use.</param>
    /// <exception cref="ArgumentOutOfRangeException">p is outside [0, 1).</exception>
    public static Tensor Dropout(this Tensor x, float probability, ulong seed)
    {
        RequireProbability(probability);
        var y = Tensor.Result(x.Shape, x.Backend, equation: "Y = M ⊙ X/(1−p)");
        y.Backend.Dropout(y.Data, x.Data, probability, seed);
        return y.GradientFor(x, "dX += M ⊙ dY/(1−p)",
            (dY, dX) => dY.Backend.AddDropoutGradient(dX.Data, dY.Data, probability, seed));
    }

    internal static void RequireProbability(float probability)
    {
        if (!(probability >= 0 && probability < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(probability),
                $"A dropout probability lies in [0, 1), got {probability}.");
        }
    }
}
