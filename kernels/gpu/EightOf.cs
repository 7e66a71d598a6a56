using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Up to eight kernels of a kind that one launch runs beside each other, each in threads or groups
/// of its own: for parameters of a few thousand elements a launch costs the host more than the work
/// costs the device. The arguments of eight fit into the 1,024 bytes that every OpenCL device
/// takes. They have names, because ILGPU's kernels take no arrays as arguments.
/// </summary>
internal readonly struct EightOf<TKernel> where TKernel : struct
{
    /// <summary>How many fit.</summary>
    public const int Most = 8;

    public readonly TKernel Kernel0, Kernel1, Kernel2, Kernel3, Kernel4, Kernel5, Kernel6, Kernel7;

    /// <summary>Where the threads or groups of a kernel end.</summary>
    public readonly int End0, End1, End2, End3, End4, End5, End6, End7;

    /// <param name="kernels">One to <see cref="Most"/>, each with its threads or groups.</param>
    public EightOf((int Count, TKernel Kernel)[] kernels)
    {
        // past the last one: never run
        TKernel Kernel(int i) => kernels[Math.Min(i, kernels.Length - 1)].Kernel;
        int End(int i) => checked(kernels.Take(i + 1).Sum(each => each.Count));
        (Kernel0, Kernel1, Kernel2, Kernel3) = (Kernel(0), Kernel(1), Kernel(2), Kernel(3));
        (Kernel4, Kernel5, Kernel6, Kernel7) = (Kernel(4), Kernel(5), Kernel(6), Kernel(7));
        (End0, End1, End2, End3) = (End(0), End(1), End(2), End(3));
        (End4, End5, End6, End7) = (End(4), End(5), End(6), End(7));
    }

    /// <summary>Threads or groups of all.</summary>
    public int Count => End7;

    /// <summary>The kernel that thread or group i of all belongs to.</summary>
    public TKernel Kernel(int i) =>
        i < End3 ? i < End1 ? i < End0 ? Kernel0 : Kernel1 : i < End2 ? Kernel2 : Kernel3
        : i < End5 ? i < End4 ? Kernel4 : Kernel5 : i < End6 ? Kernel6 : Kernel7;

    /// <summary>Where the threads or groups of that kernel start.</summary>
    public int Start(int i) =>
        i < End3 ? i < End1 ? i < End0 ? 0 : End0 : i < End2 ? End1 : End2
        : i < End5 ? i < End4 ? End3 : End4 : i < End6 ? End5 : End6;
}

/// <summary>The elements of eight tensors, one in each thread.</summary>
internal readonly struct ElementsOfEight<TKernel>(EightOf<TKernel> of) : IThreadKernel
    where TKernel : struct, IParameterKernel
{
    public void At(int i) => of.Kernel(i).At<Scalar>(i - of.Start(i));
}

/// <summary>The sums of the blocks of eight buffers, one in each group.</summary>
internal readonly struct SumsOfEight<TFormula>(EightOf<GpuKernels.SumKernel<TFormula>> of) : IGroupKernel
    where TFormula : struct, IFormula
{
    public void Run(int group) => of.Kernel(group).Run(group - of.Start(group));
}
