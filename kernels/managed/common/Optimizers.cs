using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.SgdStep"/>
    public void SgdStep(IReadOnlyList<SgdParameter> parameters, SgdStep step)
    {
        Debug.Assert(parameters.All(each => each.Gradient.Length == each.Weights.Length
            && (each.Velocity == null ? step.Momentum == 0 : each.Velocity.Length == each.Weights.Length)));
        if (step.Momentum == 0)
        {
            ForEach([.. parameters.Select(each => (each.Weights.Length,
                new SgdKernel(Floats(each.Weights), Floats(each.Gradient), step.Rate, step.WeightDecay)))]);
        }
        else
        {
            ForEach([.. parameters.Select(each => (each.Weights.Length,
                new MomentumKernel(Floats(each.Weights), Floats(each.Gradient), Floats(each.Velocity!), step.Rate,
                    step.WeightDecay, step.Momentum, step.First ? 1 : 0, step.Nesterov ? 1 : 0)))]);
        }
    }

    /// <inheritdoc cref="IBackend.AdamStep"/>
    public void AdamStep(IReadOnlyList<AdamParameter> parameters, AdamStep step)
    {
        Debug.Assert(step.Number >= 1 && parameters.All(each => each.Gradient.Length == each.Weights.Length
            && each.Mean.Length == each.Weights.Length && each.Square.Length == each.Weights.Length));
        var factors = new AdamFactors(step);
        ForEach([.. parameters.Select(each => (each.Weights.Length, new AdamKernel(Floats(each.Weights),
            Floats(each.Gradient), Floats(each.Mean), Floats(each.Square), factors)))]);
    }

    internal readonly struct SgdKernel(TFloats w, TFloats gradient, float rate, float weightDecay) : IParameterKernel
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
        float weightDecay, float momentum, int first, int nesterov) : IParameterKernel
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
        : IParameterKernel
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
