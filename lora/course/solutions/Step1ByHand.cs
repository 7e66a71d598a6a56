namespace LoraScratch.Course;

/// <summary>Step 1, solved.</summary>
internal static class Step1ByHand
{
    /// <summary>
    /// Through h: r·(in + out) multiply-adds beside W's in·out. A·B first would cost in·r·out and
    /// need an array of [in, out].
    /// </summary>
    public static double[] Forward(double[] x, double[,] w, double[,] a, double[,] b, double s)
    {
        var (inFeatures, rank, outFeatures) = (x.Length, b.GetLength(0), b.GetLength(1));
        var h = new double[rank];
        for (var k = 0; k < rank; k++)
        {
            for (var i = 0; i < inFeatures; i++)
            {
                h[k] += x[i] * a[i, k];
            }
        }
        var y = new double[outFeatures];
        for (var j = 0; j < outFeatures; j++)
        {
            for (var i = 0; i < inFeatures; i++)
            {
                y[j] += x[i] * w[j, i];
            }
            for (var k = 0; k < rank; k++)
            {
                y[j] += s * h[k] * b[k, j];
            }
        }
        return y;
    }

    /// <summary>in·r + r·out = r·(in + out)</summary>
    public static int TrainableNumbers(int inFeatures, int outFeatures, int rank) => rank * (inFeatures + outFeatures);
}
