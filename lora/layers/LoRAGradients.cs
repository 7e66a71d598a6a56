using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>
/// The gradients of y = xWᵀ + b + s·(xA)B in closed form. Autograd arrives at the same (a test
/// holds it to this page); here they can be read, and called.
/// <para>
/// <b>Symbols.</b> N rows; X [N, in], W [out, in], A [in, r], B [r, out], Y [N, out]; dY [N, out]
/// is the gradient of the loss L with respect to Y. The loss changes by dL = ⟨dY, δY⟩, the sum of
/// all products of equal elements, and ⟨P, QR⟩ = ⟨QᵀP, R⟩ = ⟨PRᵀ, Q⟩: a factor moves to the other
/// side transposed.
/// </para>
/// <para>
/// <b>B.</b> With H = XA [N, r], a change δB moves Y by δY = s·H·δB. So dL = ⟨dY, s·H·δB⟩ =
/// ⟨s·Hᵀ·dY, δB⟩, and what stands beside δB is the gradient:
/// </para>
/// <code>dB = s·Hᵀ·dY                       [r, out]</code>
/// <para>
/// <b>A.</b> A change δH moves Y by s·δH·B, so dH = s·dY·Bᵀ [N, r]; and δH = X·δA, so dL = ⟨dH,
/// X·δA⟩ = ⟨Xᵀ·dH, δA⟩:
/// </para>
/// <code>dA = Xᵀ·dH = s·Xᵀ·(dY·Bᵀ)          [in, r]</code>
/// <para><b>X.</b> A change δX moves Y by δX·Wᵀ and H by δX·A; the two paths add:</para>
/// <code>dX = dY·W + dH·Aᵀ                  [N, in]</code>
/// <para>
/// <b>What is not there.</b> No dW: W is frozen. With B = 0, at the first step, dH = 0 and so dA =
/// 0: only B moves, and A follows once B is not zero. And every product is bracketed through r:
/// Xᵀ·dY and A·B, each [in, out] and as large as W, are never formed. Backward costs 2N·r·(in +
/// out) multiply-adds for H, dB, dH and dA besides the N·in·out of dY·W, plus N·r·in for dH·Aᵀ; the
/// bracket (Xᵀ·dY)·Bᵀ would cost N·in·out again and a buffer of [in, out].
/// </para>
/// <para>
/// <b>Dropout.</b> With x̃ = M ⊙ x/(1 − p) in place of x beside A, X̃ stands for X in H and dA, and
/// dX = dY·W + M ⊙ (dH·Aᵀ)/(1 − p).
/// </para>
/// </summary>
/// <param name="A">dA [in, r]</param>
/// <param name="B">dB [r, out]</param>
/// <param name="X">dX [N, in], or null where it was not asked for.</param>
internal sealed record LoRAGradients(Tensor A, Tensor B, Tensor? X)
{
    /// <summary>
    /// Computes dA, dB and dX as derived above; new tensors, owned by the innermost
    /// <see cref="TensorScope"/>.
    /// </summary>
    /// <param name="x">X […, in]</param>
    /// <param name="w">W [out, in]</param>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="scaling">s</param>
    /// <param name="dY">[…, out]</param>
    /// <param name="inputGradient">
    /// False: dX is not computed, as in the first layer of a model.
    /// </param>
    /// <exception cref="ShapeMismatchException">The shapes do not fit together.</exception>
    public static LoRAGradients Compute(Tensor x, Tensor w, Tensor a, Tensor b, float scaling, Tensor dY,
        bool inputGradient = true)
    {
        Check(x, w, a, b, dY);
        var (backend, rows, rank) = (x.Backend, x.Shape.Rows, a.Shape[1]);
        using var h = Tensor.Zeros(new Shape(rows, rank), backend);
        using var dH = Tensor.Zeros(new Shape(rows, rank), backend);
        var dA = Tensor.Result(a.Shape, backend, nameof(LoRAGradients));
        var dB = Tensor.Result(b.Shape, backend, nameof(LoRAGradients));

        backend.Product(h.Matrix, x.Matrix, a.Matrix);                          // H  = X·A
        backend.Product(dB.Matrix, h.Matrix.T, dY.Matrix, scaling);             // dB = s·Hᵀ·dY
        backend.Product(dH.Matrix, dY.Matrix, b.Matrix.T, scaling);             // dH = s·dY·Bᵀ
        backend.Product(dA.Matrix, x.Matrix.T, dH.Matrix);                      // dA = Xᵀ·dH
        if (!inputGradient)
        {
            return new LoRAGradients(dA, dB, null);
        }
        var dX = Tensor.Result(x.Shape, backend, nameof(LoRAGradients));
        backend.Product(dX.Matrix, dY.Matrix, w.Matrix);                        // dX = dY·W
        backend.AddProduct(dX.Matrix, dH.Matrix, a.Matrix.T);                   //    + dH·Aᵀ
        return new LoRAGradients(dA, dB, dX);
    }

    private static void Check(Tensor x, Tensor w, Tensor a, Tensor b, Tensor dY)
    {
        var fits = w.Shape.Rank == 2 && a.Shape.Rank == 2 && b.Shape.Rank == 2 && x.Shape.Rank >= 1
            && x.Shape.Columns == w.Shape[1] && a.Shape[0] == w.Shape[1] && b.Shape[1] == w.Shape[0]
            && b.Shape[0] == a.Shape[1]
            && dY.Shape.Rank >= 1 && dY.Shape.Columns == w.Shape[0] && dY.Shape.Rows == x.Shape.Rows;
        if (!fits)
        {
            throw new ShapeMismatchException($"LoRAGradients: x {x.Shape}, w {w.Shape}, a {a.Shape}, b {b.Shape}, dY "
                + $"{dY.Shape} must be [N, in], [out, in], [in, r], [r, out], [N, out].");
        }
    }
}
