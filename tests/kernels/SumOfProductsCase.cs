using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Y = Z + A·B + scale · C·D with random numbers, with Y full of NaN before: by the one kernel, by
/// two, and in double.
/// </summary>
/// <param name="M">Rows of Y.</param>
/// <param name="N">Columns of Y.</param>
/// <param name="K">Depth of the first product.</param>
/// <param name="Rank">Depth of the second.</param>
/// <param name="Z">What is added.</param>
/// <param name="Transposed">Which of A, B, C and D are stored transposed.</param>
internal sealed record SumOfProductsCase(int M, int N, int K, int Rank, Addend Z,
    (bool A, bool B, bool C, bool D) Transposed)
{
    private const float Scale = -0.75f;

    private readonly float[] a = Numbers(1, M * K), b = Numbers(2, K * N), c = Numbers(3, M * Rank),
        d = Numbers(4, Rank * N), z = Numbers(5, M * N);

    public float[] InOne(IBackend backend) =>
        Run(backend, (y, z, a, b, c, d) => backend.SumOfProducts(y, z, a, b, c, d, Scale));

    public float[] OneAfterTheOther(IBackend backend) => Run(backend, (y, z, a, b, c, d) =>
    {
        if (z is { } some)
        {
            backend.ProductPlus(y, some, a, b);
        }
        else
        {
            backend.Product(y, a, b);
        }
        backend.AddProduct(y, c, d, Scale);
    });

    public void AssertEqualsReference(float[] y)
    {
        for (var i = 0; i < M; i++)
        {
            for (var j = 0; j < N; j++)
            {
                double first = 0, second = 0;
                for (var k = 0; k < K; k++)
                {
                    first += (double)a[Transposed.A ? k * M + i : i * K + k]
                        * b[Transposed.B ? j * K + k : k * N + j];
                }
                for (var k = 0; k < Rank; k++)
                {
                    second += (double)c[Transposed.C ? k * M + i : i * Rank + k]
                        * d[Transposed.D ? j * Rank + k : k * N + j];
                }
                var added = Z switch { Addend.None => 0, Addend.Row => z[j], _ => z[i * N + j] };
                Assert.That(y[i * N + j], Is.EqualTo(added + first + Scale * second)
                    .Within(1e-6 * (1 + Math.Sqrt(K + Rank))), $"{this}, element ({i}, {j})");
            }
        }
    }

    private float[] Run(IBackend backend, Action<Matrix, Matrix?, Matrix, Matrix, Matrix, Matrix> kernels)
    {
        var lent = new List<DeviceBuffer<float>>();
        DeviceBuffer<float> Lend(float[] values)
        {
            lent.Add(backend.Allocate<float>(values.Length));
            backend.Upload<float>(lent[^1], values);
            return lent[^1];
        }
        Matrix Of(float[] values, int rows, int columns, bool transposed = false) =>
            transposed ? new Matrix(Lend(values), columns, rows).T : new Matrix(Lend(values), rows, columns);
        var y = Of([.. z.Select(_ => float.NaN)], M, N);
        Matrix? addend = Z switch
        {
            Addend.None => null,
            Addend.Row => Matrix.EveryRow(Lend(z[..N]), M),
            _ => Of(z, M, N),
        };
        kernels(y, addend, Of(a, M, K, Transposed.A), Of(b, K, N, Transposed.B), Of(c, M, Rank, Transposed.C),
            Of(d, Rank, N, Transposed.D));
        var result = new float[M * N];
        backend.Download(result, lent[0]);
        lent.ForEach(buffer => buffer.Dispose());
        return result;
    }

    private static float[] Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
    }
}

/// <summary>What a sum of products is added to.</summary>
internal enum Addend
{
    None,
    Row,
    Matrix,
}
