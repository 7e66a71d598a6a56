using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>
/// The gradients of y = xŴᵀ + b + s·(P(x)A)B in closed form, Ŵ packed. Autograd arrives at the same
/// (a test holds it to this page); here they can be read, and called.
/// <para>
/// <b>Symbols.</b> N rows; X [N, in]; L = in/g groups of g neighbouring inputs; Ŵ [out, in] with
/// ŵ[j, i] = α[j, l]·(q[j, i] − ζ[j, l]) for input i of group l; A [L, r], B [r, out], Y [N, out].
/// Pooling is a product with a constant matrix: P(X) = κ·X·G [N, L] with G [in, L], G[i, l] = 1
/// where i is of group l, else 0. dY [N, out] is the gradient of the loss with respect to Y.
/// </para>
/// <para>
/// <b>A and B</b> see P = P(X) where LoRA's see X (<see cref="LoRAGradients"/>), L numbers in place
/// of in. With H = PA [N, r]:
/// </para>
/// <code>
/// dB = s·Hᵀ·dY                       [r, out]
/// dH = s·dY·Bᵀ                       [N, r]
/// dA = Pᵀ·dH                         [L, r]
/// </code>
/// <para>
/// <b>X.</b> A change δX moves Y by δX·Ŵᵀ and P by κ·δX·G. With dP = dH·Aᵀ [N, L], the two paths
/// add, and the product with Gᵀ gives each input of a group the group's number:
/// </para>
/// <code>dX = dY·Ŵ + κ·dP·Gᵀ                [N, in],   (dP·Gᵀ)[n, i] = dP[n, l]</code>
/// <para>
/// <b>What is not there.</b> No dŴ: codes are whole numbers, and scales and zeros stand still. No Ŵ
/// either: both products decode it on their way, a panel at a time.
/// </para>
/// <para>
/// <b>What it buys.</b> The update of a weight is ΔW[j, i] = s·κ·(AB)[l, j], the same for all i of
/// a group, and so
/// </para>
/// <code>ŵ[j, i] + ΔW[j, i] = α[j, l]·(q[j, i] − ζ′[j, l]),   ζ′[j, l] = ζ[j, l] − s·κ·(AB)[l, j]/α[j, l]</code>
/// <para>
/// The codes stay, and the merged model is as small as it was: <see cref="QALoRAMerge"/>. LoRA's ΔW
/// has another number for every input; merged into whole numbers it would be rounded away in part.
/// </para>
/// </summary>
/// <param name="A">dA [L, r]</param>
/// <param name="B">dB [r, out]</param>
/// <param name="X">dX [N, in], or null where it was not asked for.</param>
internal sealed record QALoRAGradients(Tensor A, Tensor B, Tensor? X)
{
    /// <summary>
    /// Computes dA, dB and dX as derived above; new tensors, owned by the innermost
    /// <see cref="TensorScope"/>.
    /// </summary>
    /// <param name="x">X […, in]</param>
    /// <param name="weight">Ŵ [out, in]</param>
    /// <param name="a">A [in/g, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="scaling">s</param>
    /// <param name="poolingFactor">κ</param>
    /// <param name="dY">[…, out]</param>
    /// <param name="inputGradient">
    /// False: dX is not computed, as in the first layer of a model.
    /// </param>
    /// <exception cref="ShapeMismatchException">The shapes do not fit together.</exception>
    public static QALoRAGradients Compute(
        Tensor x, GroupQuantizedWeight weight, Tensor a, Tensor b, float scaling, float poolingFactor, Tensor dY,
        bool inputGradient = true)
    {
        Check(x, weight, a, b, dY);
        var (backend, rows, rank) = (x.Backend, x.Shape.Rows, a.Shape[1]);
        using var p = Tensor.Zeros(new Shape(rows, weight.Groups), backend);
        using var h = Tensor.Zeros(new Shape(rows, rank), backend);
        using var dH = Tensor.Zeros(new Shape(rows, rank), backend);
        var dA = Tensor.Result(a.Shape, backend, nameof(QALoRAGradients));
        var dB = Tensor.Result(b.Shape, backend, nameof(QALoRAGradients));

        backend.GroupSums(p.Data, poolingFactor, x.Data);                       // P  = κ·X·G
        backend.Product(h.Matrix, p.Matrix, a.Matrix);                          // H  = P·A
        backend.Product(dB.Matrix, h.Matrix.T, dY.Matrix, scaling);             // dB = s·Hᵀ·dY
        backend.Product(dH.Matrix, dY.Matrix, b.Matrix.T, scaling);             // dH = s·dY·Bᵀ
        backend.Product(dA.Matrix, p.Matrix.T, dH.Matrix);                      // dA = Pᵀ·dH
        if (!inputGradient)
        {
            return new QALoRAGradients(dA, dB, null);
        }
        var dX = Tensor.Result(x.Shape, backend, nameof(QALoRAGradients));
        backend.Product(dX.Matrix, dY.Matrix, weight.Matrix);                   // dX = dY·Ŵ
        backend.Product(p.Matrix, dH.Matrix, a.Matrix.T);                       // dP = dH·Aᵀ, where P was
        backend.AddGroupBroadcast(dX.Data, poolingFactor, p.Data);              // dX += κ·dP·Gᵀ
        return new QALoRAGradients(dA, dB, dX);
    }

    private static void Check(Tensor x, GroupQuantizedWeight weight, Tensor a, Tensor b, Tensor dY)
    {
        var fits = a.Shape.Rank == 2 && b.Shape.Rank == 2 && x.Shape.Rank >= 1 && x.Shape.Columns == weight.InFeatures
            && a.Shape[0] == weight.Groups
            && b.Shape[1] == weight.OutFeatures && b.Shape[0] == a.Shape[1] && dY.Shape.Rank >= 1
            && dY.Shape.Columns == weight.OutFeatures && dY.Shape.Rows == x.Shape.Rows;
        if (!fits)
        {
            throw new ShapeMismatchException(
                $"QALoRAGradients: x {x.Shape}, weight {weight}, a {a.Shape}, b {b.Shape}, dY {dY.Shape} must be [N, "
                    + "in], [out, in], [in/g, r], [r, out], [N, out].");
        }
    }
}
