using ILGPU;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// The threads that compute a row together. All of them must call <see cref="Sum"/> and
/// <see cref="Max"/>, and get the result.
/// </summary>
internal interface ITeam
{
    /// <summary>This thread's number, from 0.</summary>
    static abstract int Thread { get; }

    /// <summary>How many threads there are.</summary>
    static abstract int Threads { get; }

    /// <summary>The sum of one value of each thread.</summary>
    static abstract float Sum(float value);

    /// <summary>The largest of one value of each thread.</summary>
    static abstract float Max(float value);
}

/// <summary>
/// A kernel whose rows do not depend on each other: its fields are the arguments.
/// </summary>
internal interface IRowKernel
{
    /// <summary>
    /// Computes a row; thread t of the team takes the columns t, t + threads, t + 2·threads …, so
    /// that neighbours read neighbours.
    /// </summary>
    void Row<TTeam>(int row) where TTeam : struct, ITeam;
}

internal sealed partial class GpuKernels
{
    /// <summary>
    /// A row up to this long is one thread's work: a group would spend its time waiting for each
    /// other.
    /// </summary>
    private const int ShortRow = 16;

    /// <summary>Runs a kernel once for every row.</summary>
    private void ForEachRow<TKernel>(int rows, int columns, in TKernel kernel) where TKernel : struct, IRowKernel
    {
        if (columns <= ShortRow)
        {
            ForEach(rows, new RowOfThread<TKernel>(kernel));
        }
        else
        {
            ForEachGroup(rows, new RowOfGroup<TKernel>(kernel));
        }
    }

    internal readonly struct RowOfThread<TKernel>(TKernel kernel) : IElementKernel where TKernel : struct, IRowKernel
    {
        public void At(int i) => kernel.Row<OneThread>(i);
    }

    internal readonly struct RowOfGroup<TKernel>(TKernel kernel) : IGroupKernel where TKernel : struct, IRowKernel
    {
        public void Run(int group) => kernel.Row<WholeGroup>(group);
    }

    internal readonly struct OneThread : ITeam
    {
        public static int Thread => 0;
        public static int Threads => 1;
        public static float Sum(float value) => value;
        public static float Max(float value) => value;
    }

    internal readonly struct WholeGroup : ITeam
    {
        public static int Thread => Group.IdxX;
        public static int Threads => Group.DimX;
        public static float Sum(float value) => GroupOf.Sum(value);
        public static float Max(float value) => GroupOf.Max(value);
    }

    /// <summary>eˣ by the formula of every backend.</summary>
    private static float Exp(float x) => Exponential.Value(new Scalar(x)).Value;

    /// <summary>maxⱼ x[start + j]</summary>
    private static float Largest<TTeam>(ArrayView<float> x, int start, int columns) where TTeam : struct, ITeam
    {
        var largest = float.NegativeInfinity;
        for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
        {
            largest = x[start + j] > largest ? x[start + j] : largest;
        }
        return TTeam.Max(largest);
    }

    /// <summary>Σⱼ exp(x[start + j] − largest)</summary>
    private static float SumOfExponentials<TTeam>(ArrayView<float> x, int start, int columns, float largest)
        where TTeam : struct, ITeam
    {
        var sum = 0f;
        for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
        {
            sum += Exp(x[start + j] - largest);
        }
        return TTeam.Sum(sum);
    }
}
