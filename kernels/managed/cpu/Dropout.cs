using System.Diagnostics;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed)
    {
        Debug.Assert(y.Length == x.Length && probability is >= 0 and < 1);
        Workers.Run(BlocksOf(BlockElements, y.Length),
            new DropoutJob(Pointer(y), Pointer(x), y.Length, new DropoutMask(probability, seed, InstructionSet), Wide,
                accumulate: false));
    }

    /// <inheritdoc/>
    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed)
    {
        Debug.Assert(dX.Length == dY.Length && probability is >= 0 and < 1);
        Workers.Run(BlocksOf(BlockElements, dX.Length),
            new DropoutJob(Pointer(dX.Buffer), Pointer(dY), dX.Length,
                new DropoutMask(probability, seed, InstructionSet), Wide, accumulate: !dX.IsEmpty));
    }

    private readonly struct DropoutJob(float* y, float* x, int count, DropoutMask mask, bool wide, bool accumulate)
        : IJob
    {
        private const int Piece = 1024;      // factors on the stack at a time

        public void Run(int block, Scratch scratch)
        {
            var factors = stackalloc float[Piece];
            var start = (long)block * BlockElements;
            var end = Math.Min(start + BlockElements, count);
            for (var at = start; at < end; at += Piece)
            {
                var length = (int)Math.Min(Piece, end - at);
                mask.Fill(factors, (ulong)at, length);
                if (accumulate)
                {
                    Apply(new AddMultiplyKernel(y + at, x + at, factors), length);
                }
                else
                {
                    Apply(new MultiplyKernel(y + at, x + at, factors), length);
                }
            }
        }

        private void Apply<TKernel>(TKernel kernel, int length) where TKernel : unmanaged, IElementKernel
        {
            if (wide)
            {
                RunElements<Lanes512, TKernel>(kernel, 0, length);
            }
            else
            {
                RunElements<Lanes, TKernel>(kernel, 0, length);
            }
        }
    }
}
