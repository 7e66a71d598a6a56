using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.CrossEntropy"/>
    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels)
    {
        Debug.Assert(losses.Length == labels.Length);
        if (losses.Length == 0)
        {
            return;
        }
        Debug.Assert(logits.Length % losses.Length == 0);
        var classes = logits.Length / losses.Length;
        ForEachRow(losses.Length, classes,
            new CrossEntropyKernel(Floats(losses), Floats(logits), Ints(labels), classes));
    }

    /// <inheritdoc cref="IBackend.AddCrossEntropyGradient"/>
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
            new CrossEntropyGradientKernel(Floats(dLogits.Buffer), Keep(dLogits), Floats(dLosses), Floats(logits),
                Ints(labels), classes));
    }

    internal readonly struct CrossEntropyKernel(TFloats losses, TFloats logits, TInts labels, int classes) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var x = logits.From(row * classes);                                 // logits[row, :]
            var largest = Rows<TFloats>.Largest<T>(x, classes);
            var sum = Rows<TFloats>.SumOfExponentials<T>(x, classes, largest);
            if (T.First == 0)
            {
                // log Σ exp(x) − x[label] with the maximum out first: no overflow, and a small loss is not the
                // difference of two large numbers.
                losses[row] = MathF.Log(sum) + (largest - x[labels[row]]);
            }
        }
    }

    internal readonly struct CrossEntropyGradientKernel(TFloats dLogits, int keep, TFloats dLosses, TFloats logits,
        TInts labels, int classes) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            TFloats x = logits.From(row * classes), dX = dLogits.From(row * classes);
            var largest = Rows<TFloats>.Largest<T>(x, classes);
            var factor = dLosses[row] / Rows<TFloats>.SumOfExponentials<T>(x, classes, largest);
            for (var j = T.First; j < classes; j += T.Width)
            {
                var left = classes - j;
                var e = Exponential.Value(T.Load(ref x[j], left, float.NegativeInfinity) - T.Of(largest));
                var sum = keep != 0 ? T.Load(ref dX[j], left, 0) : T.Of(0f);
                T.Store(ref dX[j], left, T.MultiplyAdd(e, T.Of(factor), sum));
            }
            if (T.Has(labels[row]))
            {
                dX[labels[row]] -= dLosses[row];
            }
        }
    }
}
