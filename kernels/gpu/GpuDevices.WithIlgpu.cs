using ILGPU.Backends.OpenCL;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace LoraScratch.Kernels.Gpu;

public static partial class GpuDevices
{
    /// <summary>Threads of a group on every GPU, for kernels that leave the choice.</summary>
    private const int GroupThreads = 256;

    /// <summary>Bytes of shared memory (OpenCL: local memory) of the kernel that needs most, attention's gradient; OpenCL promises 32 KiB.</summary>
    internal const int SharedMemory = 41_600;

    public static partial IReadOnlyList<GpuDevice> Find(GpuKind kind)
    {
        // The driver is asked before ILGPU, which reports a missing library, a broken driver and a hidden device alike: as no device.
        if (DriverLibraries.Problem(kind) is { } problem)
        {
            return [new GpuDevice(kind, null, "", problem)];
        }
        var devices = Reported(kind);
        return devices.Count == 0
            ? [new GpuDevice(kind, null, "", kind == GpuKind.Cuda ? "The driver works, but reports no device." : "OpenCL is installed, but no platform has a device.")]
            : [.. devices.Select((device, index) => new GpuDevice(kind, index, device.Name, Problem(device)))];
    }

    internal static partial IBackend OpenSimulator(GpuOptimization optimization, int groupThreads, Func<int, int, int, int, ProductPlan>? planProduct, int? decodedAtATime,
        Action<string>? beforeWork, long? memorySize) =>
        new GpuBackend(new GpuKernels(new CPUDevice(32, GroupThreads / 32, 1), optimization, groupThreads, elementThreads: 1)
        {
            PlanProduct = planProduct ?? ProductPlan.For,
            DecodedAtATime = decodedAtATime ?? GpuKernels.MostDecoded,
            BeforeWork = beforeWork,
            MemorySize = memorySize ?? long.MaxValue,
        });

    internal static partial IReadOnlyList<KernelText> CompileKernels(GpuKind kind, GpuOptimization optimization) => KernelCompiler.Compile(kind, optimization);

    private static partial IBackend Create(GpuKind kind, int index, GpuOptimization optimization)
    {
        var device = Reported(kind)[index];
        try
        {
            return new GpuBackend(new GpuKernels(device, optimization, GroupThreads, GroupThreads));
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw new PlatformNotSupportedException($"{kind.Id()}:{index} ({device.Name}) does not open: the driver says {e.Code()}.", e);
        }
    }

    private static IReadOnlyList<Device> Reported(GpuKind kind) => kind == GpuKind.Cuda ? CudaDevice.GetDevices(_ => true) : CLDevice.GetDevices(_ => true);

    private static string? Problem(Device device) => device switch
    {
        CudaDevice { Architecture: null } => "ILGPU does not know its compute capability.",
        CudaDevice { InstructionSet: null } => "ILGPU does not know a PTX version that its driver takes: the driver is too old.",
        CLDevice { CLStdVersion: var version } when version < CLBackend.MinimumVersion => $"It has {version}, ILGPU needs {CLBackend.MinimumVersion}.",
        CLDevice { Capabilities.GenericAddressSpace: false } => "Its OpenCL lacks the generic address space, which ILGPU needs (NVIDIA: use cuda; PoCL has it from version 4).",
        { MaxNumThreadsPerGroup: < GroupThreads } =>
            $"Its groups have at most {device.MaxNumThreadsPerGroup:N0} threads, the kernels need {GroupThreads}.",
        { MaxSharedMemoryPerGroup: < SharedMemory } =>
            $"Its groups have {device.MaxSharedMemoryPerGroup:N0} bytes of shared (local) memory, the kernels need {SharedMemory:N0}.",
        _ => null,
    };
}
