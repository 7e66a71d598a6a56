using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Runtime;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// A kernel whose threads do not depend on each other: its fields are the arguments.
/// </summary>
internal interface IThreadKernel
{
    /// <summary>Computes what belongs to a thread: an element of the result.</summary>
    void At(int i);
}

/// <summary>
/// A kernel that groups of threads compute together, with shared memory and barriers: its fields
/// are the arguments. The code runs in every thread of a group, <see cref="Group.IdxX"/> of
/// <see cref="Group.DimX"/>. What leaves the number of threads open works for every power of two.
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

    private Type? lastKernel;

    /// <summary>Kernels issued so far.</summary>
    internal long Launches { get; private set; }

    /// <summary>
    /// Called with its name before any work is given to the driver: tests throw here what a driver
    /// throws.
    /// </summary>
    internal Action<string>? BeforeWork { get; set; }

    /// <summary>
    /// Called with every kernel that the driver was given, once: what it was compiled from.
    /// </summary>
    internal Action<KernelText>? KernelLoaded { get; set; }

    /// <summary>
    /// Whether kernels are counted and not run: what a step of a real model's size launches, told
    /// on a machine without a GPU. What they would have written is undefined, and read as 0.
    /// </summary>
    internal bool OnlyCounts { get; init; }

    /// <summary>Runs a kernel in so many threads.</summary>
    /// <exception cref="DeviceException">
    /// The driver does not take the kernel, or the device failed.
    /// </exception>
    private void ForEachThread<TKernel>(int count, in TKernel kernel) where TKernel : struct, IThreadKernel
    {
        if (count == 0)                                     // drivers refuse an empty grid
        {
            return;
        }
        try
        {
            Begin<TKernel>();
            if (OnlyCounts)
            {
                return;
            }
            var launcher = launchers.TryGetValue(typeof(TKernel), out var known)
                ? (Action<AcceleratorStream, Index1D, TKernel>)known
                : Load<Action<AcceleratorStream, Index1D, TKernel>>(typeof(TKernel), ThreadBody<TKernel>);
            launcher(stream, count, kernel);
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf<TKernel>(), e);
        }
    }

    /// <summary>Runs a kernel in groups of as many threads as this backend gives.</summary>
    private void ForEachGroup<TKernel>(int groups, in TKernel kernel) where TKernel : struct, IGroupKernel =>
        ForEachGroup(groups, groupThreads, kernel);

    /// <summary>Runs a kernel in groups of a number of threads.</summary>
    /// <param name="groups">How many groups.</param>
    /// <param name="threads">Threads of a group, the same in every call.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="atATime">
    /// How many groups a processor shall be able to run at a time, which limits the registers of a
    /// thread; null leaves it to the compiler.
    /// </param>
    /// <exception cref="DeviceException">
    /// The driver does not take the kernel, or the device failed.
    /// </exception>
    private void ForEachGroup<TKernel>(int groups, int threads, in TKernel kernel, int? atATime = null)
        where TKernel : struct, IGroupKernel
    {
        if (groups == 0)
        {
            return;
        }
        try
        {
            Begin<TKernel>();
            if (OnlyCounts)
            {
                return;
            }
            var launcher = launchers.TryGetValue(typeof(TKernel), out var known)
                ? (Action<AcceleratorStream, KernelConfig, TKernel>)known
                : Load<Action<AcceleratorStream, KernelConfig, TKernel>>(
                    typeof(TKernel), GroupBody<TKernel>, new KernelSpecialization(threads, atATime));
            launcher(stream, new KernelConfig(groups, threads), kernel);
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf<TKernel>(), e);
        }
    }

    internal static void ThreadBody<TKernel>(Index1D i, TKernel kernel) where TKernel : struct, IThreadKernel =>
        kernel.At(i);

    internal static void GroupBody<TKernel>(TKernel kernel) where TKernel : struct, IGroupKernel =>
        kernel.Run(Grid.IdxX);

    /// <summary>Compiles a kernel; this takes milliseconds, so the launcher is kept.</summary>
    /// <param name="kernel">Its type.</param>
    /// <param name="body">Its code.</param>
    /// <param name="groups">
    /// The groups of a kernel that asks for them; null where ILGPU makes them.
    /// </param>
    private TLauncher Load<TLauncher>(Type kernel, Delegate body, KernelSpecialization? groups = null)
        where TLauncher : Delegate
    {
        var entry = groups is null
            ? EntryPointDescription.FromImplicitlyGroupedKernel(body.Method)
            : EntryPointDescription.FromExplicitlyGroupedKernel(body.Method);
        var compiled = accelerator.CompileKernel(entry, groups ?? new KernelSpecialization(elementThreads, null));
        if (compiled is CLCompiledKernel openCL)
        {
            compiled = OpenCLText.WithLocalFences(context, openCL);
        }
        var loaded = groups is null
            ? accelerator.LoadImplicitlyGroupedKernel(compiled, elementThreads) : accelerator.LoadKernel(compiled);
        var launcher = loaded.CreateLauncherDelegate<TLauncher>();
        launchers.Add(kernel, launcher);
        KernelLoaded?.Invoke(new KernelText(KernelCompiler.Name(kernel), KernelCompiler.TextOf(compiled)));
        return launcher;
    }

    private void Begin<TKernel>()
    {
        BeforeWork?.Invoke(KernelCompiler.Name(typeof(TKernel)));
        lastKernel = typeof(TKernel);
        Launches++;
    }

    private static string WorkOf<TKernel>() => $"the kernel {KernelCompiler.Name(typeof(TKernel))}";

    /// <summary>Copies and waits may tell of what a kernel before them did.</summary>
    private string WorkOf(string work) =>
        lastKernel is null ? work
        : $"{work}, or a kernel before it (the last one is {KernelCompiler.Name(lastKernel)}),";

    private DeviceException Failed(string work, Exception e) => new(Description, work, e.Code(), e);
}
