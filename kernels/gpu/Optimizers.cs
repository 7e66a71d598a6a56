using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity,
        SgdStep step)
    {
        Debug.Assert(w.Length == gradient.Length && (velocity == null || velocity.Length == w.Length));
        Debug.Assert(velocity != null || step.Momentum == 0);
        if (velocity == null || step.Momentum == 0)
        {
            ForEach(w.Length, new SgdKernel(View(w), View(gradient), step.Rate, step.WeightDecay));
        }
        else
        {
            ForEach(w.Length, new MomentumKernel(View(w), View(gradient), View(velocity), step.Rate, step.WeightDecay,
                step.Momentum,
                step.First ? 1 : 0, step.Nesterov ? 1 : 0));
        }
    }

    /// <inheritdoc/>
    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m,
        DeviceBuffer<float> v, AdamStep step)
    {
        Debug.Assert(w.Length == gradient.Length && w.Length == m.Length && w.Length == v.Length && step.Number >= 1);
        ForEach(w.Length, new AdamKernel(View(w), View(gradient), View(m), View(v), new AdamFactors(step)));
    }

    internal readonly struct SgdKernel(ArrayView<float> w, ArrayView<float> gradient, float rate, float weightDecay)
        : IElementKernel
    {
        public void At(int i) => w[i] -= rate * (gradient[i] + weightDecay * w[i]);
    }

    internal readonly struct MomentumKernel(
        ArrayView<float> w, ArrayView<float> gradient, ArrayView<float> velocity, float rate, float weightDecay,
        float momentum, int first, int nesterov) : IElementKernel
    {
        public void At(int i)
        {
            var g = gradient[i] + weightDecay * w[i];
            var b = first != 0 ? g : momentum * velocity[i] + g;
            velocity[i] = b;
            w[i] -= rate * (nesterov != 0 ? g + momentum * b : b);
        }
    }

    internal readonly struct AdamKernel(
        ArrayView<float> w, ArrayView<float> gradient, ArrayView<float> m, ArrayView<float> v, AdamFactors factors)
        : IElementKernel
    {
        public void At(int i)
        {
            var g = factors.DecayInGradient * w[i] + gradient[i];
            // m ← β₁m + (1−β₁)g
            var first = factors.Beta1 * m[i] + factors.OneMinusBeta1 * g;
            // v ← β₂v + (1−β₂)g²
            var second = factors.Beta2 * v[i] + factors.OneMinusBeta2 * g * g;
            m[i] = first;
            v[i] = second;
            // √v̂ + ε
            var size = MathF.Sqrt(second) * factors.RootCorrection + factors.Epsilon;
            w[i] = factors.Shrink * w[i] - factors.Rate * first / size;
        }
    }
}
