namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>y = Σᵢ Xᵢ</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>[]</returns>
    public static Tensor Sum(this Tensor x)
    {
        var y = Tensor.Result(Shape.Scalar, x.Backend, equation: "y = Σᵢ Xᵢ");
        y.Backend.Sum(y.Data, 1, x.Data);
        return y.GradientFor(x, "dXᵢ += dy", (dy, dX) => dy.Backend.AddBroadcast(dX.Data, 1, dy.Data));
    }

    /// <summary>y = (Σᵢ Xᵢ)/n</summary>
    /// <param name="x">Any shape with n ≥ 1 elements.</param>
    /// <returns>[]</returns>
    public static Tensor Mean(this Tensor x)
    {
        var y = Tensor.Result(Shape.Scalar, x.Backend, equation: "y = (Σᵢ Xᵢ)/n");
        var share = 1f / x.Shape.Count;
        y.Backend.Sum(y.Data, share, x.Data);
        return y.GradientFor(x, "dXᵢ += dy/n", (dy, dX) => dy.Backend.AddBroadcast(dX.Data, share, dy.Data));
    }

    /// <summary>y = mean((U − V)²), U the prediction, V the target</summary>
    /// <param name="prediction">Any shape.</param>
    /// <param name="target">The same shape.</param>
    /// <returns>[]</returns>
    public static Tensor MeanSquaredError(this Tensor prediction, Tensor target)
    {
        Shape.RequireEqual(nameof(MeanSquaredError), "prediction", prediction, "target", target);
        using var scope = new TensorScope();
        return scope.Return(prediction.Subtract(target).Square().Mean());
    }
}
