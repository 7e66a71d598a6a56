using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Y = X·Ŵᵀ for few rows of X: Ŵ is decoded in registers, four of its rows at a time, and each
/// register meets up to four rows of X before it is forgotten (two rows of Ŵ and four of X without
/// AVX-512, which alone surely has the registers). What is read from memory is the codes, and at
/// few rows that is what takes the time: a row of them is shorter than a page, so that the
/// processor does not see by itself what comes next, and rows that follow are asked for on the way.
/// </summary>
internal static unsafe class QuantizedDots
{
    /// <summary>Up to so many rows of X this way is the faster one.</summary>
    public const int MaxLines = 16;

    // in registers at most; eight hide the latency of the multiply-adds, sixteen spare every other load of X
    private const int Sums = 16;
    private const int SumsAtOnce = 4;                // are added up across their registers
    private const int RowsOfBlock = 32;              // of Ŵ, done by one piece of work
    // of Ŵ, are asked for: nearer ones would come too late, and in the first-level cache, which they would fill, they
    // are not needed yet
    private const int RowsAhead = 16;
    private const int LineBits = 512;                // of a cache
    // multiply-adds that one thread has done before another one is awake
    private const long SmallProduct = 1 << 15;

    /// <summary>Computes one product.</summary>
    /// <param name="task">B is not looked at.</param>
    /// <param name="weight">Ŵ [N, K]</param>
    /// <param name="scratch">Of the thread that calls.</param>
    public static void Run<V, R, TCodes>(in ProductTask task, in PackedWeight weight, Scratch scratch,
        WorkerPool workers)
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        var lines = task.M % 4 == 3 ? task.M + 1 : task.M;  // three are done as four
        var x = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var line = 0; line < task.M; line++)
        {
            Panels.CopyLine(x + ((nint)line * task.K), task.A.At(line, 0), task.A.ColumnStride, task.K);
        }
        new Span<float>(x + ((nint)task.M * task.K), (lines - task.M) * task.K).Clear();
        var isSmall = (long)task.M * task.N * task.K <= SmallProduct;
        WorkerPool.Run(isSmall ? null : workers, (task.N + RowsOfBlock - 1) / RowsOfBlock,
            new Job<V, R, TCodes>(task, weight, x), scratch);
    }

    private readonly struct Job<V, R, TCodes>(ProductTask task, PackedWeight weight, float* x) : IJob
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        // AVX-512 has 32 of them, AVX2 16.
        private static bool HasManyRegisters => R.Width == Vector512<float>.Count;

        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[Sums * R.Width];
            var sums = stackalloc float[Sums];
            var end = Math.Min((block + 1) * RowsOfBlock, task.N);
            for (int line = 0, lines; line < task.M; line += lines)
            {
                var first = x + ((nint)line * task.K);
                lines = task.M - line <= 2 ? task.M - line : 4;
                var rows = lines == 4 && !HasManyRegisters ? 2 : 4;
                for (var row = block * RowsOfBlock; row < end; row += rows)
                {
                    switch (lines)
                    {
                        case 1: DotsOfFourRows<OneLine>(registers, row, end - 1, first); break;
                        case 2: DotsOfFourRows<TwoLines>(registers, row, end - 1, first); break;
                        case 4 when HasManyRegisters: DotsOfFourRows<FourLines>(registers, row, end - 1, first); break;
                        default: DotsOfTwoRows(registers, row, end - 1, first); break;
                    }
                    for (var sum = 0; sum < rows * lines; sum += SumsAtOnce)
                    {
                        Sum(sums + sum, registers + (sum * R.Width));
                    }
                    for (var i = 0; i < rows && row + i < end; i++)
                    {
                        for (var j = 0; j < lines && line + j < task.M; j++)
                        {
                            var sum = sums[(i * lines) + j];
                            *task.Y.At(line + j, row + i) = task.Adds ? *task.Z.At(line + j, row + i) + sum : sum;
                        }
                    }
                }
            }
        }

        private static void Sum(float* sums, float* registers)
        {
            if (R.Width == 1)
            {
                new ReadOnlySpan<float>(registers, SumsAtOnce).CopyTo(new Span<float>(sums, SumsAtOnce));
            }
            else
            {
                SkinnyProduct.SumFour(sums, registers, R.Width);
            }
        }

        /// <summary>
        /// Rows row and row + 1 of Ŵ times four rows of X; past the last row that one again, whose
        /// sums are not stored.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void DotsOfTwoRows(float* registers, int row, int last, float* x0)
        {
            var next = Math.Min(row + 1, last);
            V y00 = default, y01 = default, y02 = default, y03 = default;
            V y10 = default, y11 = default, y12 = default, y13 = default;
            byte* codes0 = weight.Block(row, 0), codes1 = weight.Block(next, 0);
            GroupGrid* grid0 = weight.Grid(row, 0), grid1 = weight.Grid(next, 0);
            float* x1 = x0 + task.K, x2 = x1 + task.K, x3 = x2 + task.K;
            nint codesAhead = RowsAhead * weight.RowBytes, gridsAhead = (nint)RowsAhead * weight.Groups;
            for (int k = 0, due = 0; k < task.K; grid0++, grid1++)
            {
                V first0 = TCodes.First(grid0), second0 = TCodes.Second(grid0);
                V first1 = TCodes.First(grid1), second1 = TCodes.Second(grid1);
                if (k >= due)
                {
                    PackedWeight.Prefetch(codes0 + codesAhead);
                    PackedWeight.Prefetch(codes1 + codesAhead);
                    PackedWeight.Prefetch(grid0 + gridsAhead);
                    PackedWeight.Prefetch(grid1 + gridsAhead);
                    due += LineBits * PackedCodes.BlockSize / 8 / TCodes.BlockBytes;
                }
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
            // Stored and summed elsewhere: accumulators that lived on across a call would be kept in memory throughout
            // the loop.
            Store(registers, y00, y01, y02, y03);
            Store(registers + (SumsAtOnce * R.Width), y10, y11, y12, y13);
        }

        /// <summary>
        /// Rows row to row + 3 of Ŵ times one, two or four rows of X; past the last row that one
        /// again, whose sums are not stored.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void DotsOfFourRows<TLines>(float* registers, int row, int last, float* x0) where TLines : struct,
        ILines
        {
            V y00 = default, y01 = default, y02 = default, y03 = default;
            V y10 = default, y11 = default, y12 = default, y13 = default;
            V y20 = default, y21 = default, y22 = default, y23 = default;
            V y30 = default, y31 = default, y32 = default, y33 = default;
            int row1 = Math.Min(row + 1, last), row2 = Math.Min(row + 2, last), row3 = Math.Min(row + 3, last);
            byte* codes0 = weight.Block(row, 0), codes1 = weight.Block(row1, 0), codes2 = weight.Block(row2, 0),
                codes3 = weight.Block(row3, 0);
            GroupGrid* grid0 = weight.Grid(row, 0), grid1 = weight.Grid(row1, 0), grid2 = weight.Grid(row2, 0),
                grid3 = weight.Grid(row3, 0);
            float* x1 = x0 + task.K, x2 = x1 + task.K, x3 = x2 + task.K;    // looked at where there are so many lines
            nint codesAhead = RowsAhead * weight.RowBytes, gridsAhead = (nint)RowsAhead * weight.Groups;
            for (int k = 0, due = 0; k < task.K; grid0++, grid1++, grid2++, grid3++)
            {
                V first0 = TCodes.First(grid0), second0 = TCodes.Second(grid0);
                V first1 = TCodes.First(grid1), second1 = TCodes.Second(grid1);
                V first2 = TCodes.First(grid2), second2 = TCodes.Second(grid2);
                V first3 = TCodes.First(grid3), second3 = TCodes.Second(grid3);
                if (k >= due)
                {
                    PackedWeight.Prefetch(codes0 + codesAhead);
                    PackedWeight.Prefetch(codes1 + codesAhead);
                    PackedWeight.Prefetch(codes2 + codesAhead);
                    PackedWeight.Prefetch(codes3 + codesAhead);
                    PackedWeight.Prefetch(grid0 + gridsAhead);
                    PackedWeight.Prefetch(grid1 + gridsAhead);
                    PackedWeight.Prefetch(grid2 + gridsAhead);
                    PackedWeight.Prefetch(grid3 + gridsAhead);
                    due += LineBits * PackedCodes.BlockSize / 8 / TCodes.BlockBytes;
                }
                for (var end = k + weight.GroupSize; k < end;)
                {
                    for (var part = 0; part < PackedCodes.BlockSize / R.Width; part++)
                    {
                        V line0 = R.Load(x0 + k), line1 = TLines.Count >= 2 ? R.Load(x1 + k) : default;
                        V line2 = TLines.Count == 4 ? R.Load(x2 + k) : default,
                            line3 = TLines.Count == 4 ? R.Load(x3 + k) : default;
                        var w = TCodes.Weights(codes0, part, first0, second0);
                        y00 = R.MultiplyAdd(w, line0, y00);
                        y01 = TLines.Count >= 2 ? R.MultiplyAdd(w, line1, y01) : y01;
                        y02 = TLines.Count == 4 ? R.MultiplyAdd(w, line2, y02) : y02;
                        y03 = TLines.Count == 4 ? R.MultiplyAdd(w, line3, y03) : y03;
                        w = TCodes.Weights(codes1, part, first1, second1);
                        y10 = R.MultiplyAdd(w, line0, y10);
                        y11 = TLines.Count >= 2 ? R.MultiplyAdd(w, line1, y11) : y11;
                        y12 = TLines.Count == 4 ? R.MultiplyAdd(w, line2, y12) : y12;
                        y13 = TLines.Count == 4 ? R.MultiplyAdd(w, line3, y13) : y13;
                        w = TCodes.Weights(codes2, part, first2, second2);
                        y20 = R.MultiplyAdd(w, line0, y20);
                        y21 = TLines.Count >= 2 ? R.MultiplyAdd(w, line1, y21) : y21;
                        y22 = TLines.Count == 4 ? R.MultiplyAdd(w, line2, y22) : y22;
                        y23 = TLines.Count == 4 ? R.MultiplyAdd(w, line3, y23) : y23;
                        w = TCodes.Weights(codes3, part, first3, second3);
                        y30 = R.MultiplyAdd(w, line0, y30);
                        y31 = TLines.Count >= 2 ? R.MultiplyAdd(w, line1, y31) : y31;
                        y32 = TLines.Count == 4 ? R.MultiplyAdd(w, line2, y32) : y32;
                        y33 = TLines.Count == 4 ? R.MultiplyAdd(w, line3, y33) : y33;
                        k += R.Width;
                    }
                    codes0 += TCodes.BlockBytes;
                    codes1 += TCodes.BlockBytes;
                    codes2 += TCodes.BlockBytes;
                    codes3 += TCodes.BlockBytes;
                }
            }
            switch (TLines.Count)
            {
                case 1:
                    Store(registers, y00, y10, y20, y30);
                    break;
                case 2:
                    Store(registers, y00, y01, y10, y11);
                    Store(registers + (SumsAtOnce * R.Width), y20, y21, y30, y31);
                    break;
                default:
                    Store(registers, y00, y01, y02, y03);
                    Store(registers + (SumsAtOnce * R.Width), y10, y11, y12, y13);
                    Store(registers + (2 * SumsAtOnce * R.Width), y20, y21, y22, y23);
                    Store(registers + (3 * SumsAtOnce * R.Width), y30, y31, y32, y33);
                    break;
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

    private interface ILines
    {
        static abstract int Count { get; }
    }

    private readonly struct OneLine : ILines { public static int Count => 1; }

    private readonly struct TwoLines : ILines { public static int Count => 2; }

    private readonly struct FourLines : ILines { public static int Count => 4; }
}
