using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// dX = dY·Ŵ for few rows of dY: each piece of work owns a strip of columns and walks down the rows
/// of Ŵ, which are decoded in registers and meet four rows of dY there. A strip is as wide as a
/// cache line of codes of four bits, so that no line is read for two of them.
/// </summary>
internal static unsafe class QuantizedColumns
{
    /// <summary>Up to so many rows of dY this way is the faster one.</summary>
    public const int MaxLines = 16;

    // of dY in registers, with two registers of columns: 8 sums hide the latency of the multiply-adds
    private const int Lines = 4;
    private const int Strip = 128;                   // columns of one piece of work
    // rows of Ŵ: what a strip reads of them stays in the first-level cache
    private const int DepthAtATime = 128;
    // multiply-adds that one thread has done before another one is awake
    private const long SmallProduct = 1 << 15;

    /// <summary>Computes one product.</summary>
    /// <param name="task">B is not looked at.</param>
    /// <param name="weight">Ŵ [K, N]</param>
    /// <param name="scratch">Of the thread that calls.</param>
    public static void Run<V, R, TCodes>(in ProductTask task, in PackedWeight weight, Scratch scratch,
        WorkerPool workers)
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        // dY: [lines / 4, K, 4], zeros beside the last
        var q = scratch.ForProduct(Panels.Length(task.M, Lines, task.K));
        Panels.Pack(q, (nint)Lines * task.K, task.A.First, task.A.RowStride, task.A.ColumnStride, task.M, Lines,
            task.K);
        var isSmall = (long)task.M * task.N * task.K <= SmallProduct;
        WorkerPool.Run(isSmall ? null : workers, (task.N + Strip - 1) / Strip, new Job<V, R, TCodes>(task, weight, q),
            scratch);
    }

    private readonly struct Job<V, R, TCodes>(ProductTask task, PackedWeight weight, float* q) : IJob
        where V : struct where R : struct, IRegister<V> where TCodes : struct, ICodes<V>
    {
        public void Run(int block, Scratch scratch)
        {
            var sums = stackalloc float[MaxLines * Strip];
            var first = block * Strip;
            var columns = Math.Min(Strip, task.N - first);
            for (var k = 0; k < task.K; k += DepthAtATime)
            {
                for (var column = 0; column < columns; column += 2 * R.Width)
                {
                    for (var line = 0; line < task.M; line += Lines)
                    {
                        AddRows(sums + (line * Strip) + column, first + column, q + ((nint)line * task.K) + (k * Lines),
                            k, Math.Min(DepthAtATime, task.K - k));
                    }
                }
            }
            for (var line = 0; line < task.M; line++)
            {
                var y = task.Y.At(line, first);
                var z = task.Z.AtOrNull(line, first);
                for (var i = 0; i < columns; i += R.Width)
                {
                    var sum = R.Load(sums + (line * Strip) + i);
                    R.Store(y + i, z == null ? sum : R.Add(R.Load(z + i), sum));
                }
            }
        }

        /// <summary>
        /// sums[j, :] += Σ q[o, j]·ŵ[row + o, column …] over so many rows and two registers of
        /// columns, where the first row overwrites.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void AddRows(float* sums, int column, float* q, int row, int depth)
        {
            V y00 = default, y01 = default, y10 = default, y11 = default;
            V y20 = default, y21 = default, y30 = default, y31 = default;
            // past the end the last columns again; their sums are not stored
            var column1 = Math.Min(column + R.Width, weight.Columns - R.Width);
            var (part0, part1) = (column % PackedCodes.BlockSize / R.Width, column1 % PackedCodes.BlockSize / R.Width);
            byte* codes0 = weight.Block(row, column / PackedCodes.BlockSize * PackedCodes.BlockSize),
                codes1 = weight.Block(row, column1 / PackedCodes.BlockSize * PackedCodes.BlockSize);
            GroupGrid* grid0 = weight.Grid(row, column), grid1 = weight.Grid(row, column1);
            var (rowBytes, groups) = (weight.RowBytes, weight.Groups);
            for (var end = q + (depth * Lines); q < end; q += Lines)
            {
                var w0 = TCodes.Weights(codes0, part0, TCodes.First(grid0), TCodes.Second(grid0));
                var w1 = TCodes.Weights(codes1, part1, TCodes.First(grid1), TCodes.Second(grid1));
                var number = R.Of(q[0]);
                y00 = R.MultiplyAdd(number, w0, y00);
                y01 = R.MultiplyAdd(number, w1, y01);
                number = R.Of(q[1]);
                y10 = R.MultiplyAdd(number, w0, y10);
                y11 = R.MultiplyAdd(number, w1, y11);
                number = R.Of(q[2]);
                y20 = R.MultiplyAdd(number, w0, y20);
                y21 = R.MultiplyAdd(number, w1, y21);
                number = R.Of(q[3]);
                y30 = R.MultiplyAdd(number, w0, y30);
                y31 = R.MultiplyAdd(number, w1, y31);
                codes0 += rowBytes;
                codes1 += rowBytes;
                grid0 += groups;
                grid1 += groups;
            }
            var accumulate = row > 0;
            Save(sums, y00, y01, accumulate);
            Save(sums + Strip, y10, y11, accumulate);
            Save(sums + (2 * Strip), y20, y21, accumulate);
            Save(sums + (3 * Strip), y30, y31, accumulate);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Save(float* sums, V y0, V y1, bool accumulate)
        {
            R.Store(sums, accumulate ? R.Add(R.Load(sums), y0) : y0);
            R.Store(sums + R.Width, accumulate ? R.Add(R.Load(sums + R.Width), y1) : y1);
        }
    }
}
