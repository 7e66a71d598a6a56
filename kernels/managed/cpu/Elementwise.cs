using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Fill(DeviceBuffer<float> y, float value) => ForEach(y.Length, new FillKernel(Pointer(y), value));

    /// <inheritdoc/>
    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new ScaleKernel(Pointer(y), 1, Pointer(x)));
    }

    /// <inheritdoc/>
    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new MapKernel<TFormula>(Pointer(y), Pointer(x)));
    }

    /// <inheritdoc/>
    public void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y)
        where TFormula : struct, IFormula
    {
        Debug.Assert(dX.Length == dY.Length && (x == null || x.Length == dX.Length)
            && (y == null || y.Length == dX.Length));
        Debug.Assert(x != null || (TFormula.DerivativeReads & Reads.Input) == 0);
        Debug.Assert(y != null || (TFormula.DerivativeReads & Reads.Output) == 0);
        ForEach(dX.Length, new MapGradientKernel<TFormula>(Pointer(dX.Buffer), !dX.IsEmpty, Pointer(dY),
            x == null ? null : Pointer(x), y == null ? null : Pointer(y)));
    }

    /// <inheritdoc/>
    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new WeightedSumKernel(Pointer(y), alpha, Pointer(a), beta, Pointer(b)));
    }

    /// <inheritdoc/>
    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new AddScaledKernel(Pointer(y), alpha, Pointer(x)));
    }

    /// <inheritdoc/>
    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new ScaleKernel(Pointer(y), alpha, Pointer(x)));
    }

    /// <inheritdoc/>
    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new MultiplyKernel(Pointer(y), Pointer(a), Pointer(b)));
    }

    /// <inheritdoc/>
    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        if (y.IsEmpty)
        {
            Multiply(y.Buffer, a, b);
        }
        else
        {
            ForEach(y.Length, new AddMultiplyKernel(Pointer(y.Buffer), Pointer(a), Pointer(b)));
        }
    }

    /// <inheritdoc/>
    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length == 1);
        var share = alpha * *Pointer(x);
        if (y.IsEmpty)
        {
            Fill(y.Buffer, share);
        }
        else
        {
            ForEach(y.Length, new AddConstantKernel(Pointer(y.Buffer), share));
        }
    }

    private readonly struct FillKernel(float* y, float value) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(y + i, T.Of(value));
    }

    private readonly struct MapKernel<TFormula>(float* y, float* x) : IElementKernel where TFormula : struct, IFormula
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(y + i, TFormula.Value(T.Load(x + i)));
    }

    private readonly struct MapGradientKernel<TFormula>(float* dX, bool accumulate, float* dY, float* x, float* y)
        : IElementKernel where TFormula : struct, IFormula
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T>
        {
            // What the derivative does not read may be a null pointer here.
            var input = (TFormula.DerivativeReads & Reads.Input) != 0 ? T.Load(x + i) : T.One;
            var output = (TFormula.DerivativeReads & Reads.Output) != 0 ? T.Load(y + i) : T.One;
            var sum = accumulate ? T.Load(dX + i) : T.Of(0f);
            T.Store(dX + i, T.MultiplyAdd(T.Load(dY + i), TFormula.Derivative(input, output), sum));
        }
    }

    private readonly struct WeightedSumKernel(float* y, float alpha, float* a, float beta, float* b) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
            T.Store(y + i, T.MultiplyAdd(T.Of(alpha), T.Load(a + i), T.Of(beta) * T.Load(b + i)));
    }

    private readonly struct AddScaledKernel(float* y, float alpha, float* x) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
        T.Store(y + i, T.MultiplyAdd(T.Of(alpha), T.Load(x + i), T.Load(y + i)));
    }

    private readonly struct ScaleKernel(float* y, float alpha, float* x) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(y + i, T.Of(alpha) * T.Load(x + i));
    }

    private readonly struct MultiplyKernel(float* y, float* a, float* b) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(y + i, T.Load(a + i) * T.Load(b + i));
    }

    private readonly struct AddMultiplyKernel(float* y, float* a, float* b) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> =>
        T.Store(y + i, T.MultiplyAdd(T.Load(a + i), T.Load(b + i), T.Load(y + i)));
    }

    private readonly struct AddConstantKernel(float* y, float value) : IElementKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void At<T>(int i) where T : struct, ILanes<T> => T.Store(y + i, T.Load(y + i) + T.Of(value));
    }
}
