using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == 0 ? x.Length == 0 : x.Length % y.Length == 0);
        var size = x.Length / Math.Max(1, y.Length);
        ForEachRow(y.Length, size, new GroupSumKernel(Pointer(y), alpha, Pointer(x), size));
    }

    /// <inheritdoc/>
    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length == 0 ? y.Length == 0 : y.Length % x.Length == 0);
        var size = y.Length / Math.Max(1, x.Length);
        ForEachRow(x.Length, size, new GroupBroadcastKernel(Pointer(y.Buffer), !y.IsEmpty, alpha, Pointer(x), size));
    }

    private readonly struct GroupSumKernel(float* y, float alpha, float* x, int size) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var group = x + (nint)row * size;
            var sum = T.Of(0f);
            for (var j = 0; j < size; j += T.Width)
            {
                sum += T.Load(ref group[j], size - j, 0);
            }
            y[row] = alpha * T.Sum(sum);
        }
    }

    private readonly struct GroupBroadcastKernel(float* y, bool accumulate, float alpha, float* x, int size)
        : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var group = y + (nint)row * size;
            var share = T.Of(alpha * x[row]);
            for (var j = 0; j < size; j += T.Width)
            {
                T.Store(ref group[j], size - j, accumulate ? T.Load(ref group[j], size - j, 0) + share : share);
            }
        }
    }
}
