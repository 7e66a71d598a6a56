#:project ../LoraScratch.Lora.csproj
#:property PublishAot=false

// An op of your own, and whether its gradients are right: every element beside its difference quotient.
//     dotnet run -c Release lora/samples/gradient-check-of-your-own-op.cs

using LoraScratch.Engine;

var random = new RandomStream(seed: 2);
using var x = Tensor.From(random.Normal(3 * 4, 1), new Shape(3, 4), requiresGradient: true);
using var w = Tensor.From(random.Normal(4 * 2, 1), new Shape(4, 2), requiresGradient: true);

var report = GradientCheck.Run(() => MyMatMul(x, w), [("X", x), ("W", w)]);
Console.WriteLine(report);          // the worst element of dX and of dW, beside its numeric gradient

// The same op with a mistake. Which of dX and dW will it find, and what will the ratio of the numbers be?
Console.WriteLine();
Console.WriteLine(GradientCheck.Run(() => WrongMatMul(x, w), [("X", x), ("W", w)]));
return report.Passed ? 0 : 1;

// An op: its result, and one line per input that adds to that input's gradient.
static Tensor MyMatMul(Tensor x, Tensor w)
{
    var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend, equation: "Y = X·W");
    y.Backend.Product(y.Matrix, x.Matrix, w.Matrix);
    return y.GradientFor(x, "dX += dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T), needs: w)
            .GradientFor(w, "dW += Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix), needs: x);
}

static Tensor WrongMatMul(Tensor x, Tensor w)
{
    var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend, equation: "Y = X·W");
    y.Backend.Product(y.Matrix, x.Matrix, w.Matrix);
    return y.GradientFor(x, "dX += dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T), needs: w)
            .GradientFor(w, "dW += Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix, scale: 2), needs: x);
}
