using System.Diagnostics;
using ILGPU;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>Elements that one group sums.</summary>
    private const int SumBlock = 16384;

    /// <summary>Rows that one thread adds up down a column.</summary>
    private const int RowBlock = 64;

    /// <inheritdoc/>
    public void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias)
    {
        Debug.Assert(y.Length == x.Length && x.Length % bias.Length == 0);
        ForEachThread(y.Length, new BiasKernel(View(y), View(x), View(bias), bias.Length));
    }

    /// <inheritdoc/>
    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == 1);
        AddSumOf<Identity>(y, 0, alpha, [x]);
    }

    /// <inheritdoc/>
    public void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs)
    {
        Debug.Assert(y.Length == 1);
        AddSumOf<Square>(y.Buffer, Keep(y), 1, xs);
    }

    /// <summary>y₀ = keep·y₀ + α·Σ f(x), the blocks' sums first and then their sum.</summary>
    private void AddSumOf<TFormula>(DeviceBuffer<float> y, float keep, float alpha,
        IReadOnlyList<DeviceBuffer<float>> xs) where TFormula : struct, IFormula
    {
        var blocks = xs.Sum(BlocksOf);
        if (blocks <= 1)
        {
            var only = xs.FirstOrDefault(x => x.Length > 0);
            ForEachGroup(1, new SumKernel<TFormula>(View(y), keep, alpha, View(only ?? y), only?.Length ?? 0));
            return;
        }
        using var partials = Allocate<float>(blocks);
        var (first, kernels) = (0, new List<(int, SumKernel<TFormula>)>());
        foreach (var x in xs.Where(x => x.Length > 0))
        {
            kernels.Add((BlocksOf(x),
                new SumKernel<TFormula>(View(partials).SubView(first), 0, 1, View(x), x.Length)));
            first += BlocksOf(x);
        }
        foreach (var some in kernels.Chunk(EightOf<SumKernel<TFormula>>.Most))
        {
            var eight = new EightOf<SumKernel<TFormula>>(some);
            ForEachGroup(eight.Count, new SumsOfEight<TFormula>(eight));
        }
        AddSumOf<Identity>(y, keep, alpha, [partials]);
    }

    private static int BlocksOf(DeviceBuffer<float> x) => (x.Length + SumBlock - 1) / SumBlock;

    /// <summary>A thread for each column of a block of rows, then one for each column.</summary>
    protected override void AddDownColumns<TTerm>(Accumulator y, int rows, in TTerm term)
    {
        var blocks = (rows + RowBlock - 1) / RowBlock;
        if (blocks <= 1)
        {
            ForEachThread(y.Length, new ColumnSumKernel<TTerm>(View(y.Buffer), Keep(y), term, rows, y.Length));
            return;
        }
        using var partials = Allocate<float>(blocks * y.Length);
        ForEachThread(partials.Length, new ColumnSumKernel<TTerm>(View(partials), 0, term, rows, y.Length));
        AddDownColumns(y, blocks, new ElementTerm(Floats(partials), y.Length));
    }

    internal readonly struct BiasKernel(ArrayView<float> y, ArrayView<float> x, ArrayView<float> bias, int columns)
        : IThreadKernel
    {
        public void At(int i) => y[i] = x[i] + bias[i % columns];
    }

    /// <summary>y[block] = keep·y[block] + α·Σ f(x) over a block of x.</summary>
    internal readonly struct SumKernel<TFormula>(ArrayView<float> y, float keep, float alpha, ArrayView<float> x,
        int count) : IGroupKernel
        where TFormula : struct, IFormula
    {
        public void Run(int group)
        {
            var start = group * SumBlock;
            var end = count - start < SumBlock ? count : start + SumBlock;
            // what each addition rounded away goes into the next one (Kahan)
            float sum = 0, lost = 0;
            for (var i = start + Group.IdxX; i < end; i += Group.DimX)
            {
                var term = TFormula.Value(new Scalar(x[i])).Value - lost;
                var next = sum + term;
                lost = next - sum - term;
                sum = next;
            }
            sum = GroupOf.Sum(sum);
            if (Group.IdxX == 0)
            {
                y[group] = (keep != 0 ? keep * y[group] : 0) + alpha * sum;     // what is not kept may be undefined
            }
        }
    }

    /// <summary>y[block, j] = keep·y[block, j] + Σ term(i, j) over a block of rows i.</summary>
    internal readonly struct ColumnSumKernel<TTerm>(ArrayView<float> y, float keep, TTerm term, int rows, int columns)
        : IThreadKernel
        where TTerm : struct, IColumnTerm
    {
        public void At(int i)
        {
            var column = i % columns;
            var start = i / columns * RowBlock;
            var end = rows - start < RowBlock ? rows : start + RowBlock;
            var sum = 0f;
            for (var row = start; row < end; row++)
            {
                sum += term.At<Scalar>(row, column).Value;
            }
            y[i] = (keep != 0 ? keep * y[i] : 0) + sum;
        }
    }
}
