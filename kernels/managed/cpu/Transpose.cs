using System.Diagnostics;

namespace LoraScratch.Kernels.Cpu;

/// <content>Transposition.</content>
internal sealed unsafe partial class CpuKernels
{
    /// <summary>Y = Xᵀ</summary>
    /// <param name="y">[columns, rows]</param>
    /// <param name="x">[rows, columns]</param>
    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns)
    {
        Debug.Assert(y != x && (long)rows * columns <= Math.Min(x.Length, y.Length));
        Workers.Run((columns + TransposeJob.Side - 1) / TransposeJob.Side,
            new TransposeJob(Pointer(y), Pointer(x), rows, columns));
    }

    /// <summary>
    /// Each block: a strip of rows of y, square by square, so that the lines of both matrices stay
    /// in the cache while they are used.
    /// </summary>
    private readonly struct TransposeJob(float* y, float* x, int rows, int columns) : IJob
    {
        public const int Side = 64;

        public void Run(int block, Scratch scratch)
        {
            var column = block * Side;
            for (var row = 0; row < rows; row += Side)
            {
                Transposition.Run(y + ((nint)column * rows) + row, rows, x + ((nint)row * columns) + column, columns,
                    Math.Min(Side, rows - row), Math.Min(Side, columns - column));
            }
        }
    }
}
