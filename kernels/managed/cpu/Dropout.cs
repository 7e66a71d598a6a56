using System.Diagnostics;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows)
    {
        Debug.Assert(y.Length == x.Length && probability is >= 0 and < 1);
        Workers.Run(BlocksOf(BlockElements, y.Length),
            new DropoutJob(Pointer(y), Pointer(x), y.Length, new DropoutMask(probability, seed, InstructionSet), rows,
                Wide, accumulate: false));
    }

    /// <inheritdoc/>
    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows)
    {
        Debug.Assert(dX.Length == dY.Length && probability is >= 0 and < 1);
        Workers.Run(BlocksOf(BlockElements, dX.Length),
            new DropoutJob(Pointer(dX.Buffer), Pointer(dY), dX.Length,
                new DropoutMask(probability, seed, InstructionSet), rows, Wide, accumulate: !dX.IsEmpty));
    }

    private readonly struct DropoutJob(float* y, float* x, int count, DropoutMask mask, MaskRows? rows, bool wide,
        bool accumulate) : IJob
    {
        private const int Piece = 1024;      // factors on the stack at a time

        private readonly int* row = rows is { } some ? Pointer(some.Rows) : null;
        private readonly long columns = rows?.Columns ?? count;

        public void Run(int block, Scratch scratch)
        {
            // a row's first draw need not be the first of its four: up to three factors before it are filled in
            var filled = stackalloc float[Piece + DropoutMask.Group];
            var start = (long)block * BlockElements;
            var end = Math.Min(start + BlockElements, count);
            for (var at = start; at < end;)
            {
                var (i, j) = Math.DivRem(at, columns);
                var length = (int)Math.Min(Math.Min(Piece, end - at), columns - j);
                var draw = row == null ? at : row[i] * columns + j;
                var before = (int)(draw % 4);
                mask.Fill(filled, (ulong)(draw - before), before + length);
                var factors = filled + before;
                if (accumulate)
                {
                    Apply(new AddMultiplyKernel(new(y + at), new(x + at), new(factors)), length);
                }
                else
                {
                    Apply(new MultiplyKernel(new(y + at), new(x + at), new(factors)), length);
                }
                at += length;
            }
        }

        private void Apply<TKernel>(TKernel kernel, int length) where TKernel : struct, IElementKernel
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
