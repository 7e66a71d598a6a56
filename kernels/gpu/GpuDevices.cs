namespace LoraScratch.Kernels.Gpu;

/// <summary>Finds GPUs and opens backends on them. Compiled without ILGPU it finds none and says so.</summary>
public static partial class GpuDevices
{
    /// <summary>Every device of every kind; a kind without one has an entry that says why.</summary>
    public static IEnumerable<GpuDevice> All => Enum.GetValues<GpuKind>().SelectMany(Find);

    /// <summary>The devices of a kind, usable or not, in the driver's order; where there is none, one entry that says why. Never empty, never throws.</summary>
    public static partial IReadOnlyList<GpuDevice> Find(GpuKind kind);

    /// <summary>Opens a device.</summary>
    /// <param name="kind">The driver interface.</param> <param name="index">Its number among the devices of its kind.</param>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    /// <exception cref="PlatformNotSupportedException">There is no such device, or it cannot be used; the message says why.</exception>
    public static IBackend Open(GpuKind kind, int index = 0, GpuOptimization optimization = GpuOptimization.O1)
    {
        var devices = Find(kind);
        var device = devices.FirstOrDefault(device => device.Index == index)
            ?? (devices[0].Index is null ? devices[0] : throw new PlatformNotSupportedException(
                $"There is no device {kind.Id()}:{index}; the devices are {string.Join(", ", devices.Select(device => device.Id))}."));
        if (device.Problem is not null)
        {
            throw new PlatformNotSupportedException($"{device.Id}{(device.Name == "" ? "" : $" ({device.Name})")} cannot be used: {device.Problem}");
        }
        return Create(kind, index, optimization);
    }

    /// <summary>
    /// A backend on ILGPU's simulator, which runs the same kernels on threads of the CPU, thousands of times slower than the CPU backend: an oracle for tests.
    /// </summary>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    /// <param name="groupThreads">Threads of a group where the kernel leaves the choice: few make barriers cheap, 256 are what GPUs get.</param>
    /// <param name="planProduct">How matrix products are cut (rows, columns, depth, batch); null as on a GPU.</param>
    /// <param name="decodedAtATime">Elements of a packed weight that are decoded at a time; null as on a GPU.</param>
    /// <param name="beforeWork">Called with its name before any work: throws what a driver throws. Null for none.</param>
    /// <param name="memorySize">Bytes that the device has; null: as many as the host.</param>
    /// <exception cref="PlatformNotSupportedException">ILGPU is not compiled in.</exception>
    internal static partial IBackend OpenSimulator(
        GpuOptimization optimization, int groupThreads, Func<int, int, int, int, ProductPlan>? planProduct = null, int? decodedAtATime = null,
        Action<string>? beforeWork = null, long? memorySize = null);

    /// <summary>Compiles every kernel without a device, PTX for sm_80 or OpenCL C 2.0: what tests and a kernel's author read.</summary>
    /// <param name="kind">The driver interface.</param> <param name="optimization">ILGPU's part of the optimisation.</param>
    /// <exception cref="PlatformNotSupportedException">ILGPU is not compiled in.</exception>
    internal static partial IReadOnlyList<KernelText> CompileKernels(GpuKind kind, GpuOptimization optimization);

    /// <summary>"cuda", "opencl"</summary>
    internal static string Id(this GpuKind kind) => kind == GpuKind.Cuda ? "cuda" : "opencl";

    private static partial IBackend Create(GpuKind kind, int index, GpuOptimization optimization);
}
