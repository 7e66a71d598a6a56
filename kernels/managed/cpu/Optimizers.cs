using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity,
        SgdStep step)
    {
        Debug.Assert(w.Length == gradient.Length && (velocity == null || velocity.Length == w.Length));
        Debug.Assert(velocity != null || step.Momentum == 0);
        if (velocity == null || step.Momentum == 0)
        {
            ForEach(w.Length, new SgdKernel(Pointer(w), Pointer(gradient), step.Rate, step.WeightDecay));
        }
        else
        {
            ForEach(w.Length, new MomentumKernel(Pointer(w), Pointer(gradient), Pointer(velocity), step));
        }
    }

    /// <inheritdoc/>
    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m,
        DeviceBuffer<float> v, AdamStep step)
    {
        Debug.Assert(w.Length == gradient.Length && w.Length == m.Length && w.Length == v.Length && step.Number >= 1);
        ForEach(w.Length, new AdamKernel(Pointer(w), Pointer(gradient), Pointer(m), Pointer(v), new AdamFactors(step)));
    }

    private readonly struct SgdKernel(float* w, float* gradient, float rate, float weightDecay) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(w + i);
            var g = T.MultiplyAdd(T.Of(weightDecay), weight, T.Load(gradient + i));
            T.Store(w + i, T.MultiplyAdd(T.Of(-rate), g, weight));
        }
    }

    private readonly struct MomentumKernel(float* w, float* gradient, float* velocity, SgdStep step) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(w + i);
            var g = T.MultiplyAdd(T.Of(step.WeightDecay), weight, T.Load(gradient + i));
            var b = step.First ? g : T.MultiplyAdd(T.Of(step.Momentum), T.Load(velocity + i), g);
            T.Store(velocity + i, b);
            T.Store(w + i, T.MultiplyAdd(T.Of(-step.Rate), step.Nesterov ? T.MultiplyAdd(T.Of(step.Momentum), b, g) : b,
                weight));
        }
    }

    private readonly struct AdamKernel(float* w, float* gradient, float* m, float* v, AdamFactors factors)
        : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(w + i);
            var g = T.MultiplyAdd(T.Of(factors.DecayInGradient), weight, T.Load(gradient + i));
            // m ← β₁m + (1−β₁)g
            var first = T.MultiplyAdd(T.Of(factors.Beta1), T.Load(m + i), T.Of(factors.OneMinusBeta1) * g);
            // v ← β₂v + (1−β₂)g²
            var second = T.MultiplyAdd(T.Of(factors.Beta2), T.Load(v + i), T.Of(factors.OneMinusBeta2) * g * g);
            T.Store(m + i, first);
            T.Store(v + i, second);
            // √v̂ + ε
            var size = T.MultiplyAdd(T.Sqrt(second), T.Of(factors.RootCorrection), T.Of(factors.Epsilon));
            T.Store(w + i, T.Of(factors.Shrink) * weight - T.Of(factors.Rate) * first / size);
        }
    }
}
