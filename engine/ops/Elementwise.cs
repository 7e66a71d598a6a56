using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Engine;

/// <summary>
/// The differentiable operations. Each computes its result Y and records, per input, the line that
/// adds to the input's gradient; d… is the gradient of the loss with respect to …, and ⊙ multiplies
/// element by element. Nothing is broadcast silently. Results belong to the innermost
/// <see cref="TensorScope"/>.
/// </summary>
public static partial class Ops
{
    /// <summary>Y = A + B</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The same shape.</param>
    public static Tensor Add(this Tensor a, Tensor b)
    {
        Shape.RequireEqual(nameof(Add), "a", a, "b", b);
        var y = Tensor.Result(a.Shape, a.Backend);
        y.Backend.WeightedSum(y.Data, 1, a.Data, 1, b.Data);
        return y.GradientFor(a, "dA += dY", (dY, dA) => dA.Add(dY))
                .GradientFor(b, "dB += dY", (dY, dB) => dB.Add(dY));
    }

    /// <summary>Y = A − B</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The same shape.</param>
    public static Tensor Subtract(this Tensor a, Tensor b)
    {
        Shape.RequireEqual(nameof(Subtract), "a", a, "b", b);
        var y = Tensor.Result(a.Shape, a.Backend);
        y.Backend.WeightedSum(y.Data, 1, a.Data, -1, b.Data);
        return y.GradientFor(a, "dA += dY", (dY, dA) => dA.Add(dY))
                .GradientFor(b, "dB −= dY", (dY, dB) => dB.Add(dY, -1));
    }

    /// <summary>Y = A ⊙ B</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The same shape.</param>
    public static Tensor Multiply(this Tensor a, Tensor b)
    {
        Shape.RequireEqual(nameof(Multiply), "a", a, "b", b);
        var y = Tensor.Result(a.Shape, a.Backend);
        y.Backend.Multiply(y.Data, a.Data, b.Data);
        return y.GradientFor(a, "dA += dY ⊙ B", (dY, dA) => dY.Backend.AddMultiply(dA.Data, dY.Data, b.Data), needs: b)
                .GradientFor(b, "dB += dY ⊙ A", (dY, dB) => dY.Backend.AddMultiply(dB.Data, dY.Data, a.Data), needs: a);
    }

    /// <summary>Y = factor · X</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="factor">A constant.</param>
    public static Tensor Scale(this Tensor x, float factor)
    {
        var y = Tensor.Result(x.Shape, x.Backend);
        y.Backend.Scale(y.Data, factor, x.Data);
        return y.GradientFor(x, "dX += factor · dY", (dY, dX) => dX.Add(dY, factor));
    }

    /// <summary>
    /// y = x·Φ(x) = x/2 · (1 + erf(x/√2)), element by element: the exact GELU (Hendrycks and Gimpel
    /// 2016, arXiv 1606.08415).
    /// </summary>
    public static Tensor Gelu(this Tensor x) => Map<Gelu>(x, "dX += dY ⊙ (Φ(X) + X ⊙ φ(X))");

    /// <summary>y = max(x, 0), element by element; its derivative at 0 is 0.</summary>
    public static Tensor Relu(this Tensor x) => Map<Relu>(x, "dX += dY ⊙ [Y > 0]");

    /// <summary>y = tanh x, element by element.</summary>
    public static Tensor Tanh(this Tensor x) => Map<Tanh>(x, "dX += dY ⊙ (1 − Y²)");

    /// <summary>y = σ(x) = 1/(1 + e⁻ˣ), element by element.</summary>
    public static Tensor Sigmoid(this Tensor x) => Map<Sigmoid>(x, "dX += dY ⊙ Y ⊙ (1 − Y)");

    /// <summary>y = eˣ, element by element.</summary>
    public static Tensor Exp(this Tensor x) => Map<Exponential>(x, "dX += dY ⊙ Y");

    /// <summary>y = log(1 + eˣ), element by element.</summary>
    public static Tensor Softplus(this Tensor x) => Map<Softplus>(x, "dX += dY ⊙ σ(X)");

    /// <summary>y = x², element by element.</summary>
    public static Tensor Square(this Tensor x) => Map<Square>(x, "dX += dY ⊙ 2X");

    private static Tensor Map<TFormula>(Tensor x, string equation, [CallerMemberName] string operation = "")
        where TFormula : struct, IFormula
    {
        var y = Tensor.Result(x.Shape, x.Backend, operation);
        y.Backend.Map<TFormula>(y.Data, x.Data);
        return TFormula.DerivativeReads switch
        {
            Reads.Input => y.GradientFor(x, equation,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, x.Data, null), needs: x),
            Reads.Output => y.GradientFor(x, equation,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, null, y.Data), needs: y),
            _ => y.GradientFor(x, equation,
                (dY, dX) => dY.Backend.AddMapGradient<TFormula>(dX.Data, dY.Data, x.Data, y.Data), needs: [x, y]),
        };
    }
}
