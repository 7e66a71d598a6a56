using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels)
    {
        Debug.Assert(losses.Length == labels.Length);
        if (losses.Length == 0)
        {
            return;
        }
        Debug.Assert(logits.Length % losses.Length == 0);
        var classes = logits.Length / losses.Length;
        ForEachRow(losses.Length, classes, new CrossEntropyKernel(View(losses), View(logits), View(labels), classes));
    }

    /// <inheritdoc/>
    public void AddCrossEntropyGradient(Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits,
        DeviceBuffer<int> labels)
    {
        Debug.Assert(dLosses.Length == labels.Length && logits.Length == dLogits.Length);
        if (labels.Length == 0)
        {
            return;
        }
        Debug.Assert(logits.Length % labels.Length == 0);
        var classes = logits.Length / labels.Length;
        ForEachRow(labels.Length, classes,
            new CrossEntropyGradientKernel(View(dLogits.Buffer), Keep(dLogits), View(dLosses), View(logits),
                View(labels), classes));
    }

    internal readonly struct CrossEntropyKernel(ArrayView<float> losses, ArrayView<float> logits, ArrayView<int> labels,
        int classes) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * classes;
            var largest = Largest<TTeam>(logits, start, classes);
            var sum = SumOfExponentials<TTeam>(logits, start, classes, largest);
            if (TTeam.Thread == 0)
            {
                // log Σ exp(x) − x[label] with the maximum out first: no overflow, and a small loss is not the
                // difference of two large numbers.
                losses[row] = MathF.Log(sum) + (largest - logits[start + labels[row]]);
            }
        }
    }

    internal readonly struct CrossEntropyGradientKernel(
        ArrayView<float> dLogits, int keep, ArrayView<float> dLosses, ArrayView<float> logits, ArrayView<int> labels,
        int classes) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * classes;
            var largest = Largest<TTeam>(logits, start, classes);
            var factor = dLosses[row] / SumOfExponentials<TTeam>(logits, start, classes, largest);
            for (var j = TTeam.Thread; j < classes; j += TTeam.Threads)
            {
                var gradient = (keep != 0 ? dLogits[start + j] : 0) + Exp(logits[start + j] - largest) * factor;
                dLogits[start + j] = j == labels[row] ? gradient - dLosses[row] : gradient;
            }
        }
    }
}
