using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Quantization;

/// <summary>How far a quantised weight is from the original.</summary>
internal static class QuantizationError
{
    /// <summary>‖Ŵ − W‖/‖W‖, over all weights; 0 where W is 0.</summary>
    /// <param name="weight">W [out, in]</param>
    /// <param name="quantized">Ŵ</param>
    /// <exception cref="ShapeMismatchException">The sizes differ.</exception>
    public static double OfWeight(ReadOnlySpan<float> weight, GroupQuantizedWeight quantized) =>
        OfWeight(weight, Near(weight, quantized));

    /// <summary>‖Ŵ − W‖/‖W‖, over all weights; 0 where W is 0.</summary>
    /// <param name="weight">W</param>
    /// <param name="near">Ŵ, as many numbers</param>
    internal static double OfWeight(ReadOnlySpan<float> weight, ReadOnlySpan<float> near)
    {
        double errors = 0, squares = 0;
        for (var i = 0; i < weight.Length; i++)
        {
            var error = (double)near[i] - weight[i];
            (errors, squares) = (errors + error * error, squares + (double)weight[i] * weight[i]);
        }
        return squares == 0 ? 0 : Math.Sqrt(errors / squares);
    }

    /// <summary>
    /// ‖X(Ŵ − W)ᵀ‖/‖XWᵀ‖ over the calibration inputs X: the error of the layer's output, without
    /// the bias. From H = XᵀX/n alone: ‖XMᵀ‖² = n·Σ rows m of M, mᵀHm.
    /// </summary>
    /// <param name="weight">W [out, in]</param>
    /// <param name="quantized">Ŵ</param>
    /// <param name="hessian">H [in, in], see <see cref="CalibrationHessian.ToArray"/></param>
    /// <exception cref="ShapeMismatchException">The sizes differ.</exception>
    public static double OfOutput(ReadOnlySpan<float> weight, GroupQuantizedWeight quantized, double[] hessian)
    {
        var (near, n) = (Near(weight, quantized), quantized.InFeatures);
        if (hessian.Length != (long)n * n)
        {
            throw new ShapeMismatchException($"QuantizationError: H has {hessian.Length} elements, the {n} inputs of "
                + $"{quantized} need {(long)n * n}.");
        }
        var errors = new double[quantized.OutFeatures];
        var squares = new double[errors.Length];
        var original = weight.ToArray();
        Parallel.For(0, errors.Length, row =>
        {
            var (m, w) = (new double[n], new double[n]);
            for (var i = 0; i < n; i++)
            {
                (m[i], w[i]) = ((double)near[row * n + i] - original[row * n + i], original[row * n + i]);
            }
            for (var i = 0; i < n; i++)
            {
                var rowOfH = hessian.AsSpan(i * n, n);
                errors[row] += m[i] * Vectors.Dot(rowOfH, m);
                squares[row] += w[i] * Vectors.Dot(rowOfH, w);
            }
        });
        return squares.Sum() == 0 ? 0 : Math.Sqrt(errors.Sum() / squares.Sum());
    }

    private static float[] Near(ReadOnlySpan<float> weight, GroupQuantizedWeight quantized) =>
        weight.Length == quantized.Shape.Count
        ? quantized.Dequantize()
        : throw new ShapeMismatchException(
            $"QuantizationError: a weight of {weight.Length} elements, {quantized} has {quantized.Shape.Count}.");
}
