using LoraScratch.Kernels;

namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Y ≈ X·Ŵᵀ + b on whole numbers: a fully connected layer with a weight of signed bytes, for
    /// prediction. The rows of X get codes of 8 bits on the way; <see cref="NN.DynamicInt8Linear"/>
    /// has the equations.
    /// <para>
    /// There is a gradient for b and none for x. Y is a staircase of x, whose derivative is 0
    /// wherever there is one. dY·Ŵ would be the gradient of another function, the one before
    /// rounding, and a training that asks for it has a better way: LoRA on the float layers, or
    /// <c>QALoRALayer</c> on group-quantised ones, and dynamic quantisation afterwards.
    /// </para>
    /// </summary>
    /// <param name="x">[…, in], which needs no gradient</param>
    /// <param name="weight">Ŵ [out, in]</param>
    /// <param name="bias">b [out], or null</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The input widths differ, or the bias does not fit.
    /// </exception>
    /// <exception cref="InvalidOperationException">A gradient for x is asked for.</exception>
    internal static Tensor DynamicInt8Linear(this Tensor x, ChannelQuantizedWeight weight, Tensor? bias = null)
    {
        RequireLinear(nameof(DynamicInt8Linear), x, weight.Shape, weight.Backend, bias);
        if (x.RequiresGradient && !NoGradient.IsActive)
        {
            throw new InvalidOperationException("DynamicInt8Linear: x requires a gradient, and there is none through "
                + "numbers that are rounded on the way. This layer is for prediction: use it inside of "
                + "'using (new NoGradient())', or freeze what comes before it. To train, take the model of float "
                + "layers, or QA-LoRA on group-quantised ones, and quantise dynamically afterwards.");
        }
        var (backend, rows, matrix) = (x.Backend, x.Shape.Rows, weight.Matrix);
        var y = Tensor.Result(x.Shape.WithColumns(weight.OutFeatures), backend,
            equation: bias is null ? "Y ≈ X·Ŵᵀ" : "Y ≈ X·Ŵᵀ + b");
        using var codes = backend.Allocate<byte>(checked(rows * matrix.RowStride));
        using var grids = backend.Allocate<RowGrid>(rows);
        using var sums = backend.Allocate<int>(y.Shape.Count);
        backend.QuantizeRows(codes, grids, x.Data);                             // x ≈ β·(q − ζ)
        backend.Product(sums, codes, matrix);                                   // S = Σ q·c
        backend.Dequantize(y.Data, sums, grids, matrix, bias?.Data);            // y = β·α·(S − ζ·C) + b, C = Σ c
        if (bias is not null)
        {
            y.GradientFor(bias, "db += Σ rows of dY", (dY, db) => dY.Backend.AddColumnSums(db.Data, dY.Data));
        }
        return y;
    }
}
