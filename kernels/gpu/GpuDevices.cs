using ILGPU.Backends.OpenCL;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace LoraScratch.Kernels.Gpu;

/// <summary>Finds GPUs and opens backends on them.</summary>
public static class GpuDevices
{
    /// <summary>Threads of a group on every GPU, for kernels that leave the choice.</summary>
    private const int GroupThreads = 256;

    /// <summary>
    /// Bytes of shared memory (OpenCL: local memory) of the kernel that needs most, attention's
    /// gradient; OpenCL promises 32 KiB.
    /// </summary>
    internal const int SharedMemory = 41_600;

    /// <summary>
    /// Every device of every kind; a kind without one has an entry that says why.
    /// </summary>
    internal static IEnumerable<GpuDevice> All => Enum.GetValues<GpuKind>().SelectMany(Find);

    /// <summary>
    /// The devices of a kind, usable or not, in the driver's order; where there is none, one entry
    /// that says why. Never empty, never throws.
    /// </summary>
    internal static IReadOnlyList<GpuDevice> Find(GpuKind kind)
    {
        // The driver is asked before ILGPU, which reports a missing library, a broken driver and a hidden device alike:
        // as no device.
        if (DriverLibraries.Problem(kind) is { } problem)
        {
            return [new GpuDevice(kind, null, "", problem)];
        }
        var devices = Reported(kind);
        return devices.Count == 0
            ? [new GpuDevice(kind, null, "", kind == GpuKind.Cuda
                ? "The driver works, but reports no device."
                : "OpenCL is installed, but no platform has a device.")]
            : [.. devices.Select((device, index) => new GpuDevice(kind, index, device.Name, Problem(device)))];
    }

    /// <summary>Opens an NVIDIA GPU through CUDA.</summary>
    /// <param name="index">Its number among the devices, from 0.</param>
    /// <exception cref="PlatformNotSupportedException">
    /// There is no such device, or it cannot be used; the message says why.
    /// </exception>
    public static IBackend OpenCuda(int index = 0) => Open(GpuKind.Cuda, index);

    /// <summary>Opens a GPU through OpenCL 2.0 or later.</summary>
    /// <param name="index">Its number among the devices, from 0.</param>
    /// <exception cref="PlatformNotSupportedException">
    /// There is no such device, or it cannot be used; the message says why.
    /// </exception>
    public static IBackend OpenOpenCL(int index = 0) => Open(GpuKind.OpenCL, index);

    /// <summary>Opens a device.</summary>
    /// <param name="index">Its number among the devices of its kind.</param>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    /// <param name="planProduct">
    /// How matrix products are cut (rows, columns, depth, batch); null by their shape.
    /// </param>
    /// <param name="decodedAtATime">
    /// Elements of a packed weight that are decoded at a time; null for the usual number.
    /// </param>
    /// <exception cref="PlatformNotSupportedException">
    /// There is no such device, or it cannot be used; the message says why.
    /// </exception>
    internal static IBackend Open(GpuKind kind, int index = 0, GpuOptimization optimization = GpuOptimization.O1,
        Func<int, int, int, int, ProductPlan>? planProduct = null, int? decodedAtATime = null)
    {
        var devices = Find(kind);
        var device = devices.FirstOrDefault(device => device.Index == index)
            ?? (devices[0].Index is null ? devices[0] : throw new PlatformNotSupportedException(
                $"There is no device {kind.Id()}:{index}; the devices are "
                    + $"{string.Join(", ", devices.Select(device => device.Id))}."));
        if (device.Problem is not null)
        {
            throw new PlatformNotSupportedException(
                $"{device.Id}{(device.Name == "" ? "" : $" ({device.Name})")} cannot be used: {device.Problem}");
        }
        try
        {
            return new GpuBackend(new GpuKernels(Reported(kind)[index], optimization, GroupThreads, GroupThreads)
            {
                PlanProduct = planProduct ?? ProductPlan.For,
                DecodedAtATime = decodedAtATime ?? GpuKernels.MaxDecoded,
            });
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw new PlatformNotSupportedException(
                $"{device.Id} ({device.Name}) does not open: the driver says {e.Code()}.", e);
        }
    }

    /// <summary>
    /// A backend on ILGPU's simulator, which runs the same kernels on threads of the CPU, thousands
    /// of times slower than the CPU backend: an oracle for tests.
    /// </summary>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    /// <param name="groupThreads">
    /// Threads of a group where the kernel leaves the choice: few make barriers cheap, 256 are what
    /// GPUs get.
    /// </param>
    /// <param name="planProduct">
    /// How matrix products are cut (rows, columns, depth, batch); null as on a GPU.
    /// </param>
    /// <param name="decodedAtATime">
    /// Elements of a packed weight that are decoded at a time; null as on a GPU.
    /// </param>
    /// <param name="beforeWork">
    /// Called with its name before any work: throws what a driver throws. Null for none.
    /// </param>
    /// <param name="memorySize">Bytes that the device has; null: no bound.</param>
    /// <param name="onlyCounts">See <see cref="GpuKernels.OnlyCounts"/>.</param>
    internal static IBackend OpenSimulator(
        GpuOptimization optimization, int groupThreads, Func<int, int, int, int, ProductPlan>? planProduct = null,
        int? decodedAtATime = null, Action<string>? beforeWork = null, long? memorySize = null,
        bool onlyCounts = false) =>
        new GpuBackend(new GpuKernels(new CPUDevice(32, GroupThreads / 32, 1), optimization, groupThreads,
            elementThreads: 1)
        {
            PlanProduct = planProduct ?? ProductPlan.For,
            DecodedAtATime = decodedAtATime ?? GpuKernels.MaxDecoded,
            BeforeWork = beforeWork,
            MemorySize = memorySize ?? long.MaxValue,
            OnlyCounts = onlyCounts,
        });

    /// <summary>
    /// Compiles every kernel without a device, PTX for sm_80 or OpenCL C 2.0: what tests and a
    /// kernel's author read.
    /// </summary>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    internal static IReadOnlyList<KernelText> CompileKernels(GpuKind kind, GpuOptimization optimization) =>
        KernelCompiler.Compile(kind, optimization);

    /// <summary>"cuda", "opencl"</summary>
    internal static string Id(this GpuKind kind) => kind == GpuKind.Cuda ? "cuda" : "opencl";

    private static IReadOnlyList<Device> Reported(GpuKind kind) =>
        kind == GpuKind.Cuda ? CudaDevice.GetDevices(_ => true) : CLDevice.GetDevices(_ => true);

    private static string? Problem(Device device) => device switch
    {
        CudaDevice { Architecture: null } => "ILGPU does not know its compute capability.",
        CudaDevice { InstructionSet: null } =>
            "ILGPU does not know a PTX version that its driver takes: the driver is too old.",
        CLDevice { CLStdVersion: var version } when version < CLBackend.MinimumVersion =>
            $"It has {version}, ILGPU needs {CLBackend.MinimumVersion}.",
        CLDevice { Capabilities.GenericAddressSpace: false } =>
            "Its OpenCL lacks the generic address space, which ILGPU needs (NVIDIA: use cuda; PoCL has it from "
                + "version 4).",
        { MaxNumThreadsPerGroup: < GroupThreads } =>
            $"Its groups have at most {device.MaxNumThreadsPerGroup:N0} threads, the kernels need {GroupThreads}.",
        { MaxSharedMemoryPerGroup: < SharedMemory } =>
            $"Its groups have {device.MaxSharedMemoryPerGroup:N0} bytes of shared (local) memory, the kernels need "
                + $"{SharedMemory:N0}.",
        _ => null,
    };
}
