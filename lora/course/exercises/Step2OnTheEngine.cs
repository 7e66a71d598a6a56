using LoraScratch.Engine;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Course;

/// <summary>Step 2, the same on the engine: tensors, autograd, an optimizer.</summary>
internal static class Step2OnTheEngine
{
    /// <summary>Y = X·Wᵀ + s·(X·A)·B</summary>
    /// <param name="x">X [N, in]</param>
    /// <param name="w">W [out, in], frozen</param>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="s">The factor on the update.</param>
    /// <returns>[N, out]</returns>
    public static Tensor Forward(Tensor x, Tensor w, Tensor a, Tensor b, float s)
    {
        // Ops: x.Linear(w) is X·Wᵀ, x.MatMul(a) is X·A, y.AddMatMul(h, b, s) is Y + s·H·B.
        throw new ToComplete("three ops: Linear, MatMul, AddMatMul");
    }

    /// <summary>One training step with the mean squared error.</summary>
    /// <param name="x">X [N, in]</param>
    /// <param name="target">[N, out]</param>
    /// <param name="w">W [out, in], frozen</param>
    /// <param name="a">A [in, r]</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="s">The factor on the update.</param>
    /// <param name="optimizer">Has A and B.</param>
    /// <returns>The loss before the step.</returns>
    public static float Step(Tensor x, Tensor target, Tensor w, Tensor a, Tensor b, float s, Optimizer optimizer)
    {
        using var scope = new TensorScope();                    // what is computed in it is given back at its end
        // Forward(…).MeanSquaredError(target) is the loss. Then three calls, and the order matters.
        throw new ToComplete("the loss, its Backward, the optimizer's Step, and gradients that start from 0 next time");
    }
}
