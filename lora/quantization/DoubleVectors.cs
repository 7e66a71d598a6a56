using System.Numerics;
using System.Runtime.InteropServices;

namespace LoraScratch.Lora.Quantization;

/// <summary>Loops over doubles, a register at a time.</summary>
internal static class DoubleVectors
{
    /// <summary>y += α·x</summary>
    public static void AddScaled(Span<double> y, double alpha, ReadOnlySpan<double> x)
    {
        var factor = new Vector<double>(alpha);
        var vectors = MemoryMarshal.Cast<double, Vector<double>>(y);
        var vectorsOfX = MemoryMarshal.Cast<double, Vector<double>>(x);
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] += factor * vectorsOfX[i];
        }
        for (var i = vectors.Length * Vector<double>.Count; i < y.Length; i++)
        {
            y[i] += alpha * x[i];
        }
    }

    /// <summary>Σ xᵢ·yᵢ</summary>
    public static double Dot(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        var vectorsOfX = MemoryMarshal.Cast<double, Vector<double>>(x);
        var vectorsOfY = MemoryMarshal.Cast<double, Vector<double>>(y);
        Vector<double> sum = default, other = default;              // two chains of additions hide the latency of one
        var i = 0;
        for (; i <= vectorsOfX.Length - 2; i += 2)
        {
            sum += vectorsOfX[i] * vectorsOfY[i];
            other += vectorsOfX[i + 1] * vectorsOfY[i + 1];
        }
        for (; i < vectorsOfX.Length; i++)
        {
            sum += vectorsOfX[i] * vectorsOfY[i];
        }
        var total = Vector.Sum(sum + other);
        for (i = vectorsOfX.Length * Vector<double>.Count; i < x.Length; i++)
        {
            total += x[i] * y[i];
        }
        return total;
    }
}
