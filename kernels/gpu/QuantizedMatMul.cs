using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>
    /// Elements of a weight that are decoded at a time: 16 MiB of floats, which the second-level
    /// cache of a large GPU holds until they are multiplied.
    /// </summary>
    internal const int MaxDecoded = 4 << 20;

    /// <summary>The same in this backend; tests take less.</summary>
    internal int DecodedAtATime { get; init; } = MaxDecoded;

    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, QuantizedMatrix b) => Multiply(y, a, b, accumulate: false);

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b) => Multiply(y, a, b, accumulate: true);

    /// <summary>
    /// Slab by slab of stored rows: decoded into a buffer, then multiplied like any other matrix.
    /// </summary>
    private void Multiply(Matrix y, Matrix a, QuantizedMatrix b, bool accumulate)
    {
        Debug.Assert(!y.Transposed && !a.Transposed && y.Rows == a.Rows && y.Columns == b.Columns
            && a.Columns == b.Rows, $"{y} = {a} · {b}");
        Debug.Assert(y.Batch == 1 && a.Batch == 1 && b.StoredColumns % b.GroupSize == 0
            && b.GroupSize % PackedCodes.BlockSize == 0);
        var rowsAtATime = Math.Clamp(DecodedAtATime / b.StoredColumns, 1, b.StoredRows);
        using var decoded = Allocate<float>(rowsAtATime * b.StoredColumns);
        for (var row = 0; row < b.StoredRows; row += rowsAtATime)
        {
            var rows = Math.Min(rowsAtATime, b.StoredRows - row);
            var slab = new Matrix(decoded, rows, b.StoredColumns);
            ForEachThread(rows * b.StoredColumns,
                new DecodeKernel(View(decoded), View(b.Codes), View(b.Grids), row * b.StoredColumns, b.Bits,
                    b.GroupSize));
            if (b.Transposed)
            {
                // Y[:, slab] = X·Ŵ[slab, :]ᵀ
                Multiply(y with { Columns = rows, Offset = y.Offset + row }, a, slab.T, accumulate);
            }
            else
            {
                // dX += dY[:, slab]·Ŵ[slab, :]
                Multiply(y, a with { Columns = rows, Offset = a.Offset + row }, slab, accumulate || row > 0);
            }
        }
    }

    private void Multiply(Matrix y, Matrix a, Matrix b, bool accumulate) =>
        Multiply(y, a, b, new Extra(Scale: 1, accumulate ? ProductModes.Accumulate : ProductModes.None));

    /// <summary>yᵢ = ŵ of code first + i, in the order of the rows.</summary>
    internal readonly struct DecodeKernel(ArrayView<float> y, ArrayView<byte> codes, ArrayView<GroupGrid> grids,
        int first, int bits, int groupSize) : IThreadKernel
    {
        public void At(int i)
        {
            var index = first + i;
            y[i] = grids[index / groupSize]
                .Value(Code(index / PackedCodes.BlockSize * 2 * bits, index % PackedCodes.BlockSize));
        }

        /// <summary>
        /// Code i of the block that starts at a byte: see <see cref="PackedCodes"/>.
        /// </summary>
        private int Code(int block, int i)
        {
            if (bits == 8)
            {
                return codes[block + i];
            }
            if (bits == 4)
            {
                return codes[block + i % 2 * 4 + i / 4] >> i / 2 % 2 * 4 & 15;
            }
            var code = codes[block + i / 4] >> i % 4 * 2 & 3;
            if (bits == 3)
            {
                code += (codes[block + 4 + i / 8] >> i % 8 & 1) * 4;
            }
            return code;
        }
    }
}
