using System.Diagnostics;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <content>Matrix products.</content>
internal sealed unsafe partial class CpuKernels
{
    // Matrices of a batch with fewer multiply-adds than this are each computed by one thread; larger ones, by all of
    // them one after another.
    private const long LargeProduct = 1 << 23;

    // So few rows beside a much larger Wᵀ are the ones to be packed: xWᵀ is computed as the transpose of Wxᵀ,
    // with the rows of W read where they lie, unless these are short.
    private const int FewRows = 192, MuchLarger = 4;

    // The panels of a deeper second factor would drive those of the first out of the second-level cache.
    private const int MaxSecondDepth = 64;

    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) => Multiply(y, null, a, b, scale);

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) => Multiply(y, y, a, b, scale);

    /// <inheritdoc/>
    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, z, a, b, scale);

    /// <inheritdoc/>
    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale)
    {
        Debug.Assert(!y.Transposed && y.Rows == c.Rows && y.Columns == d.Columns && c.Columns == d.Rows
            && y.Batch == 1 && c.Batch == 1 && d.Batch == 1, $"{y} += {c} · {d}");
        var first = new ProductTask(Whole(y), z is { } some ? Whole(some) : default, Whole(a), Whole(b), y.Rows,
            y.Columns, a.Columns, scale: 1, IndependentRows.Of(a));
        if (SkinnyProduct.Fits(first) || a.Columns == 0 || c.Columns > MaxSecondDepth)
        {
            Multiply(y, z, a, b, scale: 1);
            Multiply(y, y, c, d, scale);
        }
        else
        {
            Run(InstructionSet, first.Plus(new ProductTerm(Whole(c), Whole(d), c.Columns, scale)),
                Workers.CallerScratch, Workers);
        }
    }

    /// <summary>
    /// Y = scale · A·B, or Y += scale · A·B, on this thread alone: for jobs that compute many small
    /// products. Matrices are row-major with their stored rows a stride apart; a transposed one is
    /// stored as [columns, rows]. Uses all areas of the scratch memory but
    /// <see cref="Scratch.ForKernel"/>.
    /// </summary>
    /// <param name="y">[m, n]</param>
    /// <param name="a">[m, k], or [k, m] if transposed</param>
    /// <param name="aStride">Elements between stored rows.</param>
    /// <param name="aTransposed">Whether a is stored transposed.</param>
    /// <param name="b">[k, n], or [n, k] if transposed</param>
    /// <param name="bStride">Elements between stored rows.</param>
    /// <param name="bTransposed">Whether b is stored transposed.</param>
    /// <param name="m">Rows of y.</param>
    /// <param name="n">Columns of y.</param>
    /// <param name="k">The inner dimension.</param>
    /// <param name="scratch">Of the thread that calls.</param>
    internal static void SingleThreadProduct(InstructionSet set, float* y, int yStride, float* a, int aStride,
        bool aTransposed,
        float* b, int bStride, bool bTransposed, int m, int n, int k, float scale, bool accumulate, Scratch scratch)
    {
        var output = Operand.RowMajor(y, yStride, false);
        var task = new ProductTask(output, accumulate ? output : default, Operand.RowMajor(a, aStride, aTransposed),
            Operand.RowMajor(b, bStride, bTransposed), m, n, k, scale);
        Run(set, task, scratch, workers: null);
    }

    private void Multiply(Matrix y, Matrix? z, Matrix a, Matrix b, float scale)
    {
        Debug.Assert(z is not { } added || (!added.Transposed && added.Rows == y.Rows && added.Columns == y.Columns
            && added.Batch == y.Batch), $"{y} = {z} + {a} · {b}");
        Debug.Assert(!y.Transposed && y.Rows == a.Rows && y.Columns == b.Columns && a.Columns == b.Rows,
            $"{y} = {a} · {b}");
        Debug.Assert(y.Batch == a.Batch && y.Batch == b.Batch && (y.Batch == 1 || y.BatchStride != 0));
        var job = new BatchJob(InstructionSet, First(y), z is { } some ? First(some) : null, First(a), First(b), y,
            z ?? default, a, b, scale);
        if (y.Batch > 1 && (long)y.Rows * y.Columns * a.Columns < LargeProduct)
        {
            Workers.Run(y.Batch, job);
            return;
        }
        for (var i = 0; i < y.Batch; i++)
        {
            Run(InstructionSet, job.Task(i), Workers.CallerScratch, Workers);
        }
    }

    private static Operand Whole(Matrix matrix) =>
        Operand.RowMajor(First(matrix), matrix.RowStride, matrix.Transposed);

    private static float* First(Matrix matrix) => Pointer(matrix.Buffer) + matrix.Offset;

    private static void Run(InstructionSet set, in ProductTask given, Scratch scratch, WorkerPool? workers)
    {
        if (given.M == 0 || given.N == 0)
        {
            return;
        }
        var isSkinny = SkinnyProduct.Fits(given);
        // as few rows or as many, each number is summed in the order of k
        var isFewRows = !isSkinny && given.M <= FewRows && given.N >= MuchLarger * given.M && given.B.RowStride == 1
            && given.K >= PackedProduct.Deep;
        var task = isFewRows ? given.T : given;
        switch (set)
        {
            case InstructionSet.Avx512 when Tile8<Vector512<float>, Register512>.Suits(task.N):
                Run<Vector512<float>, Register512, Tile8<Vector512<float>, Register512>>(task, isSkinny, scratch,
                    workers);
                break;
            case InstructionSet.Avx512:
                Run<Vector512<float>, Register512, Tile12<Vector512<float>, Register512>>(task, isSkinny, scratch,
                    workers);
                break;
            case InstructionSet.Avx2:
                Run<Vector<float>, Register, Tile6<Vector<float>, Register>>(task, isSkinny, scratch, workers);
                break;
            default:
                if (Vector.IsHardwareAccelerated)
                {
                    Run<Vector<float>, Register, Tile4<Vector<float>, Register>>(task, isSkinny, scratch, workers);
                }
                else
                {
                    Run<float, RegisterOfOne, Tile4<float, RegisterOfOne>>(task, isSkinny, scratch, workers);
                }
                break;
        }
    }

    private static void Run<V, R, TTile>(in ProductTask task, bool isSkinny, Scratch scratch, WorkerPool? workers)
        where V : struct where R : struct, IRegister<V> where TTile : ITile
    {
        if (task.K == 0)
        {
            StoreEmptySums(task);
        }
        else if (isSkinny)
        {
            SkinnyProduct.Run<V, R>(task, scratch, workers);
        }
        else
        {
            PackedProduct.Run<TTile>(task, scratch, workers);
        }
    }

    /// <summary>An empty sum is 0: Y = Z.</summary>
    private static void StoreEmptySums(in ProductTask task)
    {
        for (var i = 0; i < task.M; i++)
        {
            for (var j = 0; j < task.N; j++)
            {
                *task.Y.At(i, j) = task.Adds ? *task.Z.At(i, j) : 0;
            }
        }
    }

    /// <summary>The matrices of a batch, one a block.</summary>
    private readonly struct BatchJob(
        InstructionSet set, float* firstY, float* firstZ, float* firstA, float* firstB, in Matrix y, in Matrix z,
        in Matrix a, in Matrix b, float scale) : IJob
    {
        private readonly nint strideY = y.BatchStride, strideZ = z.BatchStride, strideA = a.BatchStride,
            strideB = b.BatchStride;
        private readonly ProductTask first = new(Operand.RowMajor(firstY, y.RowStride, false),
            firstZ == null ? default : Operand.RowMajor(firstZ, z.RowStride, false),
            Operand.RowMajor(firstA, a.RowStride, a.Transposed), Operand.RowMajor(firstB, b.RowStride, b.Transposed),
            y.Rows, y.Columns, a.Columns, scale, y.Batch == 1 ? IndependentRows.Of(a) : 0);

        public ProductTask Task(int i) => new(Shift(first.Y, i * strideY),
            first.Adds ? Shift(first.Z, i * strideZ) : default, Shift(first.A, i * strideA),
            Shift(first.B, i * strideB), first.M, first.N, first.K, first.Scale, first.AsRows);

        public void Run(int block, Scratch scratch) => CpuKernels.Run(set, Task(block), scratch, workers: null);

        private static Operand Shift(Operand operand, nint offset) =>
            new(operand.First + offset, operand.RowStride, operand.ColumnStride);
    }
}
