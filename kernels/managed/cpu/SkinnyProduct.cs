using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Products with few rows or few columns: x·A of a small rank, its gradients, a single row. Packing the large matrix would cost as much as the product
/// itself, so it is read where it lies, and only the small one is packed.
/// <para>
/// Written for few columns, Y [L, S] = P [L, K] · Q [K, S]; few rows are the same product transposed. What neighbours what in P decides the form: where a
/// row of P lies in one piece, SIMD runs along k and Y is made of dot products; where a column does, SIMD runs along its rows and the numbers of Q are
/// broadcast.
/// </para>
/// </summary>
internal static unsafe class SkinnyProduct
{
    /// <summary>Up to so many rows or columns this way is the faster one.</summary>
    private const int MostLines = 16;

    private const int DotRows = 3, Lines = 4;        // of Y in registers: 12 accumulators hide the latency of the multiply-adds
    private const int RowsOfDotBlock = 48;           // done by one piece of work
    private const int DepthAtATime = 512;

    /// <summary>Whether a product has the form that this class is for.</summary>
    public static bool Fits(in ProductTask task) => Math.Min(task.M, task.N) <= MostLines;

    /// <summary>Computes one product, on the workers, or on this thread where there are none.</summary>
    public static void Run<T>(in ProductTask task, Scratch scratch, WorkerPool? workers) where T : struct, ILanes<T>
    {
        var tall = task.N <= task.M ? task : task.T;
        if (tall.A.ColumnStride == 1)
        {
            RunDots<T>(tall, scratch, workers);
        }
        else
        {
            RunColumns<T>(tall, scratch, workers);
        }
    }

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

    private static void RunColumns<T>(in ProductTask task, Scratch scratch, WorkerPool? workers) where T : struct, ILanes<T>
    {
        var width = 3 * T.Width;
        var whole = task.M / width * width;
        var rest = task.M - whole;
        var q = scratch.ForProduct(Panels.Length(task.N, Lines, task.K) + Panels.Length(rest, width, task.K));
        Panels.Pack(q, task.B.First, task.B.ColumnStride, task.B.RowStride, task.N, Lines, task.K);
        // The last rows of P do not fill their registers where they lie.
        var lastRows = q + Panels.Length(task.N, Lines, task.K);
        Panels.Pack(lastRows, task.A.At(whole, 0), task.A.RowStride, task.A.ColumnStride, rest, width, task.K);
        WorkerPool.Run(workers, (task.M + width - 1) / width, new ColumnsJob<T>(task, q, lastRows), scratch);
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

    /// <summary>Each block: three registers of rows of P, all k, all columns of Q.</summary>
    private readonly struct ColumnsJob<T>(in ProductTask task, float* q, float* lastRows) : IJob where T : struct, ILanes<T>
    {
        private readonly ProductTask _task = task;
        private readonly float* _q = q, _lastRows = lastRows;

        public void Run(int block, Scratch scratch)
        {
            var width = 3 * T.Width;
            var firstRow = block * width;
            var whole = firstRow + width <= _task.M;
            var p = whole ? _task.A.At(firstRow, 0) : _lastRows;
            var stride = whole ? _task.A.ColumnStride : width;
            var sums = stackalloc float[MostLines * width];   // [columns of Q, width]
            for (var k = 0; k < _task.K; k += DepthAtATime)
            {
                var depth = Math.Min(DepthAtATime, _task.K - k);
                for (var s = 0; s < _task.N; s += Lines)
                {
                    Columns(sums + (s * width), p + (k * stride), stride, _q + ((nint)s * _task.K) + (k * Lines), depth, accumulate: k > 0);
                }
            }
            for (var s = 0; s < _task.N; s++)
            {
                for (var i = 0; i < width && firstRow + i < _task.M; i++)
                {
                    Store(_task, firstRow + i, s, sums[(s * width) + i]);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Columns(float* sums, float* p, nint stride, float* q, int depth, bool accumulate)
        {
            T y00 = default, y01 = default, y02 = default;
            T y10 = default, y11 = default, y12 = default;
            T y20 = default, y21 = default, y22 = default;
            T y30 = default, y31 = default, y32 = default;
            for (; depth > 0; depth--)
            {
                var x0 = T.Load(p);
                var x1 = T.Load(p + T.Width);
                var x2 = T.Load(p + (2 * T.Width));
                var number = T.Of(q[0]);
                y00 = T.MultiplyAdd(number, x0, y00);
                y01 = T.MultiplyAdd(number, x1, y01);
                y02 = T.MultiplyAdd(number, x2, y02);
                number = T.Of(q[1]);
                y10 = T.MultiplyAdd(number, x0, y10);
                y11 = T.MultiplyAdd(number, x1, y11);
                y12 = T.MultiplyAdd(number, x2, y12);
                number = T.Of(q[2]);
                y20 = T.MultiplyAdd(number, x0, y20);
                y21 = T.MultiplyAdd(number, x1, y21);
                y22 = T.MultiplyAdd(number, x2, y22);
                number = T.Of(q[3]);
                y30 = T.MultiplyAdd(number, x0, y30);
                y31 = T.MultiplyAdd(number, x1, y31);
                y32 = T.MultiplyAdd(number, x2, y32);
                p += stride;
                q += Lines;
            }
            var width = 3 * T.Width;
            Save(sums, y00, y01, y02, accumulate);
            Save(sums + width, y10, y11, y12, accumulate);
            Save(sums + (2 * width), y20, y21, y22, accumulate);
            Save(sums + (3 * width), y30, y31, y32, accumulate);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Save(float* sums, T y0, T y1, T y2, bool accumulate)
        {
            T.Store(sums, accumulate ? T.Load(sums) + y0 : y0);
            sums += T.Width;
            T.Store(sums, accumulate ? T.Load(sums) + y1 : y1);
            sums += T.Width;
            T.Store(sums, accumulate ? T.Load(sums) + y2 : y2);
        }
    }
}
