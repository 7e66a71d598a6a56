using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <content>Rows of P that lie in one piece: dot products.</content>
internal static unsafe partial class SkinnyProduct
{
    private static void RunDots<V, R>(in ProductTask task, Scratch scratch, WorkerPool? workers) where V : struct
        where R : struct, IRegister<V>
    {
        var lines = RoundUp(task.N, Lines);
        var q = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var s = 0; s < task.N; s++)
        {
            Panels.CopyLine(q + ((nint)s * task.K), task.B.At(0, s), task.B.RowStride, task.K);
        }
        new Span<float>(q + ((nint)task.N * task.K), (lines - task.N) * task.K).Clear();
        var blocks = (task.M + RowsOfDotBlock - 1) / RowsOfDotBlock;
        WorkerPool.Run(workers, blocks, new DotJob<V, R>(task, q), scratch);
    }

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    /// <summary>y = z + scale · value, or without z.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(in ProductTask task, int row, int column, float value)
    {
        var product = task.Scale * value;
        *task.Y.At(row, column) = task.Adds ? *task.Z.At(row, column) + product : product;
    }

    /// <summary>Dot products of the rows of P with the packed columns of Q.</summary>
    private readonly struct DotJob<V, R>(ProductTask task, float* q) : IJob where V : struct where R : struct,
        IRegister<V>
    {
        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[DotRows * Lines * R.Width];
            var sums = stackalloc float[DotRows * Lines];
            var end = Math.Min((block + 1) * RowsOfDotBlock, task.M);
            for (var row = block * RowsOfDotBlock; row < end; row += DotRows)
            {
                var p0 = task.A.At(row, 0);
                // past the end the last row again; its sums are not stored
                var p1 = task.A.At(Math.Min(row + 1, end - 1), 0);
                var p2 = task.A.At(Math.Min(row + 2, end - 1), 0);
                for (var s = 0; s < task.N; s += Lines)
                {
                    var lines = q + ((nint)s * task.K);
                    Dots(registers, p0, p1, p2, lines, task.K);
                    SumRow(sums, registers, p0, lines, task.K);
                    SumRow(sums + Lines, registers + (Lines * R.Width), p1, lines, task.K);
                    SumRow(sums + (2 * Lines), registers + (2 * Lines * R.Width), p2, lines, task.K);
                    for (var i = 0; i < DotRows && row + i < end; i++)
                    {
                        for (var j = 0; j < Lines && s + j < task.N; j++)
                        {
                            Store(task, row + i, s + j, sums[(i * Lines) + j]);
                        }
                    }
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Dots(float* registers, float* p0, float* p1, float* p2, float* q, int depth)
        {
            V y00 = default, y01 = default, y02 = default, y03 = default;
            V y10 = default, y11 = default, y12 = default, y13 = default;
            V y20 = default, y21 = default, y22 = default, y23 = default;
            var q1 = q + depth;
            var q2 = q1 + depth;
            var q3 = q2 + depth;
            var k = 0;
            for (; k <= depth - R.Width; k += R.Width)
            {
                var x0 = R.Load(p0 + k);
                var x1 = R.Load(p1 + k);
                var x2 = R.Load(p2 + k);
                var column = R.Load(q + k);
                y00 = R.MultiplyAdd(x0, column, y00);
                y10 = R.MultiplyAdd(x1, column, y10);
                y20 = R.MultiplyAdd(x2, column, y20);
                column = R.Load(q1 + k);
                y01 = R.MultiplyAdd(x0, column, y01);
                y11 = R.MultiplyAdd(x1, column, y11);
                y21 = R.MultiplyAdd(x2, column, y21);
                column = R.Load(q2 + k);
                y02 = R.MultiplyAdd(x0, column, y02);
                y12 = R.MultiplyAdd(x1, column, y12);
                y22 = R.MultiplyAdd(x2, column, y22);
                column = R.Load(q3 + k);
                y03 = R.MultiplyAdd(x0, column, y03);
                y13 = R.MultiplyAdd(x1, column, y13);
                y23 = R.MultiplyAdd(x2, column, y23);
            }
            // Stored and summed elsewhere: accumulators that lived on across a call would be kept in memory throughout
            // the loop.
            R.Store(registers, y00);
            R.Store(registers + R.Width, y01);
            R.Store(registers + (2 * R.Width), y02);
            R.Store(registers + (3 * R.Width), y03);
            R.Store(registers + (4 * R.Width), y10);
            R.Store(registers + (5 * R.Width), y11);
            R.Store(registers + (6 * R.Width), y12);
            R.Store(registers + (7 * R.Width), y13);
            R.Store(registers + (8 * R.Width), y20);
            R.Store(registers + (9 * R.Width), y21);
            R.Store(registers + (10 * R.Width), y22);
            R.Store(registers + (11 * R.Width), y23);
        }

        /// <summary>
        /// The sums of a row's four registers, and the products that did not fill one.
        /// </summary>
        private static void SumRow(float* sums, float* registers, float* p, float* q, int depth)
        {
            if (R.Width == 1)
            {
                new ReadOnlySpan<float>(registers, Lines).CopyTo(new Span<float>(sums, Lines));
            }
            else
            {
                SumFour(sums, registers, R.Width);
            }
            for (var k = depth / R.Width * R.Width; k < depth; k++)
            {
                for (var j = 0; j < Lines; j++)
                {
                    sums[j] += p[k] * q[((nint)j * depth) + k];
                }
            }
        }
    }

    /// <summary>The sums over each of four stored registers.</summary>
    /// <param name="sums">[4]</param>
    /// <param name="registers">[4, width]</param>
    /// <param name="width">A multiple of 4.</param>
    internal static void SumFour(float* sums, float* registers, int width)
    {
        var columns = stackalloc float[Lines * Lines];
        Transposition.Four(Fold(registers, 0, width), Fold(registers, 1, width), Fold(registers, 2, width),
            Fold(registers, 3, width), columns, Lines);
        var sum = Vector128.Load(columns) + Vector128.Load(columns + 4)
            + (Vector128.Load(columns + 8) + Vector128.Load(columns + 12));
        sum.Store(sums);
    }

    /// <summary>A stored register, its quarters (or halves) added up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Fold(float* registers, int index, int width)
    {
        var register = registers + (index * width);
        var sum = Vector128.Load(register);
        for (var i = Vector128<float>.Count; i < width; i += Vector128<float>.Count)
        {
            sum += Vector128.Load(register + i);
        }
        return sum;
    }
}
