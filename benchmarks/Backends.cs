using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks;

/// <summary>The devices that benchmarks run on. A new backend is one more name here.</summary>
internal static class Backends
{
    private const string Cpu = "cpu";

    private static readonly string[] s_known = [Cpu];

    /// <summary>Those to measure: all that are usable here, unless <see cref="Choose"/> named one.</summary>
    public static IReadOnlyList<string> Names { get; private set; } = s_known;

    /// <summary>Threads of the CPU; 0: one per core.</summary>
    public static int Threads { get; set; }

    /// <summary>Restricts the benchmarks to one device.</summary>
    /// <exception cref="InputException">There is no such device.</exception>
    public static void Choose(string name) => Names = s_known.Contains(name)
        ? [name]
        : throw new InputException($"--device {name}: the devices are {string.Join(", ", s_known)}.");

    /// <summary>Opens a device.</summary>
    public static IBackend Open(string name) => name switch
    {
        Cpu => new CpuBackend(Threads),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "Unknown device."),
    };
}
