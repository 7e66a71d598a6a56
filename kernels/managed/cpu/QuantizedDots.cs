using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Y = X·Ŵᵀ for few rows of X: Ŵ is decoded in registers, two of its rows at a time, and each register meets four rows of X before it is forgotten; where X has one or two rows, four rows of Ŵ meet
/// those. What is read from memory is the codes, and at few rows that is what takes the time: a row of them is shorter than a page, so that the processor does not see by itself what comes next, and the
/// rows that follow are asked for on the way.
/// </summary>
internal static unsafe class QuantizedDots
{
    /// <summary>Up to so many rows of X this way is the faster one.</summary>
    public const int MostLines = 16;

    private const int Sums = 8;                      // in registers: they hide the latency of the multiply-adds
    private const int RowsOfBlock = 32;              // of Ŵ, done by one piece of work
    private const long SmallProduct = 1 << 15;       // multiply-adds that one thread has done before another one is awake

    /// <summary>Computes one product.</summary>
    /// <param name="task">B is not looked at.</param> <param name="weight">Ŵ [N, K]</param> <param name="scratch">Of the thread that calls.</param> <param name="workers">The threads.</param>
    public static void Run<V, R, TCodes>(in ProductTask task, in PackedWeight weight, Scratch scratch, WorkerPool workers)
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        var linesAtOnce = task.M <= 2 ? 2 : 4;
        var lines = (task.M + linesAtOnce - 1) / linesAtOnce * linesAtOnce;
        var x = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var line = 0; line < task.M; line++)
        {
            Panels.CopyLine(x + ((nint)line * task.K), task.A.At(line, 0), task.A.ColumnStride, task.K);
        }
        new Span<float>(x + ((nint)task.M * task.K), (lines - task.M) * task.K).Clear();
        var isSmall = (long)task.M * task.N * task.K <= SmallProduct;
        WorkerPool.Run(isSmall ? null : workers, (task.N + RowsOfBlock - 1) / RowsOfBlock, new Job<V, R, TCodes>(task, weight, x, linesAtOnce), scratch);
    }

    private readonly struct Job<V, R, TCodes>(ProductTask task, PackedWeight weight, float* x, int linesAtOnce) : IJob
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[Sums * R.Width];
            var sums = stackalloc float[Sums];
            var rowsAtOnce = Sums / linesAtOnce;
            var end = Math.Min((block + 1) * RowsOfBlock, task.N);
            for (var row = block * RowsOfBlock; row < end; row += rowsAtOnce)
            {
                for (var line = 0; line < task.M; line += linesAtOnce)
                {
                    var first = x + ((nint)line * task.K);
                    if (linesAtOnce == 2)
                    {
                        DotsOfTwoLines(registers, row, end - 1, first);
                    }
                    else
                    {
                        DotsOfFourLines(registers, row, end - 1, first);
                    }
                    Sum(sums, registers);
                    Sum(sums + (Sums / 2), registers + (Sums / 2 * R.Width));
                    for (var i = 0; i < rowsAtOnce && row + i < end; i++)
                    {
                        for (var j = 0; j < linesAtOnce && line + j < task.M; j++)
                        {
                            var y = task.Y.At(line + j, row + i);
                            *y = task.Accumulate ? *y + sums[(i * linesAtOnce) + j] : sums[(i * linesAtOnce) + j];
                        }
                    }
                }
            }
        }

        private static void Sum(float* sums, float* registers)
        {
            if (R.Width == 1)
            {
                new ReadOnlySpan<float>(registers, Sums / 2).CopyTo(new Span<float>(sums, Sums / 2));
            }
            else
            {
                SkinnyProduct.SumFour(sums, registers, R.Width);
            }
        }

        /// <summary>Rows row and row + 1 of Ŵ times four rows of X; past the last row that one again, whose sums are not stored.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void DotsOfFourLines(float* registers, int row, int last, float* x0)
        {
            var next = Math.Min(row + 1, last);
            V y00 = default, y01 = default, y02 = default, y03 = default;
            V y10 = default, y11 = default, y12 = default, y13 = default;
            byte* codes0 = weight.Block(row, 0), codes1 = weight.Block(next, 0);
            GroupGrid* grid0 = weight.Grids(row), grid1 = weight.Grids(next);
            var depth = weight.Columns;
            float* x1 = x0 + depth, x2 = x1 + depth, x3 = x2 + depth;
            nint codesAhead = 2 * weight.RowBytes, gridsAhead = 2 * weight.Groups;
            for (var k = 0; k < depth; grid0++, grid1++)
            {
                V first0 = TCodes.First(grid0), second0 = TCodes.Second(grid0);
                V first1 = TCodes.First(grid1), second1 = TCodes.Second(grid1);
                Prefetch(codes0 + codesAhead);
                Prefetch(codes1 + codesAhead);
                Prefetch(grid0 + gridsAhead);
                Prefetch(grid1 + gridsAhead);
                for (var end = k + weight.GroupSize; k < end;)
                {
                    for (var part = 0; part < PackedCodes.BlockSize / R.Width; part++)
                    {
                        var w0 = TCodes.Weights(codes0, part, first0, second0);
                        var w1 = TCodes.Weights(codes1, part, first1, second1);
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
            Store(registers, y00, y01, y02, y03);
            Store(registers + (Sums / 2 * R.Width), y10, y11, y12, y13);
        }

        /// <summary>Rows row to row + 3 of Ŵ times two rows of X; past the last row that one again, whose sums are not stored.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void DotsOfTwoLines(float* registers, int row, int last, float* x0)
        {
            V y00 = default, y01 = default, y10 = default, y11 = default;
            V y20 = default, y21 = default, y30 = default, y31 = default;
            int row1 = Math.Min(row + 1, last), row2 = Math.Min(row + 2, last), row3 = Math.Min(row + 3, last);
            byte* codes0 = weight.Block(row, 0), codes1 = weight.Block(row1, 0), codes2 = weight.Block(row2, 0), codes3 = weight.Block(row3, 0);
            GroupGrid* grid0 = weight.Grids(row), grid1 = weight.Grids(row1), grid2 = weight.Grids(row2), grid3 = weight.Grids(row3);
            var depth = weight.Columns;
            var x1 = x0 + depth;
            nint codesAhead = 4 * weight.RowBytes, gridsAhead = 4 * weight.Groups;
            for (var k = 0; k < depth; grid0++, grid1++, grid2++, grid3++)
            {
                V first0 = TCodes.First(grid0), second0 = TCodes.Second(grid0);
                V first1 = TCodes.First(grid1), second1 = TCodes.Second(grid1);
                V first2 = TCodes.First(grid2), second2 = TCodes.Second(grid2);
                V first3 = TCodes.First(grid3), second3 = TCodes.Second(grid3);
                Prefetch(codes0 + codesAhead);
                Prefetch(codes1 + codesAhead);
                Prefetch(codes2 + codesAhead);
                Prefetch(codes3 + codesAhead);
                Prefetch(grid0 + gridsAhead);
                Prefetch(grid1 + gridsAhead);
                Prefetch(grid2 + gridsAhead);
                Prefetch(grid3 + gridsAhead);
                for (var end = k + weight.GroupSize; k < end;)
                {
                    for (var part = 0; part < PackedCodes.BlockSize / R.Width; part++)
                    {
                        V line0 = R.Load(x0 + k), line1 = R.Load(x1 + k);
                        var w = TCodes.Weights(codes0, part, first0, second0);
                        y00 = R.MultiplyAdd(w, line0, y00);
                        y01 = R.MultiplyAdd(w, line1, y01);
                        w = TCodes.Weights(codes1, part, first1, second1);
                        y10 = R.MultiplyAdd(w, line0, y10);
                        y11 = R.MultiplyAdd(w, line1, y11);
                        w = TCodes.Weights(codes2, part, first2, second2);
                        y20 = R.MultiplyAdd(w, line0, y20);
                        y21 = R.MultiplyAdd(w, line1, y21);
                        w = TCodes.Weights(codes3, part, first3, second3);
                        y30 = R.MultiplyAdd(w, line0, y30);
                        y31 = R.MultiplyAdd(w, line1, y31);
                        k += R.Width;
                    }
                    codes0 += TCodes.BlockBytes;
                    codes1 += TCodes.BlockBytes;
                    codes2 += TCodes.BlockBytes;
                    codes3 += TCodes.BlockBytes;
                }
            }
            Store(registers, y00, y01, y10, y11);
            Store(registers + (Sums / 2 * R.Width), y20, y21, y30, y31);
        }

        /// <summary>Asks for what may lie past the weight's end: a prefetch never faults.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Prefetch(void* address)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(address);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Store(float* registers, V a, V b, V c, V d)
        {
            R.Store(registers, a);
            R.Store(registers + R.Width, b);
            R.Store(registers + (2 * R.Width), c);
            R.Store(registers + (3 * R.Width), d);
        }
    }
}
