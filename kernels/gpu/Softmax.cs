using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns)
    {
        Debug.Assert(y.Length == x.Length && x.Length % columns == 0);
        ForEachRow(x.Length / columns, columns, new SoftmaxKernel(View(y), View(x), columns));
    }

    /// <inheritdoc/>
    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns)
    {
        Debug.Assert(dX.Length == dY.Length && dX.Length == y.Length && y.Length % columns == 0);
        ForEachRow(y.Length / columns, columns,
            new SoftmaxGradientKernel(View(dX.Buffer), Keep(dX), View(dY), View(y), columns));
    }

    internal readonly struct SoftmaxKernel(ArrayView<float> y, ArrayView<float> x, int columns) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * columns;
            // exp(x − max): the largest exponent is 0, it cannot overflow
            var largest = Largest<TTeam>(x, start, columns);
            var factor = 1 / SumOfExponentials<TTeam>(x, start, columns, largest);
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                y[start + j] = Exp(x[start + j] - largest) * factor;
            }
        }
    }

    internal readonly struct SoftmaxGradientKernel(ArrayView<float> dX, int keep, ArrayView<float> dY,
        ArrayView<float> y, int columns) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * columns;
            var product = 0f;
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                product += dY[start + j] * y[start + j];
            }
            var mean = TTeam.Sum(product);                                      // ⟨dY, y⟩
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                dX[start + j] = (keep != 0 ? dX[start + j] : 0) + y[start + j] * (dY[start + j] - mean);
            }
        }
    }
}
