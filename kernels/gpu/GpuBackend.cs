namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// A GPU as a device; <see cref="GpuDevices"/> opens one. Any number of threads may use it. Kernels
/// run in the order of the calls and later than the calls.
/// </summary>
internal sealed class GpuBackend : ThreadSafeBackend
{
    internal GpuBackend(GpuKernels kernels) : base(kernels, kernels.Gate) => Kernels = kernels;

    internal GpuKernels Kernels { get; }
}
