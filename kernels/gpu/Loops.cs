using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>
    /// A row up to this long is one thread's work: a group would spend its time waiting for each
    /// other.
    /// </summary>
    private const int ShortRow = 16;

    /// <inheritdoc/>
    protected override void ForEach<TKernel>(int count, in TKernel kernel) =>
        ForEachThread(count, new ElementOf<TKernel>(kernel));

    /// <inheritdoc/>
    protected override void ForEach<TKernel>(IReadOnlyList<(int Count, TKernel Kernel)> kernels)
    {
        foreach (var some in kernels.Where(each => each.Count > 0).Chunk(EightOf<TKernel>.Most))
        {
            var eight = new EightOf<TKernel>(some);
            ForEachThread(eight.Count, new ElementsOfEight<TKernel>(eight));
        }
    }

    /// <inheritdoc/>
    protected override void ForEachRow<TKernel>(int rows, int columns, in TKernel kernel)
    {
        if (columns <= ShortRow)
        {
            ForEachThread(rows, new RowOfThread<TKernel>(kernel));
        }
        else
        {
            ForEachGroup(rows, new RowOfGroup<TKernel>(kernel));
        }
    }

    internal readonly struct ElementOf<TKernel>(TKernel kernel) : IThreadKernel where TKernel : struct, IElementKernel
    {
        public void At(int i) => kernel.At<Scalar>(i);
    }

    internal readonly struct RowOfThread<TKernel>(TKernel kernel) : IThreadKernel where TKernel : struct, IRowKernel
    {
        public void At(int i) => kernel.Row<Scalar>(i);
    }

    internal readonly struct RowOfGroup<TKernel>(TKernel kernel) : IGroupKernel where TKernel : struct, IRowKernel
    {
        public void Run(int group) => kernel.Row<GroupLane>(group);
    }
}
