using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns)
    {
        Debug.Assert(y.Length == x.Length && x.Length % columns == 0);
        ForEachRow(x.Length / columns, columns, new SoftmaxKernel(Pointer(y), Pointer(x), columns));
    }

    /// <inheritdoc/>
    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns)
    {
        Debug.Assert(dX.Length == dY.Length && dX.Length == y.Length && y.Length % columns == 0);
        ForEachRow(y.Length / columns, columns,
            new SoftmaxGradientKernel(Pointer(dX.Buffer), !dX.IsEmpty, Pointer(dY), Pointer(y), columns));
    }

    private readonly struct SoftmaxKernel(float* y, float* x, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* output = y + row * columns, input = x + row * columns;
            // exp(x − max): the largest exponent is 0, it cannot overflow
            var largest = Cpu.Row.Largest<T>(input, columns);
            var sum = Cpu.Row.Exponentials<T>(output, input, columns, largest);
            Cpu.Row.Scale<T>(output, columns, 1 / sum);
        }
    }

    private readonly struct SoftmaxGradientKernel(float* dX, bool accumulate, float* dY, float* y, int columns)
        : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* gradient = dX + row * columns, upstream = dY + row * columns, output = y + row * columns;
            var mean = T.Of(Cpu.Row.Dot<T>(upstream, output, columns));         // ⟨dY, y⟩
            for (var j = 0; j < columns; j += T.Width)
            {
                var difference = Cpu.Row.Load<T>(upstream, j, columns, 0) - mean;
                var sum = accumulate ? Cpu.Row.Load<T>(gradient, j, columns, 0) : T.Of(0f);
                Cpu.Row.Store(gradient, j, columns,
                    T.MultiplyAdd(Cpu.Row.Load<T>(output, j, columns, 0), difference, sum));
            }
        }
    }
}
