using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.Softmax"/>
    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns)
    {
        Debug.Assert(y.Length == x.Length && x.Length % columns == 0);
        ForEachRow(x.Length / columns, columns, new SoftmaxKernel(Floats(y), Floats(x), columns));
    }

    /// <inheritdoc cref="IBackend.AddSoftmaxGradient"/>
    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns)
    {
        Debug.Assert(dX.Length == dY.Length && dX.Length == y.Length && y.Length % columns == 0);
        ForEachRow(y.Length / columns, columns,
            new SoftmaxGradientKernel(Floats(dX.Buffer), Keep(dX), Floats(dY), Floats(y), columns));
    }

    internal readonly struct SoftmaxKernel(TFloats y, TFloats x, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            TFloats output = y.From(row * columns), input = x.From(row * columns);
            // exp(x − max): the largest exponent is 0, it cannot overflow
            var largest = Rows<TFloats>.Largest<T>(input, columns);
            if (TFloats.IsAtHand)                                               // there they wait for their sum
            {
                var sum = Rows<TFloats>.Exponentials<T>(output, input, columns, largest);
                Rows<TFloats>.Scale<T>(output, columns, 1 / sum);
                return;
            }
            var factor = T.Of(1 / Rows<TFloats>.SumOfExponentials<T>(input, columns, largest));
            for (var j = T.First; j < columns; j += T.Width)
            {
                var e = Exponential.Value(T.Load(ref input[j], columns - j, 0) - T.Of(largest));
                T.Store(ref output[j], columns - j, e * factor);
            }
        }
    }

    internal readonly struct SoftmaxGradientKernel(TFloats dX, int keep, TFloats dY, TFloats y, int columns)
        : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var start = row * columns;
            TFloats gradient = dX.From(start), upstream = dY.From(start), output = y.From(start);
            var mean = T.Of(Rows<TFloats>.Dot<T>(upstream, output, columns));   // ⟨dY, y⟩
            for (var j = T.First; j < columns; j += T.Width)
            {
                var left = columns - j;
                var difference = T.Load(ref upstream[j], left, 0) - mean;
                var sum = keep != 0 ? T.Load(ref gradient[j], left, 0) : T.Of(0f);
                T.Store(ref gradient[j], left, T.MultiplyAdd(T.Load(ref output[j], left, 0), difference, sum));
            }
        }
    }
}
