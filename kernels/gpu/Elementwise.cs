using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Fill(DeviceBuffer<float> y, float value) => ForEach(y.Length, new FillKernel(View(y), value));

    /// <inheritdoc/>
    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        if (x.Length > 0)
        {
            View(x).CopyTo(stream, View(y));
        }
    }

    /// <inheritdoc/>
    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new MapKernel<TFormula>(View(y), View(x)));
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
        // what is not read may be any buffer
        ForEach(dX.Length, new MapGradientKernel<TFormula>(View(dX.Buffer), Keep(dX), View(dY), View(x ?? dY),
            View(y ?? dY)));
    }

    /// <inheritdoc/>
    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new WeightedSumKernel(View(y), alpha, View(a), beta, View(b)));
    }

    /// <inheritdoc/>
    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new AddScaledKernel(View(y), alpha, View(x)));
    }

    /// <inheritdoc/>
    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        ForEach(y.Length, new ScaleKernel(View(y), alpha, View(x)));
    }

    /// <inheritdoc/>
    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        ForEach(y.Length, new MultiplyKernel(View(y), View(a), View(b)));
    }

    /// <inheritdoc/>
    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        Debug.Assert(y.Length == a.Length && y.Length == b.Length);
        if (y.IsEmpty)
        {
            Multiply(y.Buffer, a, b);
            return;
        }
        ForEach(y.Length, new AddMultiplyKernel(View(y.Buffer), View(a), View(b)));
    }

    /// <inheritdoc/>
    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length == 1);
        ForEach(y.Length, new AddBroadcastKernel(View(y.Buffer), Keep(y), alpha, View(x)));
    }

    internal readonly struct FillKernel(ArrayView<float> y, float value) : IElementKernel
    {
        public void At(int i) => y[i] = value;
    }

    internal readonly struct MapKernel<TFormula>(ArrayView<float> y, ArrayView<float> x) : IElementKernel
        where TFormula : struct, IFormula
    {
        public void At(int i) => y[i] = TFormula.Value(new Scalar(x[i])).Value;
    }

    internal readonly struct MapGradientKernel<TFormula>(ArrayView<float> dX, int keep, ArrayView<float> dY,
        ArrayView<float> x, ArrayView<float> y) : IElementKernel
        where TFormula : struct, IFormula
    {
        public void At(int i)
        {
            var input = (TFormula.DerivativeReads & Reads.Input) != 0 ? x[i] : 1;
            var output = (TFormula.DerivativeReads & Reads.Output) != 0 ? y[i] : 1;
            dX[i] = (keep != 0 ? dX[i] : 0) + dY[i] * TFormula.Derivative(new Scalar(input), new Scalar(output)).Value;
        }
    }

    internal readonly struct WeightedSumKernel(ArrayView<float> y, float alpha, ArrayView<float> a, float beta,
        ArrayView<float> b) : IElementKernel
    {
        public void At(int i) => y[i] = alpha * a[i] + beta * b[i];
    }

    internal readonly struct AddScaledKernel(ArrayView<float> y, float alpha, ArrayView<float> x) : IElementKernel
    {
        public void At(int i) => y[i] += alpha * x[i];
    }

    internal readonly struct ScaleKernel(ArrayView<float> y, float alpha, ArrayView<float> x) : IElementKernel
    {
        public void At(int i) => y[i] = alpha * x[i];
    }

    internal readonly struct MultiplyKernel(ArrayView<float> y, ArrayView<float> a, ArrayView<float> b) : IElementKernel
    {
        public void At(int i) => y[i] = a[i] * b[i];
    }

    internal readonly struct AddMultiplyKernel(ArrayView<float> y, ArrayView<float> a, ArrayView<float> b)
        : IElementKernel
    {
        public void At(int i) => y[i] += a[i] * b[i];
    }

    internal readonly struct AddBroadcastKernel(ArrayView<float> y, int keep, float alpha, ArrayView<float> x)
        : IElementKernel
    {
        public void At(int i) => y[i] = (keep != 0 ? y[i] : 0) + alpha * x[0];
    }
}
