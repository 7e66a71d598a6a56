using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns)
    {
        Debug.Assert(y != x && (long)rows * columns <= Math.Min(x.Length, y.Length));
        const int side = TransposeKernel.Side;
        ForEachGroup((rows + side - 1) / side * ((columns + side - 1) / side),
            new TransposeKernel(View(y), View(x), rows, columns));
    }

    /// <summary>
    /// A square for each group, through shared memory: its rows are read and its columns written as
    /// neighbours in memory.
    /// </summary>
    internal readonly struct TransposeKernel(ArrayView<float> y, ArrayView<float> x, int rows, int columns)
        : IGroupKernel
    {
        public const int Side = 32;

        private const int Pitch = Side + 1;                 // so that the elements of a column lie in different banks

        public void Run(int group)
        {
            var square = SharedMemory.Allocate<float>(Side * Pitch);
            var squaresAcross = (columns + Side - 1) / Side;
            var firstRow = group / squaresAcross * Side;
            var firstColumn = group % squaresAcross * Side;
            for (var i = Group.IdxX; i < Side * Side; i += Group.DimX)
            {
                var (row, column) = (i / Side, i % Side);
                if (firstRow + row < rows && firstColumn + column < columns)
                {
                    square[row * Pitch + column] = x[(firstRow + row) * columns + firstColumn + column];
                }
            }
            Group.Barrier();
            for (var i = Group.IdxX; i < Side * Side; i += Group.DimX)
            {
                var (column, row) = (i / Side, i % Side);
                if (firstRow + row < rows && firstColumn + column < columns)
                {
                    y[(firstColumn + column) * rows + firstRow + row] = square[row * Pitch + column];
                }
            }
        }
    }
}
