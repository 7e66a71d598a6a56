using ILGPU;
using ILGPU.Runtime;

namespace LoraScratch.Kernels.Gpu;

/// <summary>A kernel whose elements do not depend on each other, a thread for each: its fields are the arguments.</summary>
internal interface IElementKernel
{
    /// <summary>Computes element i.</summary>
    void At(int i);
}

/// <summary>
/// A kernel that groups of threads compute together, with shared memory and barriers: its fields are the arguments. The code runs in every thread of
/// a group, <see cref="Group.IdxX"/> of <see cref="Group.DimX"/>. What leaves the number of threads open works for every power of two.
/// </summary>
internal interface IGroupKernel
{
    /// <summary>Computes what belongs to a group: a row, a tile, a block of a sum.</summary>
    void Run(int group);
}

internal sealed partial class GpuKernels
{
    private readonly int groupThreads, elementThreads;
    private readonly Dictionary<Type, Delegate> launchers = [];

    /// <summary>Kernels issued so far.</summary>
    internal long Launches { get; private set; }

    /// <summary>Runs a kernel once for every element.</summary>
    private void ForEach<TKernel>(int count, in TKernel kernel) where TKernel : struct, IElementKernel
    {
        if (count > 0)                                      // drivers refuse an empty grid
        {
            var launcher = launchers.TryGetValue(typeof(TKernel), out var known)
                ? (Action<Index1D, TKernel>)known
                : Keep(accelerator.LoadImplicitlyGroupedStreamKernel<Index1D, TKernel>(ElementBody, elementThreads));
            launcher(count, kernel);
            Launches++;
        }
    }

    /// <summary>Runs a kernel in groups of as many threads as this backend gives.</summary>
    private void ForEachGroup<TKernel>(int groups, in TKernel kernel) where TKernel : struct, IGroupKernel => ForEachGroup(groups, groupThreads, kernel);

    /// <summary>Runs a kernel in groups of a number of threads.</summary>
    /// <param name="groups">How many groups.</param> <param name="threads">Threads of a group, the same in every call.</param> <param name="kernel">The kernel.</param>
    /// <param name="atATime">How many groups a processor shall be able to run at a time, which limits the registers of a thread; null leaves it to the compiler.</param>
    private void ForEachGroup<TKernel>(int groups, int threads, in TKernel kernel, int? atATime = null) where TKernel : struct, IGroupKernel
    {
        if (groups > 0)
        {
            var launcher = launchers.TryGetValue(typeof(TKernel), out var known)
                ? (Action<KernelConfig, TKernel>)known
                : Keep(accelerator.LoadStreamKernel<TKernel>(GroupBody, new KernelSpecialization(threads, atATime)));
            launcher(new KernelConfig(groups, threads), kernel);
            Launches++;
        }
    }

    internal static void ElementBody<TKernel>(Index1D i, TKernel kernel) where TKernel : struct, IElementKernel => kernel.At(i);

    internal static void GroupBody<TKernel>(TKernel kernel) where TKernel : struct, IGroupKernel => kernel.Run(Grid.IdxX);

    /// <summary>Compiling takes milliseconds, so a launcher is kept; ILGPU itself would forget it.</summary>
    private Action<TFirst, TKernel> Keep<TFirst, TKernel>(Action<TFirst, TKernel> launcher)
    {
        launchers.Add(typeof(TKernel), launcher);
        return launcher;
    }
}
