using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// The same input gives the same bits for any number of threads, on every instruction set.
/// </summary>
internal class ThreadCountTests
{
    public static IEnumerable<InstructionSet> Sets => InstructionSets.Supported;

    [TestCaseSource(nameof(Sets))]
    public void No_kernel_depends_on_the_number_of_threads(InstructionSet set)
    {
        var one = Bits(set, 1);
        foreach (var threads in new[] { 2, 3, 5 })
        {
            var many = Bits(set, threads);
            foreach (var (kernel, bits) in one)
            {
                Assert.That(many[kernel], Is.EqualTo(bits),
                $"{kernel} on {threads} threads");
            }
        }
    }

    private static Dictionary<string, int[]> Bits(InstructionSet set, int threads)
    {
        const int Rows = 300, Columns = 259, Count = Rows * Columns;
        using var backend = new CpuBackend(threads, set);
        var results = new Dictionary<string, int[]>();
        DeviceBuffer<T> Lend<T>(T[] values) where T : unmanaged
        {
            var buffer = backend.Allocate<T>(values.Length);
            backend.Upload<T>(buffer, values);
            return buffer;
        }
        DeviceBuffer<float> Numbers(int count, int seed)
        {
            var random = new Random(seed);
            return Lend(Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 4 - 2)).ToArray());
        }
        void Record(string kernel, DeviceBuffer<float> y)
        {
            var values = new float[y.Length];
            backend.Download(values, y);
            results.Add(kernel, Array.ConvertAll(values, BitConverter.SingleToInt32Bits));
        }

        DeviceBuffer<float> x = Numbers(Count, 1), dY = Numbers(Count, 2), gamma = Numbers(Columns, 3),
            y = Numbers(Count, 4), dX = Numbers(Count, 5);
        DeviceBuffer<float> scalar = Numbers(1, 6), mean = Numbers(Rows, 7), rstd = Numbers(Rows, 8),
            columns = Numbers(Columns, 9);
        var indices = Lend(Enumerable.Range(0, Rows).Select(i => i * i % 17).ToArray());

        backend.Map<Gelu>(y, x);
        Record("Map", y);
        backend.AddMapGradient<Gelu>(dX, dY, x, null);
        Record("AddMapGradient", dX);
        backend.Softmax(y, x, Columns);
        Record("Softmax", y);
        backend.AddSoftmaxGradient(dX, dY, y, Columns);
        Record("AddSoftmaxGradient", dX);
        backend.LayerNorm(y, mean, rstd, x, gamma, gamma, 1e-5f);
        Record("LayerNorm", y);
        backend.AddLayerNormGradient(dX, dY, x, mean, rstd, gamma);
        Record("AddLayerNormGradient", dX);
        backend.AddLayerNormGammaGradient(columns, dY, x, mean, rstd);
        Record("AddLayerNormGammaGradient", columns);
        backend.AddColumnSums(columns, x);
        Record("AddColumnSums", columns);
        backend.Sum(scalar, 1, x);
        Record("Sum", scalar);
        backend.AddSumOfSquares(scalar, [x]);
        Record("AddSumOfSquares", scalar);
        var table = Numbers(17 * Columns, 10);
        backend.AddScatter(table, dY, indices, Columns);
        Record("AddScatter", table);
        backend.Dropout(y, x, 0.1f, 5, null);
        Record("Dropout", y);
        backend.CrossEntropy(rstd, x, Lend(Enumerable.Range(0, Rows).Select(i => i % Columns).ToArray()));
        Record("CrossEntropy", rstd);

        const int Heads = 7;        // of width 37
        var offsets = Lend(new[] { 0, 1, 200, 300 });
        var shape = new AttentionShape(Heads, 0.16f, 199, 0.1f, 3);
        DeviceBuffer<float> logSumExp = Numbers(Rows * Heads, 11), dQ = Numbers(Count, 12), dK = Numbers(Count, 13),
            dV = Numbers(Count, 14);
        DeviceBuffer<float> k = Numbers(Count, 15), v = Numbers(Count, 16);
        backend.Attention(y, logSumExp, x, k, v, offsets, null, shape);
        Record("Attention", y);
        backend.AddAttentionGradient(dQ, dK, dV, dY, y, logSumExp, x, k, v, offsets, null, shape);
        Record("dQ", dQ);
        Record("dK", dK);
        Record("dV", dV);
        return results;
    }
}
