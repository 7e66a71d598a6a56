using LoraScratch.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Matrices in double arithmetic, row by row, that share nothing with the product.
/// </summary>
internal static class Maths
{
    public static double[] Doubles(this Tensor tensor) => Array.ConvertAll(tensor.ToArray(), value => (double)value);

    /// <summary>
    /// The gradient of a loss by central differences, which are exact where the loss is at most
    /// quadratic in each element.
    /// </summary>
    public static double[] CentralDifferences(double[] input, Func<double> loss) =>
        [.. Enumerable.Range(0, input.Length).Select(e =>
    {
        const double step = 1e-3;
        var value = input[e];
        input[e] = value + step;
        var above = loss();
        input[e] = value - step;
        var below = loss();
        input[e] = value;
        return (above - below) / (2 * step);
    })];

    /// <summary>A·B with A [rows, inner] and B [inner, columns].</summary>
    public static double[] Product(double[] a, double[] b, int rows, int inner, int columns)
    {
        var y = new double[rows * columns];
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                for (var k = 0; k < inner; k++)
                {
                    y[i * columns + j] += a[i * inner + k] * b[k * columns + j];
                }
            }
        }
        return y;
    }

    public static double[] Transpose(double[] a, int rows, int columns)
    {
        var t = new double[a.Length];
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                t[j * rows + i] = a[i * columns + j];
            }
        }
        return t;
    }

    /// <summary>xWᵀ + bias + s·(xA)B; bias may be empty.</summary>
    public static double[] Adapted(double[] x, double[] w, double[] bias, double[] a, double[] b, double s, int rows,
        int inFeatures, int outFeatures, int rank)
    {
        var y = Product(x, Transpose(w, outFeatures, inFeatures), rows, inFeatures, outFeatures);
        var update = Product(Product(x, a, rows, inFeatures, rank), b, rows, rank, outFeatures);
        return [.. y.Select((value, i) => value + (bias.Length == 0 ? 0 : bias[i % outFeatures]) + s * update[i])];
    }

    /// <summary>The largest difference, as a share of the largest expected value.</summary>
    public static double RelativeError(float[] got, double[] expected)
    {
        Assert.That(got, Has.Length.EqualTo(expected.Length));
        return got.Zip(expected, (x, y) => Math.Abs(x - y)).Max() / expected.Max(Math.Abs);
    }

    public static int[] Bits(this Tensor tensor) => Array.ConvertAll(tensor.ToArray(), BitConverter.SingleToInt32Bits);
}
