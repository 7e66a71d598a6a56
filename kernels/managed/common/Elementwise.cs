using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.Fill"/>
    public void Fill(DeviceBuffer<float> y, float value) => ForEach(y.Length, new FillKernel(Floats(y), value));

    /// <inheritdoc cref="IBackend.Map{TFormula}"/>
    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new MapKernel<TFormula>(Floats(y), Floats(x)));
    }

    /// <inheritdoc cref="IBackend.AddMapGradient{TFormula}"/>
    public void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula
    {
        Debug.Assert(dX.Length == dY.Length && (x == null || x.Length == dX.Length)
            && (y == null || y.Length == dX.Length));
        Debug.Assert(x != null || (TFormula.DerivativeReads & Reads.Input) == 0);
        Debug.Assert(y != null || (TFormula.DerivativeReads & Reads.Output) == 0);
        // what is not read may be any buffer
        ForEach(dX.Length, new MapGradientKernel<TFormula>(Floats(dX.Buffer), Keep(dX), Floats(dY), Floats(x ?? dY),
            Floats(y ?? dY)));
    }

    /// <inheritdoc cref="IBackend.WeightedSum"/>
    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new WeightedSumKernel(Floats(y), alpha, Floats(a), beta, Floats(b)));
    }

    /// <inheritdoc cref="IBackend.AddScaled"/>
    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new AddScaledKernel(Floats(y), alpha, Floats(x)));
    }

    /// <inheritdoc cref="IBackend.Scale(IReadOnlyList{DeviceBuffer{float}}, float)"/>
    public void Scale(IReadOnlyList<DeviceBuffer<float>> ys, float alpha) =>
        ForEach([.. ys.Select(y => (y.Length, new ScaleKernel(Floats(y), alpha, Floats(y))))]);

    /// <inheritdoc cref="IBackend.Scale(DeviceBuffer{float}, float, DeviceBuffer{float})"/>
    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new ScaleKernel(Floats(y), alpha, Floats(x)));
    }

    /// <inheritdoc cref="IBackend.Multiply"/>
    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new MultiplyKernel(Floats(y), Floats(a), Floats(b)));
    }

    /// <inheritdoc cref="IBackend.AddMultiply"/>
    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        if (y.IsEmpty)
        {
            Multiply(y.Buffer, a, b);
        }
        else
        {
            ForEach(y.Length, new AddMultiplyKernel(Floats(y.Buffer), Floats(a), Floats(b)));
        }
    }

    /// <inheritdoc cref="IBackend.AddBroadcast"/>
    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length == 1);
        ForEach(y.Length, new AddBroadcastKernel(Floats(y.Buffer), Keep(y), alpha, Floats(x)));
    }

    internal readonly struct FillKernel(TFloats y, float value) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(ref y[i], T.Of(value));
    }

    internal readonly struct MapKernel<TFormula>(TFloats y, TFloats x) : IElementKernel
        where TFormula : struct, IFormula
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(ref y[i], TFormula.Value(T.Load(ref x[i])));
    }

    internal readonly struct MapGradientKernel<TFormula>(TFloats dX, int keep, TFloats dY, TFloats x, TFloats y)
        : IElementKernel where TFormula : struct, IFormula
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var input = (TFormula.DerivativeReads & Reads.Input) != 0 ? T.Load(ref x[i]) : T.One;
            var output = (TFormula.DerivativeReads & Reads.Output) != 0 ? T.Load(ref y[i]) : T.One;
            var sum = keep != 0 ? T.Load(ref dX[i]) : T.Of(0f);
            T.Store(ref dX[i], T.MultiplyAdd(T.Load(ref dY[i]), TFormula.Derivative(input, output), sum));
        }
    }

    internal readonly struct WeightedSumKernel(TFloats y, float alpha, TFloats a, float beta, TFloats b)
        : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
            T.Store(ref y[i], T.MultiplyAdd(T.Of(alpha), T.Load(ref a[i]), T.Of(beta) * T.Load(ref b[i])));
    }

    internal readonly struct AddScaledKernel(TFloats y, float alpha, TFloats x) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
            T.Store(ref y[i], T.MultiplyAdd(T.Of(alpha), T.Load(ref x[i]), T.Load(ref y[i])));
    }

    internal readonly struct ScaleKernel(TFloats y, float alpha, TFloats x) : IParameterKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(ref y[i], T.Of(alpha) * T.Load(ref x[i]));
    }

    internal readonly struct MultiplyKernel(TFloats y, TFloats a, TFloats b) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(ref y[i], T.Load(ref a[i]) * T.Load(ref b[i]));
    }

    internal readonly struct AddMultiplyKernel(TFloats y, TFloats a, TFloats b) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
            T.Store(ref y[i], T.MultiplyAdd(T.Load(ref a[i]), T.Load(ref b[i]), T.Load(ref y[i])));
    }

    internal readonly struct AddBroadcastKernel(TFloats y, int keep, float alpha, TFloats x) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            var share = T.Of(alpha * x[0]);
            T.Store(ref y[i], keep != 0 ? T.Load(ref y[i]) + share : share);
        }
    }
}
