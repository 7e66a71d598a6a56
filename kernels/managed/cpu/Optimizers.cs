using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity, SgdStep step)
    {
        Debug.Assert(w.Length == gradient.Length && (velocity == null || velocity.Length == w.Length));
        Debug.Assert(velocity != null || step.Momentum == 0);
        if (velocity == null || step.Momentum == 0) ForEach(w.Length, new SgdKernel(Pointer(w), Pointer(gradient), step.Rate, step.WeightDecay));
        else ForEach(w.Length, new MomentumKernel(Pointer(w), Pointer(gradient), Pointer(velocity), step));
    }

    /// <inheritdoc/>
    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m, DeviceBuffer<float> v, AdamStep step)
    {
        Debug.Assert(w.Length == gradient.Length && w.Length == m.Length && w.Length == v.Length && step.Number >= 1);
        ForEach(w.Length, new AdamKernel(Pointer(w), Pointer(gradient), Pointer(m), Pointer(v), step));
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
            T.Store(w + i, T.MultiplyAdd(T.Of(-step.Rate), step.Nesterov ? T.MultiplyAdd(T.Of(step.Momentum), b, g) : b, weight));
        }
    }

    private readonly struct AdamKernel : IElementKernel
    {
        private readonly float* _w, _gradient, _m, _v;
        private readonly float _decayInGradient, _shrink, _beta1, _oneMinusBeta1, _beta2, _oneMinusBeta2, _rate, _rootCorrection, _epsilon;

        public AdamKernel(float* w, float* gradient, float* m, float* v, AdamStep step)
        {
            _w = w;
            _gradient = gradient;
            _m = m;
            _v = v;
            // The factors are formed in double and rounded once: 1 − β₂ from a float32 β₂ = 0.999 is off by 1e-5.
            _decayInGradient = step.Decoupled ? 0 : (float)step.WeightDecay;
            _shrink = step.Decoupled ? (float)(1 - step.Rate * step.WeightDecay) : 1;
            (_beta1, _oneMinusBeta1) = ((float)step.Beta1, (float)(1 - step.Beta1));
            (_beta2, _oneMinusBeta2) = ((float)step.Beta2, (float)(1 - step.Beta2));
            _rate = (float)(step.Rate / (1 - Math.Pow(step.Beta1, step.Number)));                          // rate·m̂ = _rate·m
            _rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(step.Beta2, step.Number)));               // √v̂ = √v·_rootCorrection
            _epsilon = (float)step.Epsilon;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var weight = T.Load(_w + i);
            var g = T.MultiplyAdd(T.Of(_decayInGradient), weight, T.Load(_gradient + i));
            var m = T.MultiplyAdd(T.Of(_beta1), T.Load(_m + i), T.Of(_oneMinusBeta1) * g);                 // m ← β₁m + (1−β₁)g
            var v = T.MultiplyAdd(T.Of(_beta2), T.Load(_v + i), T.Of(_oneMinusBeta2) * g * g);             // v ← β₂v + (1−β₂)g²
            T.Store(_m + i, m);
            T.Store(_v + i, v);
            var size = T.MultiplyAdd(T.Sqrt(v), T.Of(_rootCorrection), T.Of(_epsilon));                    // √v̂ + ε
            T.Store(_w + i, T.Of(_shrink) * weight - T.Of(_rate) * m / size);
        }
    }
}
