namespace LoraScratch.Kernels.Gpu;

public static partial class GpuDevices
{
    private const string NotCompiledIn = "ILGPU is not compiled into this build: NuGet found no package ILGPU 1.5.3 when it was built, or -p:Ilgpu=false was given.";

    public static partial IReadOnlyList<GpuDevice> Find(GpuKind kind) => [new GpuDevice(kind, null, "", NotCompiledIn)];

    internal static partial IBackend OpenSimulator(GpuOptimization optimization, int groupThreads, Func<int, int, int, int, ProductPlan>? planProduct, int? decodedAtATime,
        Action<string>? beforeWork, long? memorySize) =>
        throw new PlatformNotSupportedException(NotCompiledIn);

    internal static partial IReadOnlyList<KernelText> CompileKernels(GpuKind kind, GpuOptimization optimization) => throw new PlatformNotSupportedException(NotCompiledIn);

    private static partial IBackend Create(GpuKind kind, int index, GpuOptimization optimization) => throw new PlatformNotSupportedException(NotCompiledIn);
}
