using LoraScratch.Engine;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Course;

/// <summary>Step 2, solved.</summary>
internal static class Step2OnTheEngine
{
    /// <summary>
    /// Through H = X·A [N, r]. A.MatMul(B) first would be right too, and would form [in, out].
    /// </summary>
    public static Tensor Forward(Tensor x, Tensor w, Tensor a, Tensor b, float s) =>
        x.Linear(w).AddMatMul(x.MatMul(a), b, s);

    /// <summary>
    /// Gradients add up over Backward calls: without ZeroGradient the second step would use the sum
    /// of both.
    /// </summary>
    public static float Step(Tensor x, Tensor target, Tensor w, Tensor a, Tensor b, float s, Optimizer optimizer)
    {
        using var scope = new TensorScope();
        var loss = Forward(x, w, a, b, s).MeanSquaredError(target);
        var value = loss.Item();
        loss.Backward();
        optimizer.Step();
        optimizer.ZeroGradient();
        return value;
    }
}
