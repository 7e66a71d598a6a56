using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// One way to run the kernels: a device with a code path and a number of threads. Its backend is
/// made on first use and kept for all tests.
/// </summary>
/// <param name="name">As <see cref="IBackend.Description"/> says it.</param>
/// <param name="create">Makes the backend.</param>
public sealed class BackendCase(string name, Func<IBackend> create)
{
    private readonly Lazy<IBackend> backend = new(create);

    /// <summary>
    /// The backend; the test is ignored, with the reason, where this machine cannot run it.
    /// </summary>
    public IBackend Backend
    {
        get
        {
            try
            {
                return backend.Value;
            }
            catch (PlatformNotSupportedException e)
            {
                Assert.Ignore(e.Message);
                throw;
            }
        }
    }

    public override string ToString() => name;
}

/// <summary>
/// Every backend that the op table runs on. A further device joins by another entry here.
/// </summary>
public static class Backends
{
    public static IReadOnlyList<BackendCase> All { get; } =
    [
        .. from set in Enum.GetValues<InstructionSet>()
           from threads in set == InstructionSets.Best ? new[] { 1, 2 } : [2]
           select new BackendCase($"CPU, {set.Name()}, {threads} thread{(threads == 1 ? "" : "s")}",
               () => new CpuBackend(threads, set)),
        new BackendCase("the GPU's kernels, simulated",
            () => GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 4)),
    ];

    /// <summary>
    /// Where tests run whose subject is the same on every device: the graph, lifetimes, messages.
    /// </summary>
    public static IBackend Any => Shared.Value;

    private static readonly Lazy<IBackend> Shared = new(() => new CpuBackend(threads: 1));
}
