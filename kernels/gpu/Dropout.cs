using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows)
    {
        Debug.Assert(y.Length == x.Length && probability is >= 0 and < 1);
        Drop(y, x, 0, new DropoutMask(probability, seed), rows);
    }

    /// <inheritdoc/>
    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows)
    {
        Debug.Assert(dX.Length == dY.Length && probability is >= 0 and < 1);
        Drop(dX.Buffer, dY, Keep(dX), new DropoutMask(probability, seed), rows);
    }

    private void Drop(DeviceBuffer<float> y, DeviceBuffer<float> x, int keep, DropoutMask mask, MaskRows? rows)
    {
        if (rows is { } some)
        {
            ForEachThread(y.Length,
                new DropoutOfRowsKernel(View(y), View(x), keep, mask, View(some.Rows), some.Columns));
        }
        else
        {
            ForEachThread((y.Length + 3) / 4, new DropoutKernel(View(y), View(x), keep, mask, y.Length));
        }
    }

    /// <summary>
    /// y = keep·y + D ⊙ x for keep 0 or 1; a thread takes the four elements of one draw.
    /// </summary>
    internal readonly struct DropoutKernel(ArrayView<float> y, ArrayView<float> x, int keep, DropoutMask mask,
        int count) : IThreadKernel
    {
        public void At(int i)
        {
            var factors = mask.At((ulong)i);
            if (4 * i + 4 <= count)
            {
                ArrayView<Float4> to = y.Cast<Float4>(), from = x.Cast<Float4>();
                var product = factors * from[i];
                to[i] = keep == 0 ? product : to[i] + product;
                return;
            }
            Store(4 * i, factors.X);
            if (4 * i + 1 < count)
            {
                Store(4 * i + 1, factors.Y);
            }
            if (4 * i + 2 < count)
            {
                Store(4 * i + 2, factors.Z);
            }
        }

        private void Store(int i, float factor) => y[i] = (keep == 0 ? 0 : y[i]) + factor * x[i];
    }

    /// <summary>
    /// The same for some rows of a larger matrix, each with its own row's draws there. A thread
    /// takes one element: a row's length need not be a multiple of a draw's four.
    /// </summary>
    internal readonly struct DropoutOfRowsKernel(ArrayView<float> y, ArrayView<float> x, int keep, DropoutMask mask,
        ArrayView<int> rows, int columns) : IThreadKernel
    {
        public void At(int i)
        {
            var draw = (ulong)rows[i / columns] * (ulong)columns + (ulong)(i % columns);
            var factors = mask.At(draw >> 2);
            var word = (int)(draw & 3);
            var factor = word == 0 ? factors.X : word == 1 ? factors.Y : word == 2 ? factors.Z : factors.W;
            y[i] = (keep == 0 ? 0 : y[i]) + factor * x[i];
        }
    }
}
