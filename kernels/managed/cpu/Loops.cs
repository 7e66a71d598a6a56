using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

// The loops of all kernels are marked AggressiveOptimization: the runtime's first, unoptimised code for such a loop is
// thirty times slower, and a training run would spend its first steps in it. There is nothing in them that a profile
// could improve.
internal sealed unsafe partial class CpuKernels
{
    /// <summary>
    /// Elements of one block of work, a few microseconds' worth: less is not worth waking a thread
    /// for. Blocks depend on the shape alone, so that results do not depend on the number of
    /// threads.
    /// </summary>
    private const int BlockElements = 16384;

    private bool Wide => InstructionSet == InstructionSet.Avx512;

    private static int BlocksOf(int blockSize, int count) => (int)(((long)count + blockSize - 1) / blockSize);

    /// <inheritdoc/>
    protected override void ForEach<TKernel>(int count, in TKernel kernel) =>
        Workers.Run(BlocksOf(BlockElements, count), new ElementJob<TKernel>(kernel, count, Wide));

    /// <inheritdoc/>
    protected override void ForEach<TKernel>(IReadOnlyList<(int Count, TKernel Kernel)> kernels)
    {
        foreach (var (count, kernel) in kernels)
        {
            ForEach(count, kernel);
        }
    }

    /// <inheritdoc/>
    protected override void ForEachRow<TKernel>(int rows, int columns, in TKernel kernel)
    {
        var rowsPerBlock = Math.Max(1, BlockElements / Math.Max(1, columns));
        Workers.Run(BlocksOf(rowsPerBlock, rows), new RowJob<TKernel>(kernel, rows, rowsPerBlock, Wide));
    }

    /// <summary>
    /// y[j] += Σᵢ term[i, j]. Each block owns a strip of columns and walks down all rows.
    /// </summary>
    protected override void AddDownColumns<TTerm>(Accumulator y, int rows, in TTerm term)
    {
        const int NarrowStrip = 64;
        var columns = y.Length;
        var strip = (long)rows * columns <= BlockElements ? Math.Max(1, columns) : NarrowStrip;
        Workers.Run(BlocksOf(strip, columns),
            new ColumnJob<TTerm>(Pointer(y.Buffer), !y.IsEmpty, term, rows, columns, strip, Wide));
    }

    // NoInlining: the compiler inlines so much into one method and no more. Within a caller that holds this loop for
    // every register, a long formula such as GELU's derivative is left as calls, one for every operation.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void RunElements<T, TKernel>(TKernel kernel, int start, int end) where T : struct, ILanes<T>
    where TKernel : struct, IElementKernel
    {
        var i = start;
        for (; i <= end - T.Width; i += T.Width)
        {
            kernel.At<T>(i);
        }
        if (i < end)
        {
            RunTail(kernel, i, end);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void RunTail<TKernel>(TKernel kernel, int start, int end) where TKernel : struct, IElementKernel
    {
        for (var i = start; i < end; i++)
        {
            kernel.At<Scalar>(i);
        }
    }

    private readonly struct ElementJob<TKernel>(TKernel kernel, int count, bool wide) : IJob where TKernel : struct,
        IElementKernel
    {
        public void Run(int block, Scratch scratch)
        {
            var start = block * BlockElements;
            var end = (int)Math.Min((long)start + BlockElements, count);
            if (wide)
            {
                RunElements<Lanes512, TKernel>(kernel, start, end);
            }
            else
            {
                RunElements<Lanes, TKernel>(kernel, start, end);
            }
        }
    }

    private readonly struct RowJob<TKernel>(TKernel kernel, int rows, int rowsPerBlock, bool wide) : IJob
        where TKernel : struct, IRowKernel
    {
        public void Run(int block, Scratch scratch)
        {
            var start = block * rowsPerBlock;
            var end = (int)Math.Min((long)start + rowsPerBlock, rows);
            var local = kernel;
            if (wide)
            {
                for (var row = start; row < end; row++)
                {
                    local.Row<Lanes512>(row);
                }
            }
            else
            {
                for (var row = start; row < end; row++)
                {
                    local.Row<Lanes>(row);
                }
            }
        }
    }

    private readonly struct ColumnJob<TTerm>(float* y, bool accumulate, TTerm term, int rows, int columns, int strip,
        bool wide) : IJob where TTerm : struct, IColumnTerm
    {
        // Partial sums of so many rows: a long column loses less to rounding, and a tile of the strip stays in the
        // first cache.
        private const int RowsPerPartial = 32;

        public void Run(int block, Scratch scratch)
        {
            var start = block * strip;
            var end = (int)Math.Min((long)start + strip, columns);
            var row = 0;
            // once where there are no rows: their sum is 0
            do
            {
                var rowEnd = Math.Min(row + RowsPerPartial, rows);
                if (wide)
                {
                    AddTile<Lanes512>(start, end, row, rowEnd);
                }
                else
                {
                    AddTile<Lanes>(start, end, row, rowEnd);
                }
                row += RowsPerPartial;
            }
            while (row < rows);
        }

        private void AddTile<T>(int start, int end, int row, int rowEnd) where T : struct, ILanes<T>
        {
            var column = start;
            for (; column <= end - T.Width; column += T.Width)
            {
                AddColumn<T>(column, row, rowEnd);
            }
            for (; column < end; column++)
            {
                AddColumn<Scalar>(column, row, rowEnd);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void AddColumn<T>(int column, int row, int rowEnd) where T : struct, ILanes<T>
        {
            var before = accumulate || row > 0 ? T.Load(ref y[column]) : T.Of(0f);
            var sum = T.Of(0f);
            var terms = term;               // here its fields stay in registers
            for (; row < rowEnd; row++)
            {
                sum += terms.At<T>(row, column);
            }
            T.Store(ref y[column], before + sum);
        }
    }
}
