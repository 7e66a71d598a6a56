using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == 0 ? x.Length == 0 : x.Length % y.Length == 0);
        ForEachThread(y.Length, new GroupSumKernel(View(y), alpha, View(x), x.Length / Math.Max(1, y.Length)));
    }

    /// <inheritdoc/>
    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length == 0 ? y.Length == 0 : y.Length % x.Length == 0);
        ForEachThread(y.Length, new GroupBroadcastKernel(View(y.Buffer), Keep(y), alpha, View(x),
            y.Length / Math.Max(1, x.Length)));
    }

    internal readonly struct GroupSumKernel(ArrayView<float> y, float alpha, ArrayView<float> x, int size)
        : IThreadKernel
    {
        public void At(int i)
        {
            var sum = 0f;
            for (var j = i * size; j < (i + 1) * size; j++)
            {
                sum += x[j];
            }
            y[i] = alpha * sum;
        }
    }

    internal readonly struct GroupBroadcastKernel(ArrayView<float> y, int keep, float alpha, ArrayView<float> x,
        int size) : IThreadKernel
    {
        public void At(int i) => y[i] = (keep != 0 ? y[i] : 0) + alpha * x[i / size];
    }
}
