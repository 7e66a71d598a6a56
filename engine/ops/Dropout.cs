using LoraScratch.Kernels;

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
    public static Tensor Dropout(this Tensor x, float probability, ulong seed) => x.Dropout(probability, seed, null);

    /// <summary>
    /// The same for some rows of a larger matrix: each has the mask that it has there, so that what
    /// is computed does not depend on what else is.
    /// </summary>
    /// <param name="x">[rows, columns]; any shape where rows is null</param>
    /// <param name="probability">p in [0, 1)</param>
    /// <param name="seed">Names the mask; draw a new one for each use.</param>
    /// <param name="rows">Where each row of x has its mask; null: in its own place.</param>
    /// <exception cref="ArgumentOutOfRangeException">p is outside [0, 1).</exception>
    /// <exception cref="ShapeMismatchException">x has another number of rows.</exception>
    internal static Tensor Dropout(this Tensor x, float probability, ulong seed, Indices? rows)
    {
        RequireProbability(probability);
        if (rows is not null && x.Shape.Rows != rows.Count)
        {
            throw new ShapeMismatchException($"Dropout: x {x.Shape} needs a row for each of the {rows.Count} rows "
                + "that name its masks.");
        }
        var y = Tensor.Result(x.Shape, x.Backend, equation: "Y = M ⊙ X/(1−p)");
        MaskRows? masks = rows is null ? null : new MaskRows(rows.Data, x.Shape.Columns);
        y.Backend.Dropout(y.Data, x.Data, probability, seed, masks);
        return y.GradientFor(x, "dX += M ⊙ dY/(1−p)",
            (dY, dX) => dY.Backend.AddDropoutGradient(dX.Data, dY.Data, probability, seed, masks));
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
