using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
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
        ForEachRow(losses.Length, classes,
            new CrossEntropyKernel(Pointer(losses), Pointer(logits), Pointer(labels), classes));
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
            new CrossEntropyGradientKernel(Pointer(dLogits.Buffer), !dLogits.IsEmpty, Pointer(dLosses), Pointer(logits),
                Pointer(labels), classes));
    }

    /// <summary>Σⱼ exp(xⱼ − max), nothing stored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SumOfExponentials<T>(float* x, int columns, float largest) where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = 0; j < columns; j += T.Width)
        {
            sum += Exponential.Value(Row.Load<T>(x, j, columns, float.NegativeInfinity) - T.Of(largest));
        }
        return T.Sum(sum);
    }

    private readonly struct CrossEntropyKernel(float* losses, float* logits, int* labels, int classes) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var x = logits + row * classes;                                     // logits[row, :]
            var largest = Cpu.Row.Largest<T>(x, classes);
            // log Σ exp(x) − x[label] with the maximum out first: no overflow, and a small loss is not the difference
            // of two large numbers.
            losses[row] = MathF.Log(SumOfExponentials<T>(x, classes, largest)) + (largest - x[labels[row]]);
        }
    }

    private readonly struct CrossEntropyGradientKernel(float* dLogits, bool accumulate, float* dLosses, float* logits,
        int* labels, int classes) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* x = logits + row * classes, dX = dLogits + row * classes;    // logits[row, :], dLogits[row, :]
            var largest = Cpu.Row.Largest<T>(x, classes);
            var factor = dLosses[row] / SumOfExponentials<T>(x, classes, largest);
            for (var j = 0; j < classes; j += T.Width)
            {
                var e = Exponential.Value(Cpu.Row.Load<T>(x, j, classes, float.NegativeInfinity) - T.Of(largest));
                var sum = accumulate ? Cpu.Row.Load<T>(dX, j, classes, 0) : T.Of(0f);
                Cpu.Row.Store(dX, j, classes, T.MultiplyAdd(e, T.Of(factor), sum));
            }
            dX[labels[row]] -= dLosses[row];
        }
    }
}
