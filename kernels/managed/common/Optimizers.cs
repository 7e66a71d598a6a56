using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.SgdStep"/>
    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity,
        SgdStep step)
    {
        Debug.Assert(w.Length == gradient.Length && (velocity == null || velocity.Length == w.Length));
        Debug.Assert(velocity != null || step.Momentum == 0);
        if (velocity == null || step.Momentum == 0)
        {
            ForEach(w.Length, new SgdKernel(Floats(w), Floats(gradient), step.Rate, step.WeightDecay));
        }
        else
        {
            ForEach(w.Length, new MomentumKernel(Floats(w), Floats(gradient), Floats(velocity), step.Rate,
                step.WeightDecay, step.Momentum, step.First ? 1 : 0, step.Nesterov ? 1 : 0));
        }
    }

    /// <inheritdoc cref="IBackend.AdamStep"/>
    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m,
        DeviceBuffer<float> v, AdamStep step)
    {
        Debug.Assert(w.Length == gradient.Length && w.Length == m.Length && w.Length == v.Length && step.Number >= 1);
        ForEach(w.Length, new AdamKernel(Floats(w), Floats(gradient), Floats(m), Floats(v), new AdamFactors(step)));
    }

    internal readonly struct SgdKernel(TFloats w, TFloats gradient, float rate, float weightDecay) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(ref w[i]);
            var g = T.MultiplyAdd(T.Of(weightDecay), weight, T.Load(ref gradient[i]));
            T.Store(ref w[i], T.MultiplyAdd(T.Of(-rate), g, weight));
        }
    }

    internal readonly struct MomentumKernel(TFloats w, TFloats gradient, TFloats velocity, float rate,
        float weightDecay, float momentum, int first, int nesterov) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(ref w[i]);
            var g = T.MultiplyAdd(T.Of(weightDecay), weight, T.Load(ref gradient[i]));
            var b = first != 0 ? g : T.MultiplyAdd(T.Of(momentum), T.Load(ref velocity[i]), g);
            T.Store(ref velocity[i], b);
            T.Store(ref w[i],
                T.MultiplyAdd(T.Of(-rate), nesterov != 0 ? T.MultiplyAdd(T.Of(momentum), b, g) : b, weight));
        }
    }

    internal readonly struct AdamKernel(TFloats w, TFloats gradient, TFloats m, TFloats v, AdamFactors factors)
        : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(ref w[i]);
            var g = T.MultiplyAdd(T.Of(factors.DecayInGradient), weight, T.Load(ref gradient[i]));
            // m ← β₁m + (1−β₁)g
            var first = T.MultiplyAdd(T.Of(factors.Beta1), T.Load(ref m[i]), T.Of(factors.OneMinusBeta1) * g);
            // v ← β₂v + (1−β₂)g²
            var second = T.MultiplyAdd(T.Of(factors.Beta2), T.Load(ref v[i]), T.Of(factors.OneMinusBeta2) * g * g);
            T.Store(ref m[i], first);
            T.Store(ref v[i], second);
            // √v̂ + ε
            var size = T.MultiplyAdd(T.Sqrt(second), T.Of(factors.RootCorrection), T.Of(factors.Epsilon));
            T.Store(ref w[i], T.Of(factors.Shrink) * weight - T.Of(factors.Rate) * first / size);
        }
    }
}
