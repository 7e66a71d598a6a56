using LoraScratch.Kernels;

namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Y = γ ⊙ X̂ + β, X̂ = (X − mean)/√(variance + ε) with mean and biased variance of each
    /// row (Ba, Kiros and Hinton 2016, arXiv 1607.06450).
    /// </summary>
    /// <param name="x">[…, columns]</param>
    /// <param name="gamma">γ [columns]</param>
    /// <param name="beta">β [columns]</param>
    /// <param name="epsilon">ε, added to the variance</param>
    /// <exception cref="ShapeMismatchException">
    /// γ or β does not have one element per column.
    /// </exception>
    public static Tensor LayerNorm(this Tensor x, Tensor gamma, Tensor beta, float epsilon = 1e-5f)
    {
        Shape.RequireRowVector(nameof(LayerNorm), x, "gamma", gamma);
        Shape.RequireRowVector(nameof(LayerNorm), x, "beta", beta);
        var y = Tensor.Result(x.Shape, x.Backend,
            equation: "Y = γ ⊙ X̂ + β, X̂ = (X − mean)/√(variance + ε)");
        // only the gradients read the statistics, and hold them
        using var mean = Tensor.Empty(new Shape(x.Shape.Rows), x.Backend);
        using var rstd = Tensor.Empty(mean.Shape, x.Backend);                   // 1/√(variance + ε)
        y.Backend.LayerNorm(y.Data, mean.Data, rstd.Data, x.Data, gamma.Data, beta.Data, epsilon);
        y.GradientFor(x, "dX += rstd · (G − mean(G) − X̂ ⊙ mean(G ⊙ X̂)), G = dY ⊙ γ, means per row",
            (dY, dX) => dY.Backend.AddLayerNormGradient(dX.Data, dY.Data, x.Data, mean.Data, rstd.Data, gamma.Data),
            needs: [x, mean, rstd, gamma]);
        return OfGammaAndBeta(y, x, mean, rstd, gamma, beta);
    }

    /// <summary>
    /// Y = γ ⊙ X̂ + β, X̂ = (X − mean)/√(variance + ε), X = U + V: a residual connection and
    /// the <see cref="LayerNorm"/> after it in one kernel, with the bits of <see cref="Add"/> and
    /// the norm.
    /// </summary>
    /// <param name="u">[…, columns]</param>
    /// <param name="v">The same shape.</param>
    /// <param name="gamma">γ [columns]</param>
    /// <param name="beta">β [columns]</param>
    /// <param name="epsilon">ε, added to the variance</param>
    /// <exception cref="ShapeMismatchException">
    /// The shapes differ, or γ or β does not have one element per column.
    /// </exception>
    public static Tensor LayerNormOfSum(this Tensor u, Tensor v, Tensor gamma, Tensor beta, float epsilon = 1e-5f)
    {
        Shape.RequireEqual(nameof(LayerNormOfSum), "u", u, "v", v);
        Shape.RequireRowVector(nameof(LayerNormOfSum), u, "gamma", gamma);
        Shape.RequireRowVector(nameof(LayerNormOfSum), u, "beta", beta);
        var y = Tensor.Result(u.Shape, u.Backend,
            equation: "Y = γ ⊙ X̂ + β, X̂ = (X − mean)/√(variance + ε), X = U + V");
        // only the gradients read these, and hold them
        using var x = Tensor.Empty(u.Shape, u.Backend);
        using var mean = Tensor.Empty(new Shape(u.Shape.Rows), u.Backend);
        using var rstd = Tensor.Empty(mean.Shape, u.Backend);                   // 1/√(variance + ε)
        y.Backend.LayerNormOfSum(y.Data, x.Data, mean.Data, rstd.Data, u.Data, v.Data, gamma.Data, beta.Data,
            epsilon);
        y.GradientFor([u, v],
            "dU += dX, dV += dX, dX = rstd · (G − mean(G) − X̂ ⊙ mean(G ⊙ X̂)), G = dY ⊙ γ, means per row",
            (dY, sums) =>
            {
                using var dX = Tensor.Empty(dY.Shape, dY.Backend);
                dY.Backend.AddLayerNormGradient(new Accumulator(dX.Data, IsEmpty: true), dY.Data, x.Data, mean.Data,
                    rstd.Data, gamma.Data);
                sums[0]?.Add(dX);
                sums[1]?.Add(dX);
            }, needs: [x, mean, rstd, gamma]);
        return OfGammaAndBeta(y, x, mean, rstd, gamma, beta);
    }

    private static Tensor OfGammaAndBeta(Tensor y, Tensor x, Tensor mean, Tensor rstd, Tensor gamma, Tensor beta) =>
        y.GradientFor(gamma, "dγ += Σ rows of dY ⊙ X̂",
            (dY, dGamma) => dY.Backend.AddLayerNormGammaGradient(dGamma.Data, dY.Data, x.Data, mean.Data, rstd.Data),
            needs: [x, mean, rstd])
         .GradientFor(beta, "dβ += Σ rows of dY", (dY, dBeta) => dY.Backend.AddColumnSums(dBeta.Data, dY.Data));
}
