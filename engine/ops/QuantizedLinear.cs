namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Y = X·Ŵᵀ + b: a fully connected layer on a packed weight, which is a constant: there is a
    /// gradient for x and for b, and none for Ŵ.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">Ŵ [out, in]; it must live until Backward has passed.</param>
    /// <param name="bias">b [out], or null</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The input widths differ, or the bias does not fit.
    /// </exception>
    internal static Tensor QuantizedLinear(this Tensor x, GroupQuantizedWeight weight, Tensor? bias = null)
    {
        RequireLinear(nameof(QuantizedLinear), x, weight.Shape, weight.Backend, bias);
        var y = Tensor.Result(x.Shape.WithColumns(weight.OutFeatures), x.Backend,
            equation: bias is null ? "Y = X·Ŵᵀ" : "Y = X·Ŵᵀ + b");
        y.Backend.Product(y.Matrix, x.Matrix, weight.Matrix.T);
        y.GradientFor(x, "dX += dY·Ŵ", (dY, dX) => dX.AddProduct(dY.Matrix, weight.Matrix));
        if (bias is not null)
        {
            y.Backend.PlusBias(y.Data, y.Data, bias.Data);
            y.GradientFor(bias, "db += Σ rows of dY", (dY, db) => dY.Backend.AddColumnSums(db.Data, dY.Data));
        }
        return y;
    }

    /// <summary>
    /// Y[n, l] = scale·Σᵢ X[n, l·g + i]: sums over groups of neighbours along the last dimension,
    /// or, with scale 1/g, their means.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="groupSize">g, a divisor of in</param>
    /// <param name="scale">A constant factor.</param>
    /// <returns>[…, in / g]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The groups do not divide the last dimension.
    /// </exception>
    public static Tensor GroupSum(this Tensor x, int groupSize, float scale = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(groupSize);
        if (x.Shape.Rank == 0 || x.Shape.Columns % groupSize != 0)
        {
            throw new ShapeMismatchException(
                $"GroupSum: groups of {groupSize} do not divide the {x.Shape.Columns} columns of x {x.Shape}.");
        }
        var y = Tensor.Result(x.Shape.WithColumns(x.Shape.Columns / groupSize), x.Backend,
            equation: "Y[n, l] = scale·Σᵢ X[n, l·g + i]");
        y.Backend.GroupSums(y.Data, scale, x.Data);
        return y.GradientFor(x, "dX[n, l·g + i] += scale · dY[n, l]",
            (dY, dX) => dY.Backend.AddGroupBroadcast(dX.Data, scale, dY.Data));
    }
}
