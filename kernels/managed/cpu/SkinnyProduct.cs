using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

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
    public static void Run<TRegisters, TRegister>(in ProductTask task, Scratch scratch, WorkerPool? workers)
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        var tall = task.N <= task.M ? task : task.T;
        if (tall.A.ColumnStride == 1)
        {
            RunDots<TRegisters, TRegister>(tall, scratch, workers);
        }
        else
        {
            RunColumns<TRegisters, TRegister>(tall, scratch, workers);
        }
    }

    private static void RunDots<TRegisters, TRegister>(in ProductTask task, Scratch scratch, WorkerPool? workers)
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        var lines = RoundUp(task.N, Lines);
        var q = scratch.ForProduct((long)lines * task.K);   // [lines, K], zeros below the last
        for (var s = 0; s < task.N; s++)
        {
            Panels.CopyLine(q + ((nint)s * task.K), task.B.At(0, s), task.B.RowStride, task.K);
        }
        new Span<float>(q + ((nint)task.N * task.K), (lines - task.N) * task.K).Clear();
        var blocks = (task.M + RowsOfDotBlock - 1) / RowsOfDotBlock;
        WorkerPool.Run(workers, blocks, new DotJob<TRegisters, TRegister>(task, q), scratch);
    }

    private static void RunColumns<TRegisters, TRegister>(in ProductTask task, Scratch scratch, WorkerPool? workers)
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        var width = 3 * TRegisters.Width;
        var whole = task.M / width * width;
        var rest = task.M - whole;
        var q = scratch.ForProduct(Panels.Length(task.N, Lines, task.K) + Panels.Length(rest, width, task.K));
        Panels.Pack(q, task.B.First, task.B.ColumnStride, task.B.RowStride, task.N, Lines, task.K);
        // The last rows of P do not fill their registers where they lie.
        var lastRows = q + Panels.Length(task.N, Lines, task.K);
        Panels.Pack(lastRows, task.A.At(whole, 0), task.A.RowStride, task.A.ColumnStride, rest, width, task.K);
        WorkerPool.Run(workers, (task.M + width - 1) / width, new ColumnsJob<TRegisters, TRegister>(task, q, lastRows), scratch);
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
    private readonly struct DotJob<TRegisters, TRegister>(in ProductTask task, float* q) : IJob
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        private readonly ProductTask _task = task;
        private readonly float* _q = q;

        public void Run(int block, Scratch scratch)
        {
            var registers = stackalloc float[DotRows * Lines * TRegisters.Width];
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
                    SumRow(sums + Lines, registers + (Lines * TRegisters.Width), p1, q, _task.K);
                    SumRow(sums + (2 * Lines), registers + (2 * Lines * TRegisters.Width), p2, q, _task.K);
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
            TRegister y00 = default, y01 = default, y02 = default, y03 = default;
            TRegister y10 = default, y11 = default, y12 = default, y13 = default;
            TRegister y20 = default, y21 = default, y22 = default, y23 = default;
            var q1 = q + depth;
            var q2 = q1 + depth;
            var q3 = q2 + depth;
            var k = 0;
            for (; k <= depth - TRegisters.Width; k += TRegisters.Width)
            {
                var x0 = TRegisters.Load(p0 + k);
                var x1 = TRegisters.Load(p1 + k);
                var x2 = TRegisters.Load(p2 + k);
                var column = TRegisters.Load(q + k);
                y00 = TRegisters.MultiplyAdd(x0, column, y00);
                y10 = TRegisters.MultiplyAdd(x1, column, y10);
                y20 = TRegisters.MultiplyAdd(x2, column, y20);
                column = TRegisters.Load(q1 + k);
                y01 = TRegisters.MultiplyAdd(x0, column, y01);
                y11 = TRegisters.MultiplyAdd(x1, column, y11);
                y21 = TRegisters.MultiplyAdd(x2, column, y21);
                column = TRegisters.Load(q2 + k);
                y02 = TRegisters.MultiplyAdd(x0, column, y02);
                y12 = TRegisters.MultiplyAdd(x1, column, y12);
                y22 = TRegisters.MultiplyAdd(x2, column, y22);
                column = TRegisters.Load(q3 + k);
                y03 = TRegisters.MultiplyAdd(x0, column, y03);
                y13 = TRegisters.MultiplyAdd(x1, column, y13);
                y23 = TRegisters.MultiplyAdd(x2, column, y23);
            }
            // Stored and summed elsewhere: accumulators that lived on across a call would be kept in memory throughout the loop.
            TRegisters.Store(registers, y00);
            TRegisters.Store(registers + TRegisters.Width, y01);
            TRegisters.Store(registers + (2 * TRegisters.Width), y02);
            TRegisters.Store(registers + (3 * TRegisters.Width), y03);
            TRegisters.Store(registers + (4 * TRegisters.Width), y10);
            TRegisters.Store(registers + (5 * TRegisters.Width), y11);
            TRegisters.Store(registers + (6 * TRegisters.Width), y12);
            TRegisters.Store(registers + (7 * TRegisters.Width), y13);
            TRegisters.Store(registers + (8 * TRegisters.Width), y20);
            TRegisters.Store(registers + (9 * TRegisters.Width), y21);
            TRegisters.Store(registers + (10 * TRegisters.Width), y22);
            TRegisters.Store(registers + (11 * TRegisters.Width), y23);
        }

        /// <summary>The sums of a row's four registers, and the products that did not fill one.</summary>
        private static void SumRow(float* sums, float* registers, float* p, float* q, int depth)
        {
            if (TRegisters.Width == 1)
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
            for (var k = depth / TRegisters.Width * TRegisters.Width; k < depth; k++)
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
            var register = registers + (index * TRegisters.Width);
            var sum = Vector128.Load(register);
            for (var i = Vector128<float>.Count; i < TRegisters.Width; i += Vector128<float>.Count)
            {
                sum += Vector128.Load(register + i);
            }
            return sum;
        }
    }

    /// <summary>Each block: three registers of rows of P, all k, all columns of Q.</summary>
    private readonly struct ColumnsJob<TRegisters, TRegister>(in ProductTask task, float* q, float* lastRows) : IJob
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        private readonly ProductTask _task = task;
        private readonly float* _q = q, _lastRows = lastRows;

        public void Run(int block, Scratch scratch)
        {
            var width = 3 * TRegisters.Width;
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
            TRegister y00 = default, y01 = default, y02 = default;
            TRegister y10 = default, y11 = default, y12 = default;
            TRegister y20 = default, y21 = default, y22 = default;
            TRegister y30 = default, y31 = default, y32 = default;
            for (; depth > 0; depth--)
            {
                var x0 = TRegisters.Load(p);
                var x1 = TRegisters.Load(p + TRegisters.Width);
                var x2 = TRegisters.Load(p + (2 * TRegisters.Width));
                var number = TRegisters.Broadcast(q[0]);
                y00 = TRegisters.MultiplyAdd(number, x0, y00);
                y01 = TRegisters.MultiplyAdd(number, x1, y01);
                y02 = TRegisters.MultiplyAdd(number, x2, y02);
                number = TRegisters.Broadcast(q[1]);
                y10 = TRegisters.MultiplyAdd(number, x0, y10);
                y11 = TRegisters.MultiplyAdd(number, x1, y11);
                y12 = TRegisters.MultiplyAdd(number, x2, y12);
                number = TRegisters.Broadcast(q[2]);
                y20 = TRegisters.MultiplyAdd(number, x0, y20);
                y21 = TRegisters.MultiplyAdd(number, x1, y21);
                y22 = TRegisters.MultiplyAdd(number, x2, y22);
                number = TRegisters.Broadcast(q[3]);
                y30 = TRegisters.MultiplyAdd(number, x0, y30);
                y31 = TRegisters.MultiplyAdd(number, x1, y31);
                y32 = TRegisters.MultiplyAdd(number, x2, y32);
                p += stride;
                q += Lines;
            }
            var width = 3 * TRegisters.Width;
            Save(sums, y00, y01, y02, accumulate);
            Save(sums + width, y10, y11, y12, accumulate);
            Save(sums + (2 * width), y20, y21, y22, accumulate);
            Save(sums + (3 * width), y30, y31, y32, accumulate);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Save(float* sums, TRegister y0, TRegister y1, TRegister y2, bool accumulate)
        {
            var one = TRegisters.Broadcast(1);
            TRegisters.Store(sums, accumulate ? TRegisters.MultiplyAdd(one, TRegisters.Load(sums), y0) : y0);
            sums += TRegisters.Width;
            TRegisters.Store(sums, accumulate ? TRegisters.MultiplyAdd(one, TRegisters.Load(sums), y1) : y1);
            sums += TRegisters.Width;
            TRegisters.Store(sums, accumulate ? TRegisters.MultiplyAdd(one, TRegisters.Load(sums), y2) : y2);
        }
    }
}
