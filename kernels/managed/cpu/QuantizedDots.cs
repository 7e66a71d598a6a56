using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Y = X·Ŵᵀ for few rows of X: Ŵ is decoded in registers, two of its rows at a time, and each register meets four rows of X before it is forgotten. What is
/// read from memory is the codes, and at few rows that is what takes the time.
/// </summary>
internal static unsafe class QuantizedDots
{
    /// <summary>Up to so many rows of X this way is the faster one.</summary>
    public const int MostLines = 16;

    private const int WeightRows = 2, Lines = 4;     // 8 sums in registers hide the latency of the multiply-adds
    private const int RowsOfBlock = 32;              // of Ŵ, done by one piece of work
    private const long SmallProduct = 1 << 15;       // multiply-adds that one thread has done before another one is awake

    /// <summary>Computes one product.</summary>
    /// <param name="task">B is not looked at.</param> <param name="weight">Ŵ [N, K]</param> <param name="scratch">Of the thread that calls.</param> <param name="workers">The threads.</param>
    public static void Run<V, R, TCodes>(in ProductTask task, in PackedWeight weight, Scratch scratch, WorkerPool workers)
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        var lines = (task.M + Lines - 1) / Lines * Lines;
        var x = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var line = 0; line < task.M; line++)
        {
            Panels.CopyLine(x + ((nint)line * task.K), task.A.At(line, 0), task.A.ColumnStride, task.K);
        }
        new Span<float>(x + ((nint)task.M * task.K), (lines - task.M) * task.K).Clear();
        var isSmall = (long)task.M * task.N * task.K <= SmallProduct;
        WorkerPool.Run(isSmall ? null : workers, (task.N + RowsOfBlock - 1) / RowsOfBlock, new Job<V, R, TCodes>(task, weight, x), scratch);
    }

    private readonly struct Job<V, R, TCodes>(ProductTask task, PackedWeight weight, float* x) : IJob
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[WeightRows * Lines * R.Width];
            var sums = stackalloc float[WeightRows * Lines];
            var end = Math.Min((block + 1) * RowsOfBlock, task.N);
            for (var row = block * RowsOfBlock; row < end; row += WeightRows)
            {
                var next = Math.Min(row + 1, end - 1);      // past the end the last row again; its sums are not stored
                for (var line = 0; line < task.M; line += Lines)
                {
                    Dots(registers, row, next, x + ((nint)line * task.K));
                    Sum(sums, registers);
                    Sum(sums + Lines, registers + (Lines * R.Width));
                    for (var i = 0; i < WeightRows && row + i < end; i++)
                    {
                        for (var j = 0; j < Lines && line + j < task.M; j++)
                        {
                            var y = task.Y.At(line + j, row + i);
                            *y = task.Accumulate ? *y + sums[(i * Lines) + j] : sums[(i * Lines) + j];
                        }
                    }
                }
            }
        }

        private static void Sum(float* sums, float* registers)
        {
            if (R.Width == 1)
            {
                new ReadOnlySpan<float>(registers, Lines).CopyTo(new Span<float>(sums, Lines));
            }
            else
            {
                SkinnyProduct.SumFour(sums, registers, R.Width);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Dots(float* registers, int row0, int row1, float* x0)
        {
            V y00 = default, y01 = default, y02 = default, y03 = default;
            V y10 = default, y11 = default, y12 = default, y13 = default;
            byte* codes0 = weight.Block(row0, 0), codes1 = weight.Block(row1, 0);
            GroupGrid* grid0 = weight.Grids(row0), grid1 = weight.Grids(row1);
            var depth = weight.Columns;
            float* x1 = x0 + depth, x2 = x1 + depth, x3 = x2 + depth;
            for (var k = 0; k < depth; grid0++, grid1++)
            {
                V scale0 = R.Of(grid0->Scale), minusZero0 = R.Of(-grid0->Zero);
                V scale1 = R.Of(grid1->Scale), minusZero1 = R.Of(-grid1->Zero);
                for (var end = k + weight.GroupSize; k < end;)
                {
                    for (var part = 0; part < PackedCodes.BlockSize / R.Width; part++)
                    {
                        var w0 = R.Multiply(R.Add(TCodes.Load(codes0, part), minusZero0), scale0);
                        var w1 = R.Multiply(R.Add(TCodes.Load(codes1, part), minusZero1), scale1);
                        var line = R.Load(x0 + k);
                        y00 = R.MultiplyAdd(w0, line, y00);
                        y10 = R.MultiplyAdd(w1, line, y10);
                        line = R.Load(x1 + k);
                        y01 = R.MultiplyAdd(w0, line, y01);
                        y11 = R.MultiplyAdd(w1, line, y11);
                        line = R.Load(x2 + k);
                        y02 = R.MultiplyAdd(w0, line, y02);
                        y12 = R.MultiplyAdd(w1, line, y12);
                        line = R.Load(x3 + k);
                        y03 = R.MultiplyAdd(w0, line, y03);
                        y13 = R.MultiplyAdd(w1, line, y13);
                        k += R.Width;
                    }
                    codes0 += TCodes.BlockBytes;
                    codes1 += TCodes.BlockBytes;
                }
            }
            // Stored and summed elsewhere: accumulators that lived on across a call would be kept in memory throughout the loop.
            R.Store(registers, y00);
            R.Store(registers + R.Width, y01);
            R.Store(registers + (2 * R.Width), y02);
            R.Store(registers + (3 * R.Width), y03);
            R.Store(registers + (4 * R.Width), y10);
            R.Store(registers + (5 * R.Width), y11);
            R.Store(registers + (6 * R.Width), y12);
            R.Store(registers + (7 * R.Width), y13);
        }
    }
}
