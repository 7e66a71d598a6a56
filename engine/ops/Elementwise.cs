using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Engine;

/// <summary>
/// The differentiable operations. Each computes its result Y and records, per input, the line that
/// adds to the input's gradient; d… is the gradient of the loss with respect to …, and ⊙ multiplies
/// element by element. Every op has letters of its own, X and Y for its input and its result, and
/// those with two equal inputs U and V, for A and B are LoRA's. Nothing is broadcast silently.
/// Results belong to the innermost <see cref="TensorScope"/>.
/// </summary>
public static partial class Ops
{
    /// <summary>Y = U + V</summary>
    /// <param name="u">Any shape.</param>
    /// <param name="v">The same shape.</param>
    public static Tensor Add(this Tensor u, Tensor v)
    {
        Shape.RequireEqual(nameof(Add), "u", u, "v", v);
        var y = Tensor.Result(u.Shape, u.Backend, equation: "Y = U + V");
        y.Backend.WeightedSum(y.Data, 1, u.Data, 1, v.Data);
        return y.GradientFor(u, "dU += dY", (dY, dU) => dU.Add(dY))
                .GradientFor(v, "dV += dY", (dY, dV) => dV.Add(dY));
    }

    /// <summary>Y = U − V</summary>
    /// <param name="u">Any shape.</param>
    /// <param name="v">The same shape.</param>
    public static Tensor Subtract(this Tensor u, Tensor v)
    {
        Shape.RequireEqual(nameof(Subtract), "u", u, "v", v);
        var y = Tensor.Result(u.Shape, u.Backend, equation: "Y = U − V");
        y.Backend.WeightedSum(y.Data, 1, u.Data, -1, v.Data);
        return y.GradientFor(u, "dU += dY", (dY, dU) => dU.Add(dY))
                .GradientFor(v, "dV −= dY", (dY, dV) => dV.Add(dY, -1));
    }

    /// <summary>Y = U ⊙ V</summary>
    /// <param name="u">Any shape.</param>
    /// <param name="v">The same shape.</param>
    public static Tensor Multiply(this Tensor u, Tensor v)
    {
        Shape.RequireEqual(nameof(Multiply), "u", u, "v", v);
        var y = Tensor.Result(u.Shape, u.Backend, equation: "Y = U ⊙ V");
        y.Backend.Multiply(y.Data, u.Data, v.Data);
        return y.GradientFor(u, "dU += dY ⊙ V", (dY, dU) => dY.Backend.AddMultiply(dU.Data, dY.Data, v.Data), needs: v)
                .GradientFor(v, "dV += dY ⊙ U", (dY, dV) => dY.Backend.AddMultiply(dV.Data, dY.Data, u.Data), needs: u);
    }

    /// <summary>Y = factor · X</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="factor">A constant.</param>
    public static Tensor Scale(this Tensor x, float factor)
    {
        var y = Tensor.Result(x.Shape, x.Backend, equation: "Y = factor · X");
        y.Backend.Scale(y.Data, factor, x.Data);
        return y.GradientFor(x, "dX += factor · dY", (dY, dX) => dX.Add(dY, factor));
    }

    /// <summary>
    /// Y = X ⊙ Φ(X), y = x/2 · (1 + erf(x/√2)), element by element: the exact GELU (Hendrycks and
    /// Gimpel 2016, arXiv 1606.08415).
    /// </summary>
    public static Tensor Gelu(this Tensor x) => Map<Gelu>(x, "Y = X ⊙ Φ(X)", "dX += dY ⊙ (Φ(X) + X ⊙ φ(X))");

    /// <summary>
    /// Y = X ⊙ σ(2U), U = √(2/π)·(X + 0.044715·X³), element by element: GELU's approximation with
    /// tanh, y = x/2 · (1 + tanh u) (Hendrycks and Gimpel 2016, arXiv 1606.08415).
    /// </summary>
    public static Tensor GeluTanh(this Tensor x) =>
        Map<GeluTanh>(x, "Y = X ⊙ σ(2U)", "dX += dY ⊙ (σ(2U) + 2X ⊙ σ(2U) ⊙ (1 − σ(2U)) ⊙ U′)");

    /// <summary>
    /// Y = X ⊙ σ(X), element by element: SiLU, also called swish (Elfwing et al. 2017, arXiv
    /// 1702.03118).
    /// </summary>
    public static Tensor Silu(this Tensor x) => Map<Silu>(x, "Y = X ⊙ σ(X)", "dX += dY ⊙ (σ(X) + Y ⊙ (1 − σ(X)))");

    /// <summary>Y = max(X, 0), element by element; its derivative at 0 is 0.</summary>
    public static Tensor Relu(this Tensor x) => Map<Relu>(x, "Y = max(X, 0)", "dX += dY ⊙ [Y > 0]");

    /// <summary>Y = tanh X, element by element.</summary>
    public static Tensor Tanh(this Tensor x) => Map<Tanh>(x, "Y = tanh X", "dX += dY ⊙ (1 − Y²)");

    /// <summary>Y = σ(X), y = 1/(1 + e⁻ˣ), element by element.</summary>
    public static Tensor Sigmoid(this Tensor x) => Map<Sigmoid>(x, "Y = σ(X)", "dX += dY ⊙ Y ⊙ (1 − Y)");

    /// <summary>Y = exp X, element by element.</summary>
    public static Tensor Exp(this Tensor x) => Map<Exponential>(x, "Y = exp X", "dX += dY ⊙ Y");

    /// <summary>Y = log(1 + exp X), element by element.</summary>
    public static Tensor Softplus(this Tensor x) => Map<Softplus>(x, "Y = log(1 + exp X)", "dX += dY ⊙ σ(X)");

    /// <summary>Y = X², element by element.</summary>
    public static Tensor Square(this Tensor x) => Map<Square>(x, "Y = X²", "dX += dY ⊙ 2X");

    private static Tensor Map<TFormula>(Tensor x, string equation, string gradient,
        [CallerMemberName] string operation = "")
        where TFormula : struct, IFormula
    {
        var y = Tensor.Result(x.Shape, x.Backend, operation, equation);
        y.Backend.Map<TFormula>(y.Data, x.Data);
        return TFormula.DerivativeReads switch
        {
            Reads.Input => y.GradientFor(x, gradient,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, x.Data, null), needs: x),
            Reads.Output => y.GradientFor(x, gradient,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, null, y.Data), needs: y),
            _ => y.GradientFor(x, gradient,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, x.Data, y.Data), needs: [x, y]),
        };
    }
}
