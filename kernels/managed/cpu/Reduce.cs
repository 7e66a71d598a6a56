using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    private const int MaxPartialSums = 256;

    /// <inheritdoc/>
    public void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias)
    {
        var columns = bias.Length;
        Debug.Assert(y.Length == x.Length && x.Length % columns == 0);
        ForEachRow(x.Length / columns, columns, new BiasKernel(Pointer(y), Pointer(x), Pointer(bias), columns));
    }

    /// <inheritdoc/>
    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == 1);
        *Pointer(y) = (float)(alpha * SumOf<Identity>(x));
    }

    /// <inheritdoc/>
    public void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs)
    {
        Debug.Assert(y.Length == 1);
        *Pointer(y.Buffer) = (float)((y.IsEmpty ? 0 : *Pointer(y.Buffer)) + xs.Sum(SumOf<Square>));
    }

    /// <summary>
    /// Σᵢ f(xᵢ): a double for each of at most <see cref="MaxPartialSums"/> blocks, added up in
    /// their order.
    /// </summary>
    private double SumOf<TFormula>(DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        var blockSize = Math.Max(BlockElements, BlocksOf(MaxPartialSums, x.Length));
        var blocks = BlocksOf(blockSize, x.Length);
        var partials = stackalloc double[MaxPartialSums];
        Workers.Run(blocks, new SumJob<TFormula>(partials, Pointer(x), x.Length, blockSize, Wide));
        var sum = 0.0;
        for (var block = 0; block < blocks; block++)
        {
            sum += partials[block];
        }
        return sum;
    }

    private readonly struct BiasKernel(float* y, float* x, float* bias, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* input = x + row * columns, output = y + row * columns;
            for (var j = 0; j < columns; j += T.Width)
            {
                var left = columns - j;
                T.Store(ref output[j], left, T.Load(ref input[j], left, 0) + T.Load(ref bias[j], left, 0));
            }
        }
    }

    private readonly struct SumJob<TFormula>(double* partials, float* x, int count, int blockSize, bool wide) : IJob
        where TFormula : struct, IFormula
    {
        // So many elements are added in float32 at most, in registers side by side; the runs are added in double.
        private const int Run32 = 2048;

        public void Run(int block, Scratch scratch)
        {
            var start = (long)block * blockSize;
            var end = Math.Min(start + blockSize, count);
            var sum = 0.0;
            for (var i = start; i < end; i += Run32)
            {
                var length = (int)Math.Min(Run32, end - i);
                sum += wide ? Run<Lanes512>(x + i, length) : Run<Lanes>(x + i, length);
            }
            partials[block] = sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Run<T>(float* x, int length) where T : struct, ILanes<T>
        {
            // four chains of additions hide the latency of one
            T a = T.Of(0f), b = T.Of(0f), c = T.Of(0f), d = T.Of(0f);
            var i = 0;
            for (; i <= length - 4 * T.Width; i += 4 * T.Width)
            {
                a += TFormula.Value(T.Load(ref x[i]));
                b += TFormula.Value(T.Load(ref x[i + T.Width]));
                c += TFormula.Value(T.Load(ref x[i + 2 * T.Width]));
                d += TFormula.Value(T.Load(ref x[i + 3 * T.Width]));
            }
            for (; i < length; i += T.Width)
            {
                a += TFormula.Value(T.Load(ref x[i], length - i, 0));
            }
            return T.Sum(a + b + (c + d));
        }
    }
}
