using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Y = Z + scale · A·B against loops in double, with Y full of NaN before, so that a kernel which
/// adds to what is there is found out.
/// </summary>
internal static class ProductPlusCase
{
    private const float Scale = -0.75f;

    public static void Check(IBackend backend, int m, int n, int k, bool transposeB, bool everyRow)
    {
        var random = new Random(HashCode.Combine(m, n, k));
        float[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        float[] a = Draw(m * k), b = Draw(k * n), z = Draw(everyRow ? n : m * n), y = new float[m * n];
        using DeviceBuffer<float> aBuffer = Upload(backend, a), bBuffer = Upload(backend, b),
            zBuffer = Upload(backend, z), yBuffer = Upload(backend, [.. y.Select(_ => float.NaN)]);
        backend.ProductPlus(new Matrix(yBuffer, m, n),
            everyRow ? Matrix.EveryRow(zBuffer, m) : new Matrix(zBuffer, m, n), new Matrix(aBuffer, m, k),
            transposeB ? new Matrix(bBuffer, n, k).T : new Matrix(bBuffer, k, n), Scale);
        backend.Download(y, yBuffer);
        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < n; j++)
            {
                double sum = 0;
                for (var depth = 0; depth < k; depth++)
                {
                    sum += (double)a[i * k + depth] * b[transposeB ? j * k + depth : depth * n + j];
                }
                var expected = z[everyRow ? j : i * n + j] + Scale * sum;
                Assert.That(y[i * n + j], Is.EqualTo(expected).Within(1e-6 * (1 + Math.Sqrt(k))),
                    $"[{m}, {k}] · [{k}, {n}], element ({i}, {j})");
            }
        }
    }

    private static DeviceBuffer<float> Upload(IBackend backend, float[] values)
    {
        var buffer = backend.Allocate<float>(values.Length);
        backend.Upload<float>(buffer, values);
        return buffer;
    }
}
