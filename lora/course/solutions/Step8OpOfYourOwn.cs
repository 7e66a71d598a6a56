using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Course;

/// <summary>
/// Step 8, solved. Each line is the formula above it, bracketed through the rank; what a lambda
/// reads stands in needs, for the tape to hold.
/// </summary>
internal static class Step8OpOfYourOwn
{
    /// <summary>
    /// Y = s·(X·A)·B. Its gradients compute H = X·A once more instead of keeping it from the
    /// forward pass: N·r floats less in memory, N·in·r multiply-adds more.
    /// </summary>
    /// <param name="x">X [N, in]</param>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="s">The factor.</param>
    /// <returns>[N, out]</returns>
    public static Tensor LowRank(Tensor x, Tensor a, Tensor b, float s)
    {
        var y = Tensor.Result(x.Shape.WithColumns(b.Shape.Columns), x.Backend);
        using (new TensorScope())                               // H goes back to the pool at its end
        {
            y.Backend.Product(y.Matrix, Product(x.Matrix, a.Matrix, x).Matrix, b.Matrix, s);
        }
        return y.GradientFor(x, "dX += s·(dY·Bᵀ)·Aᵀ",
                    (dY, dX) => dX.AddProduct(Product(dY.Matrix, b.Matrix.T, dY).Matrix, a.Matrix.T, s), needs: [a, b])
                .GradientFor(a, "dA += s·Xᵀ·(dY·Bᵀ)",
                    (dY, dA) => dA.AddProduct(x.Matrix.T, Product(dY.Matrix, b.Matrix.T, dY).Matrix, s), needs: [x, b])
                .GradientFor(b, "dB += s·(X·A)ᵀ·dY",
                    (dY, dB) => dB.AddProduct(Product(x.Matrix, a.Matrix, dY).Matrix.T, dY.Matrix, s), needs: [x, a]);
    }

    /// <summary>P·Q as a tensor.</summary>
    /// <param name="p">[m, k]</param>
    /// <param name="q">[k, n]</param>
    /// <param name="like">A tensor on the device.</param>
    private static Tensor Product(Matrix p, Matrix q, Tensor like)
    {
        if (p.Columns != q.Rows)
        {
            throw new ShapeMismatchException($"Product: {p} · {q} needs equal inner dimensions.");
        }
        var product = Tensor.Result(new Shape(p.Rows, q.Columns), like.Backend);
        product.Backend.Product(product.Matrix, p, q);
        return product;
    }
}
