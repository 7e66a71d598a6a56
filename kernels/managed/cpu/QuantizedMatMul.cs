using System.Diagnostics;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <content>Products with packed weights.</content>
internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, QuantizedMatrix b) => Multiply(y, a, b, accumulate: false);

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b) => Multiply(y, a, b, accumulate: true);

    private void Multiply(Matrix y, Matrix a, QuantizedMatrix b, bool accumulate)
    {
        Debug.Assert(!y.Transposed && !a.Transposed && y.Rows == a.Rows && y.Columns == b.Columns
            && a.Columns == b.Rows, $"{y} = {a} · {b}");
        Debug.Assert(y.Batch == 1 && a.Batch == 1 && b.StoredColumns % b.GroupSize == 0
            && b.GroupSize % PackedCodes.BlockSize == 0);
        if (y.Rows == 0)
        {
            return;
        }
        var output = Operand.RowMajor(First(y), y.RowStride, false);
        var task = new ProductTask(output, accumulate ? output : default,
            Operand.RowMajor(First(a), a.RowStride, false), b: default, y.Rows, y.Columns, a.Columns, scale: 1,
            IndependentRows.Of(a));
        var weight = new PackedWeight(b);
        switch (InstructionSet)
        {
            case InstructionSet.Avx512 when Tile8<Vector512<float>, Register512>.Suits(task.N):
                Run<Vector512<float>, Register512, Tile8<Vector512<float>, Register512>,
                    Codes512<TwoBits>, Codes512<ThreeBits>, Codes512<FourBits>, Codes512<EightBits>>(task, weight, b);
                break;
            case InstructionSet.Avx512:
                Run<Vector512<float>, Register512, Tile12<Vector512<float>, Register512>,
                    Codes512<TwoBits>, Codes512<ThreeBits>, Codes512<FourBits>, Codes512<EightBits>>(task, weight, b);
                break;
            case InstructionSet.Avx2 when Vector<float>.Count == Vector256<float>.Count:
                Run<Vector<float>, Register, Tile6<Vector<float>, Register>,
                    Codes256<TwoBits>, Codes256<ThreeBits>, Codes256<FourBits>, Codes256<EightBits>>(task, weight, b);
                break;
            default:
                if (Vector.IsHardwareAccelerated)
                {
                    Run<Vector<float>, Register, Tile4<Vector<float>, Register>>(task, weight, b);
                }
                else
                {
                    Run<float, RegisterOfOne, Tile4<float, RegisterOfOne>>(task, weight, b);
                }
                break;
        }
    }

    private void Run<V, R, TTile>(in ProductTask task, in PackedWeight weight, in QuantizedMatrix b) where V : struct
        where R : struct, IRegister<V> where TTile : ITile =>
        Run<V, R, TTile, ScalarCodes<V, R, TwoBits>, ScalarCodes<V, R, ThreeBits>, ScalarCodes<V, R, FourBits>,
            ScalarCodes<V, R, EightBits>>(task, weight, b);

    private void Run<V, R, TTile, TCodes2, TCodes3, TCodes4, TCodes8>(in ProductTask task, in PackedWeight weight,
        in QuantizedMatrix b)
        where V : struct where R : struct, IRegister<V> where TTile : ITile
        where TCodes2 : struct, ICodes<V> where TCodes3 : struct, ICodes<V> where TCodes4 : struct, ICodes<V>
        where TCodes8 : struct, ICodes<V>
    {
        switch (b.Bits)
        {
            case 2:
                Run<V, R, TTile, TCodes2>(task, weight, b.Transposed);
                break;
            case 3:
                Run<V, R, TTile, TCodes3>(task, weight, b.Transposed);
                break;
            case 4:
                Run<V, R, TTile, TCodes4>(task, weight, b.Transposed);
                break;
            default:
                Debug.Assert(b.Bits == 8);
                Run<V, R, TTile, TCodes8>(task, weight, b.Transposed);
                break;
        }
    }

    private void Run<V, R, TTile, TCodes>(in ProductTask task, in PackedWeight weight, bool transposed)
        where V : struct where R : struct, IRegister<V> where TTile : ITile where TCodes : struct, ICodes<V>
    {
        if (transposed && task.RowsOfForm <= QuantizedDots.MaxLines)
        {
            for (var row = 0; row < task.M; row += QuantizedDots.MaxLines)
            {
                QuantizedDots.Run<V, R, TCodes>(task.Part(row, Math.Min(QuantizedDots.MaxLines, task.M - row)), weight,
                    Workers.CallerScratch, Workers);
            }
        }
        else if (!transposed && task.RowsOfForm <= QuantizedColumns.MaxLines)
        {
            for (var row = 0; row < task.M; row += QuantizedColumns.MaxLines)
            {
                QuantizedColumns.Run<V, R, TCodes>(task.Part(row, Math.Min(QuantizedColumns.MaxLines, task.M - row)),
                    weight, Workers.CallerScratch, Workers);
            }
        }
        else
        {
            PackedProduct.Run<TTile, QuantizedFactor<V, R, TCodes>>(task, new(weight, transposed),
                Workers.CallerScratch, Workers);
        }
    }
}
