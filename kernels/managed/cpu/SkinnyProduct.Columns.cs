using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <content>Columns of P that lie in one piece, or are brought there: sums of columns.</content>
internal static unsafe partial class SkinnyProduct
{
    private static void RunColumns<V, R>(in ProductTask task, Scratch scratch, WorkerPool? workers) where V : struct
        where R : struct, IRegister<V>
    {
        var width = 3 * R.Width;
        var q = scratch.ForProduct(Panels.Length(task.N, Lines, task.K));
        Panels.Pack(q, (nint)Lines * task.K, task.B.First, task.B.ColumnStride, task.B.RowStride, task.N, Lines,
            task.K);
        WorkerPool.Run(workers, (task.M + width - 1) / width, new ColumnsJob<V, R>(task, q), scratch);
    }

    /// <summary>y = z + scale · value, or without z, for elements side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreLine(in ProductTask task, int row, int column, float* values, int count)
    {
        var y = task.Y.At(row, column);
        var z = task.Z.AtOrNull(row, column);
        var scale = Vector128.Create(task.Scale);
        var i = 0;
        for (; i <= count - Vector128<float>.Count; i += Vector128<float>.Count)
        {
            var value = scale * Vector128.Load(values + i);
            (z == null ? value : Vector128.Load(z + i) + value).Store(y + i);
        }
        for (; i < count; i++)
        {
            y[i] = z == null ? task.Scale * values[i] : z[i] + (task.Scale * values[i]);
        }
    }

    /// <summary>Each block: three registers of rows of P, all k, all columns of Q.</summary>
    private readonly struct ColumnsJob<V, R>(ProductTask task, float* q) : IJob where V : struct where R : struct,
        IRegister<V>
    {
        private static int Width => 3 * R.Width;

        public void Run(int block, Scratch scratch)
        {
            var firstRow = block * Width;
            var rows = Math.Min(Width, task.M - firstRow);
            var inPlace = DepthInPlace(rows);
            var packed = task.K - inPlace;
            var sums = stackalloc float[MaxLines * Width];   // [columns of Q, Width]
            Add(sums, task.A.At(firstRow, 0), task.A.ColumnStride, 0, inPlace);
            if (packed > 0)
            {
                var panel = scratch.ForPanels((long)Width * packed);
                Panels.Pack(panel, (nint)Width * packed, task.A.At(firstRow, inPlace), task.A.RowStride,
                    task.A.ColumnStride, rows, Width, packed);
                Add(sums, panel, Width, inPlace, packed);
            }
            Store(sums, firstRow, rows);
        }

        /// <summary>
        /// How many columns of P can be read where they lie. Rows past the last one do no harm, for
        /// they are not stored, but reading must not go past the end of the matrix: its last
        /// columns are packed then.
        /// </summary>
        private int DepthInPlace(int rows)
        {
            if (task.A.RowStride != 1)
            {
                return 0;
            }
            var columnsPast = (Width - rows + task.A.ColumnStride - 1) / task.A.ColumnStride;
            return (int)Math.Max(0, task.K - columnsPast);
        }

        /// <summary>
        /// sums += P[:, k … k + depth) · Q[k … k + depth, :], where k = 0 overwrites.
        /// </summary>
        private void Add(float* sums, float* p, nint stride, int k, int depth)
        {
            for (var end = k + depth; k < end; k += DepthAtATime)
            {
                for (var s = 0; s < task.N; s += Lines)
                {
                    Columns(sums + (s * Width), p, stride, q + ((nint)s * task.K) + (k * Lines),
                        Math.Min(DepthAtATime, end - k), accumulate: k > 0);
                }
                p += DepthAtATime * stride;
            }
        }

        /// <summary>Brings the sums to Y, along whichever of its lines lies in one piece.</summary>
        private void Store(float* sums, int firstRow, int rows)
        {
            // a column of one element in a row may lie either way, and Z only one
            if (task.Y.RowStride == 1 && (!task.Adds || task.Z.RowStride == 1))
            {
                for (var s = 0; s < task.N; s++)
                {
                    StoreLine(task, firstRow, s, sums + (s * Width), rows);
                }
                return;
            }
            var transposed = stackalloc float[Width * MaxLines];
            Transposition.Run(transposed, MaxLines, sums, Width, task.N, rows);
            for (var i = 0; i < rows; i++)
            {
                StoreLine(task, firstRow + i, 0, transposed + (i * MaxLines), task.N);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Columns(float* sums, float* p, nint stride, float* q, int depth, bool accumulate)
        {
            V y00 = default, y01 = default, y02 = default;
            V y10 = default, y11 = default, y12 = default;
            V y20 = default, y21 = default, y22 = default;
            V y30 = default, y31 = default, y32 = default;
            for (; depth > 0; depth--)
            {
                var x0 = R.Load(p);
                var x1 = R.Load(p + R.Width);
                var x2 = R.Load(p + (2 * R.Width));
                var number = R.Of(q[0]);
                y00 = R.MultiplyAdd(number, x0, y00);
                y01 = R.MultiplyAdd(number, x1, y01);
                y02 = R.MultiplyAdd(number, x2, y02);
                number = R.Of(q[1]);
                y10 = R.MultiplyAdd(number, x0, y10);
                y11 = R.MultiplyAdd(number, x1, y11);
                y12 = R.MultiplyAdd(number, x2, y12);
                number = R.Of(q[2]);
                y20 = R.MultiplyAdd(number, x0, y20);
                y21 = R.MultiplyAdd(number, x1, y21);
                y22 = R.MultiplyAdd(number, x2, y22);
                number = R.Of(q[3]);
                y30 = R.MultiplyAdd(number, x0, y30);
                y31 = R.MultiplyAdd(number, x1, y31);
                y32 = R.MultiplyAdd(number, x2, y32);
                p += stride;
                q += Lines;
            }
            var width = 3 * R.Width;
            Save(sums, y00, y01, y02, accumulate);
            Save(sums + width, y10, y11, y12, accumulate);
            Save(sums + (2 * width), y20, y21, y22, accumulate);
            Save(sums + (3 * width), y30, y31, y32, accumulate);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Save(float* sums, V y0, V y1, V y2, bool accumulate)
        {
            R.Store(sums, accumulate ? R.Add(R.Load(sums), y0) : y0);
            sums += R.Width;
            R.Store(sums, accumulate ? R.Add(R.Load(sums), y1) : y1);
            sums += R.Width;
            R.Store(sums, accumulate ? R.Add(R.Load(sums), y2) : y2);
        }
    }
}
