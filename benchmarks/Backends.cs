using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Benchmarks;

/// <summary>The devices that benchmarks run on. A new backend is one more name here.</summary>
internal static class Backends
{
    /// <summary>The name of the CPU.</summary>
    public const string Cpu = "cpu";

    private static readonly string[] Known = [Cpu, "cuda", "opencl"];

    /// <summary>
    /// Those to measure: all that are usable here, unless <see cref="Choose"/> named one.
    /// </summary>
    public static IReadOnlyList<string> Names { get; private set; } =
        [.. Known.Where(name => name == Cpu
            || GpuDevices.Find(Kind(name)).Any(device => device.Index == 0 && device.IsUsable))];

    /// <summary>Threads of the CPU; 0: one per core.</summary>
    public static int Threads { get; set; }

    /// <summary>Restricts the benchmarks to one device.</summary>
    /// <exception cref="InputException">There is no such device.</exception>
    public static void Choose(string name) => Names = [RequireKnown(name)];

    /// <summary>Opens a device.</summary>
    /// <exception cref="InputException">
    /// There is no such device here, or it cannot be used.
    /// </exception>
    public static IBackend Open(string name)
    {
        RequireKnown(name);
        try
        {
            return name == Cpu ? new CpuBackend(Threads) : GpuDevices.Open(Kind(name));
        }
        catch (PlatformNotSupportedException e)
        {
            throw new InputException($"--device {name}: {e.Message}");
        }
    }

    private static string RequireKnown(string name) => Known.Contains(name)
        ? name
        : throw new InputException($"--device {name}: the devices are {string.Join(", ", Known)}.");

    private static GpuKind Kind(string name) => name == "cuda" ? GpuKind.Cuda : GpuKind.OpenCL;
}
