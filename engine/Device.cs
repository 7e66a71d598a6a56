using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Engine;

/// <summary>The backend that tensors are put on when none is named.</summary>
public static class Device
{
    private static IBackend? chosen;

    /// <summary>The SIMD backend on all cores, unless another was set.</summary>
    public static IBackend Default
    {
        get => chosen ??= new CpuBackend();
        set => chosen = value;
    }
}
