using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests;

/// <summary>The backends that tests run on. A further device joins by another entry here.</summary>
public static class Backends
{
    /// <summary>Every backend that the op table runs on.</summary>
    public static IReadOnlyList<BackendCase> All { get; } =
    [
        .. from set in Enum.GetValues<InstructionSet>()
           let isBest = set == InstructionSets.Best
           from threads in isBest ? new[] { 1, 2 } : [2]
           select new BackendCase($"CPU, {set.Name()}, {threads} thread{(threads == 1 ? "" : "s")}",
               () => new CpuBackend(threads, set), isBest ? Categories.Fast : null),
        Simulator(groupThreads: 4),
    ];

    /// <summary>
    /// For the fixtures of the kernels: every code path of the CPU that this machine has, and the
    /// GPU's kernels on ILGPU's simulator; ILGPU optimises what runs on a device alike, so that one
    /// level is enough.
    /// </summary>
    public static IEnumerable<TestFixtureData> ForKernels =>
        InstructionSets.Supported.Select(set => new BackendCase($"Cpu {set}", () => new CpuBackend(2, set)))
            .Append(Simulator(groupThreads: 8)).Select(one =>
            {
                var fixture = new TestFixtureData(one);
                if (one.Category is { } category)
                {
                    fixture.Properties.Add("Category", category);
                }
                return fixture;
            });

    /// <summary>
    /// Where tests run whose subject is the same on every device: the graph, lifetimes, messages.
    /// </summary>
    public static IBackend Any => Shared.Value;

    private static readonly Lazy<IBackend> Shared = new(() => new CpuBackend(threads: 1));

    private static BackendCase Simulator(int groupThreads) => new("the GPU's kernels, simulated",
        () => GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads), Categories.Simulator);
}
