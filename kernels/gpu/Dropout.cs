using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed)
    {
        Debug.Assert(y.Length == x.Length && probability is >= 0 and < 1);
        ForEach((y.Length + 3) / 4,
            new DropoutKernel(View(y), View(x), 0, new DropoutMask(probability, seed), y.Length));
    }

    /// <inheritdoc/>
    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed)
    {
        Debug.Assert(dX.Length == dY.Length && probability is >= 0 and < 1);
        ForEach((dX.Length + 3) / 4,
            new DropoutKernel(View(dX.Buffer), View(dY), Keep(dX), new DropoutMask(probability, seed), dX.Length));
    }

    /// <summary>
    /// y = keep·y + D ⊙ x for keep 0 or 1; a thread takes the four elements of one draw.
    /// </summary>
    internal readonly struct DropoutKernel(ArrayView<float> y, ArrayView<float> x, int keep, DropoutMask mask,
        int count) : IElementKernel
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
}
