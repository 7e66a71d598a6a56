using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <content>Rows of P that lie in one piece: dot products.</content>
internal static unsafe partial class SkinnyProduct
{
    private static void RunDots<T>(in ProductTask task, Scratch scratch, WorkerPool? workers) where T : struct, ILanes<T>
    {
        var lines = RoundUp(task.N, Lines);
        var q = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var s = 0; s < task.N; s++)
        {
            Panels.CopyLine(q + ((nint)s * task.K), task.B.At(0, s), task.B.RowStride, task.K);
        }
        new Span<float>(q + ((nint)task.N * task.K), (lines - task.N) * task.K).Clear();
        var blocks = (task.M + RowsOfDotBlock - 1) / RowsOfDotBlock;
        WorkerPool.Run(workers, blocks, new DotJob<T>(task, q), scratch);
    }

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    /// <summary>y = scale · value, or y += .</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(in ProductTask task, int row, int column, float value)
    {
        var y = task.Y.At(row, column);
        *y = task.Accumulate ? *y + (task.Scale * value) : task.Scale * value;
    }

    /// <summary>Dot products of the rows of P with the packed columns of Q.</summary>
    private readonly struct DotJob<T>(in ProductTask task, float* q) : IJob where T : struct, ILanes<T>
    {
        private readonly ProductTask _task = task;
        private readonly float* _q = q;

        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[DotRows * Lines * T.Width];
            var sums = stackalloc float[DotRows * Lines];
            var end = Math.Min((block + 1) * RowsOfDotBlock, _task.M);
            for (var row = block * RowsOfDotBlock; row < end; row += DotRows)
            {
                var p0 = _task.A.At(row, 0);
                var p1 = _task.A.At(Math.Min(row + 1, end - 1), 0);   // past the end the last row again; its sums are not stored
                var p2 = _task.A.At(Math.Min(row + 2, end - 1), 0);
                for (var s = 0; s < _task.N; s += Lines)
                {
                    var q = _q + ((nint)s * _task.K);
                    Dots(registers, p0, p1, p2, q, _task.K);
                    SumRow(sums, registers, p0, q, _task.K);
                    SumRow(sums + Lines, registers + (Lines * T.Width), p1, q, _task.K);
                    SumRow(sums + (2 * Lines), registers + (2 * Lines * T.Width), p2, q, _task.K);
                    for (var i = 0; i < DotRows && row + i < end; i++)
                    {
                        for (var j = 0; j < Lines && s + j < _task.N; j++)
                        {
                            Store(_task, row + i, s + j, sums[(i * Lines) + j]);
                        }
                    }
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Dots(float* registers, float* p0, float* p1, float* p2, float* q, int depth)
        {
            T y00 = default, y01 = default, y02 = default, y03 = default;
            T y10 = default, y11 = default, y12 = default, y13 = default;
            T y20 = default, y21 = default, y22 = default, y23 = default;
            var q1 = q + depth;
            var q2 = q1 + depth;
            var q3 = q2 + depth;
            var k = 0;
            for (; k <= depth - T.Width; k += T.Width)
            {
                var x0 = T.Load(p0 + k);
                var x1 = T.Load(p1 + k);
                var x2 = T.Load(p2 + k);
                var column = T.Load(q + k);
                y00 = T.MultiplyAdd(x0, column, y00);
                y10 = T.MultiplyAdd(x1, column, y10);
                y20 = T.MultiplyAdd(x2, column, y20);
                column = T.Load(q1 + k);
                y01 = T.MultiplyAdd(x0, column, y01);
                y11 = T.MultiplyAdd(x1, column, y11);
                y21 = T.MultiplyAdd(x2, column, y21);
                column = T.Load(q2 + k);
                y02 = T.MultiplyAdd(x0, column, y02);
                y12 = T.MultiplyAdd(x1, column, y12);
                y22 = T.MultiplyAdd(x2, column, y22);
                column = T.Load(q3 + k);
                y03 = T.MultiplyAdd(x0, column, y03);
                y13 = T.MultiplyAdd(x1, column, y13);
                y23 = T.MultiplyAdd(x2, column, y23);
            }
            // Stored and summed elsewhere: accumulators that lived on across a call would be kept in memory throughout the loop.
            T.Store(registers, y00);
            T.Store(registers + T.Width, y01);
            T.Store(registers + (2 * T.Width), y02);
            T.Store(registers + (3 * T.Width), y03);
            T.Store(registers + (4 * T.Width), y10);
            T.Store(registers + (5 * T.Width), y11);
            T.Store(registers + (6 * T.Width), y12);
            T.Store(registers + (7 * T.Width), y13);
            T.Store(registers + (8 * T.Width), y20);
            T.Store(registers + (9 * T.Width), y21);
            T.Store(registers + (10 * T.Width), y22);
            T.Store(registers + (11 * T.Width), y23);
        }

        /// <summary>The sums of a row's four registers, and the products that did not fill one.</summary>
        private static void SumRow(float* sums, float* registers, float* p, float* q, int depth)
        {
            if (T.Width == 1)
            {
                new ReadOnlySpan<float>(registers, Lines).CopyTo(new Span<float>(sums, Lines));
            }
            else
            {
                var columns = stackalloc float[Lines * Lines];
                Panels.TransposeFour(Fold(registers, 0), Fold(registers, 1), Fold(registers, 2), Fold(registers, 3), columns, Lines);
                var sum = Vector128.Load(columns) + Vector128.Load(columns + 4) + (Vector128.Load(columns + 8) + Vector128.Load(columns + 12));
                sum.Store(sums);
            }
            for (var k = depth / T.Width * T.Width; k < depth; k++)
            {
                for (var j = 0; j < Lines; j++)
                {
                    sums[j] += p[k] * q[((nint)j * depth) + k];
                }
            }
        }

        /// <summary>A stored register, its quarters (or halves) added up.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector128<float> Fold(float* registers, int index)
        {
            var register = registers + (index * T.Width);
            var sum = Vector128.Load(register);
            for (var i = Vector128<float>.Count; i < T.Width; i += Vector128<float>.Count)
            {
                sum += Vector128.Load(register + i);
            }
            return sum;
        }
    }
}
