using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

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
        .. Gpus.Backends,
    ];

    /// <summary>
    /// For the fixtures of the kernels: every code path of the CPU that this machine has, the GPU's
    /// kernels on ILGPU's simulator (ILGPU optimises what runs on a device alike, so that one level
    /// is enough), and the GPUs that it has.
    /// </summary>
    public static IEnumerable<TestFixtureData> ForKernels =>
        InstructionSets.Supported.Select(set => new BackendCase($"Cpu {set}", () => new CpuBackend(2, set)))
            .Append(Simulator(groupThreads: 8)).Concat(Gpus.Backends).Select(one =>
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
        () => GpuCase.Simulator.Open(groupThreads), Categories.Simulator);
}
