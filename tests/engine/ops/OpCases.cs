using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The op table: every op of <see cref="Ops"/>, with odd sizes, M &lt; K, and the tails of SIMD
/// registers (1, width ± 1). A new op needs a row here, or <see cref="CoverageTests"/> fails.
/// </summary>
public static partial class OpCases
{
    /// <summary>Every row.</summary>
    public static IReadOnlyList<OpCase> All { get; } =
        [.. Elementwise(), .. Products(), .. Quantized(), .. RowsAndColumns(), .. Sequences(), .. Recomputed()];

    /// <summary>Every row on every backend: "Softmax [3, 5] on CPU, AVX-512, 2 threads".</summary>
    public static IEnumerable<TestCaseData> OnEveryBackend =>
        from op in All
        from backend in Backends.All
        select new TestCaseData(op, backend).SetArgDisplayNames($"{op} on {backend}").In(backend.Category);

    /// <summary>Every row, for what does not depend on the backend.</summary>
    public static IEnumerable<TestCaseData> Once =>
        All.Select(op => new TestCaseData(op).SetArgDisplayNames(op.Name).In(Categories.Fast));

    private static Shape S(params ReadOnlySpan<int> sizes) => new(sizes);

    // ---------------------------------------------------------------- element by element

    private static Shape[] ElementwiseShapes => [S(1), S(7), S(15), S(16), S(17), S(3, 33), S(2, 3, 5), S()];

    private static IEnumerable<OpCase> Elementwise()
    {
        var maskOf77 = new Lazy<double[]>(() =>
            Reference.DropoutMask(ElementwiseShapes.Max(shape => shape.Count), 0.3f, 77));
        foreach (var shape in ElementwiseShapes)
        {
            yield return new("Add", [shape, shape], x => x[0].Add(x[1]),
                x => Reference.Zip(x[0], x[1], (a, b) => a + b));
            yield return new("Subtract", [shape, shape], x => x[0].Subtract(x[1]),
                x => Reference.Zip(x[0], x[1], (a, b) => a - b));
            yield return new("Multiply", [shape, shape], x => x[0].Multiply(x[1]),
                x => Reference.Zip(x[0], x[1], (a, b) => a * b));
            yield return new("Scale", [shape], x => x[0].Scale(-1.5f), x => Reference.Map(x[0], a => -1.5 * a));
            yield return new("Gelu", [shape], x => x[0].Gelu(), x => Reference.Map(x[0], Reference.Gelu));
            yield return new("GeluTanh", [shape], x => x[0].GeluTanh(),
                x => Reference.Map(x[0], Reference.GeluTanh));
            yield return new("Silu", [shape], x => x[0].Silu(), x => Reference.Map(x[0], Reference.Silu));
            yield return new("Relu", [shape], x => x[0].Relu(), x => Reference.Map(x[0], a => Math.Max(a, 0)),
                change: AwayFromZero);
            yield return new("Tanh", [shape], x => x[0].Tanh(), x => Reference.Map(x[0], Math.Tanh));
            yield return new("Sigmoid", [shape], x => x[0].Sigmoid(), x => Reference.Map(x[0], Reference.Sigmoid));
            yield return new("Softplus", [shape], x => x[0].Softplus(), x => Reference.Map(x[0], Reference.Softplus));
            yield return new("Exp", [shape], x => x[0].Exp(), x => Reference.Map(x[0], Math.Exp));
            yield return new("Square", [shape], x => x[0].Square(), x => Reference.Map(x[0], a => a * a));
            yield return new("Dropout", [shape], x => x[0].Dropout(0.3f, seed: 77), x => Masked(x[0], maskOf77.Value),
                "p = 0.3");
            yield return new("Sum", [shape], x => x[0].Sum(), x => [x[0].Sum()]);
            yield return new("Mean", [shape], x => x[0].Mean(), x => [x[0].Average()]);
        }
        yield return new("Add", [S(3, 5)], x => x[0].Add(x[0]), x => Reference.Map(x[0], a => 2 * a),
            "a tensor to itself");
        yield return new("Subtract", [S(3, 5)], x => x[0].Subtract(x[0]), x => Reference.Map(x[0], a => 0),
            "a tensor from itself");
        yield return new("Multiply", [S(3, 5)], x => x[0].Multiply(x[0]), x => Reference.Map(x[0], a => a * a),
            "a tensor by itself");
        yield return new("Gelu", [S(4, 9)], x => x[0].Gelu(), x => Reference.Map(x[0], Reference.Gelu), "values to ±15",
            (value, _) => 5 * value);
        yield return new("GeluTanh", [S(4, 9)], x => x[0].GeluTanh(), x => Reference.Map(x[0], Reference.GeluTanh),
            "values to ±15", (value, _) => 5 * value);
        yield return new("Silu", [S(4, 9)], x => x[0].Silu(), x => Reference.Map(x[0], Reference.Silu),
            "values to ±15", (value, _) => 5 * value);
        yield return new("Tanh", [S(4, 9)], x => x[0].Tanh(), x => Reference.Map(x[0], Math.Tanh), "values to ±15",
            (value, _) => 5 * value);
        yield return new("Sigmoid", [S(4, 9)], x => x[0].Sigmoid(), x => Reference.Map(x[0], Reference.Sigmoid),
            "values to ±15", (value, _) => 5 * value);
        yield return new("Softplus", [S(4, 9)], x => x[0].Softplus(), x => Reference.Map(x[0], Reference.Softplus),
            "values to ±15", (value, _) => 5 * value);
        yield return new("Dropout", [S(3, 33)], x => x[0].Dropout(0.9f, seed: ulong.MaxValue),
            x => Masked(x[0], Reference.DropoutMask(99, 0.9f, ulong.MaxValue)), "p = 0.9");
        yield return new("Dropout", [S(3, 5)], x => x[0].Dropout(0, seed: 3), x => x[0], "p = 0");
        foreach (var columns in new[] { 5, 16 })
        {
            int[] rows = [0, 3, 4, 8];
            yield return new("Dropout", [S(4, columns)],
                x => x[0].Dropout(0.3f, seed: 77, new Indices(rows, x[0].Backend)),
                x => Masked(x[0], Reference.Gather(Reference.DropoutMask(9 * columns, 0.3f, 77), columns, rows)),
                "the masks of rows 0 3 4 8");
        }
        yield return new("MeanSquaredError", [S(3, 5), S(3, 5)], x => x[0].MeanSquaredError(x[1]),
            x => [Reference.Zip(x[0], x[1], (a, b) => (a - b) * (a - b)).Average()]);
    }

    private static double[] Masked(double[] x, double[] mask) => [.. x.Select((value, i) => value * mask[i])];

    private static float AwayFromZero(float value, int _) => value + 0.1f * MathF.Sign(value);

    // ---------------------------------------------------------------- products

    private static IEnumerable<OpCase> Products()
    {
        foreach (var (m, k, n) in new[] { (1, 1, 1), (1, 7, 1), (3, 5, 7), (5, 3, 33), (2, 64, 17), (17, 31, 15),
            (13, 8, 33), (32, 4, 8), (1, 48, 4), (7, 1, 9), (25, 16, 16) })
        {
            yield return new("MatMul", [S(m, k), S(k, n)], x => x[0].MatMul(x[1]),
                x => Reference.Product(x[0], x[1], m, k, n));
            yield return new("Linear", [S(m, k), S(n, k)], x => x[0].Linear(x[1]), x => LinearReference(x, m, k, n),
                "without bias");
            yield return new("Linear", [S(m, k), S(n, k), S(n)], x => x[0].Linear(x[1], x[2]),
                x => LinearReference(x, m, k, n));
        }
        yield return new("MatMul", [S(3, 5), S(5, 7)], x => x[0].MatMul(x[1], scale: 0.25f),
            x => Scaled(Reference.Product(x[0], x[1], 3, 5, 7), 0.25), "scale 0.25");
        yield return new("MatMul", [S(2, 3, 5), S(5, 4)], x => x[0].MatMul(x[1]),
            x => Reference.Product(x[0], x[1], 6, 5, 4));
        yield return new("MatMul", [S(5), S(5, 4)], x => x[0].MatMul(x[1]),
            x => Reference.Product(x[0], x[1], 1, 5, 4));
        yield return new("MatMul", [S(5, 5)], x => x[0].MatMul(x[0]), x => Reference.Product(x[0], x[0], 5, 5, 5),
            "a matrix by itself");
        yield return new("Linear", [S(2, 3, 5), S(4, 5), S(4)], x => x[0].Linear(x[1], x[2]),
            x => LinearReference(x, 6, 5, 4));
        foreach (var (m, k, n, scale) in new[] { (3, 5, 7, 0.5f), (1, 17, 4, 1f), (9, 4, 33, -2f) })
        {
            yield return new("AddMatMul", [S(m, n), S(m, k), S(k, n)], x => x[0].AddMatMul(x[1], x[2], scale),
                x => Reference.Zip(x[0], Scaled(Reference.Product(x[1], x[2], m, k, n), scale),
                    (z, product) => z + product), $"scale {scale}");
        }
        foreach (var (m, k, n, r, scale) in new[] { (3, 5, 7, 2, 0.5f), (1, 17, 4, 3, 1f), (18, 4, 33, 5, -2f) })
        {
            yield return new("LinearPlusMatMul", [S(m, k), S(n, k), S(n), S(m, r), S(r, n)],
                x => x[0].LinearPlusMatMul(x[1], x[2], x[3], x[4], scale), x => Reference.Zip(
                    LinearReference(x[..3], m, k, n), Scaled(Reference.Product(x[3], x[4], m, r, n), scale),
                    (one, other) => one + other), $"scale {scale}");
            yield return new("LinearPlusMatMul", [S(m, k), S(n, k), S(m, r), S(r, n)],
                x => x[0].LinearPlusMatMul(x[1], null, x[2], x[3], scale), x => Reference.Zip(
                    LinearReference(x[..2], m, k, n), Scaled(Reference.Product(x[2], x[3], m, r, n), scale),
                    (one, other) => one + other), $"scale {scale}, without bias");
        }
        foreach (var (batch, m, k, n) in new[] { (2, 3, 5, 4), (1, 1, 1, 1), (3, 2, 17, 9), (2, 9, 4, 16) })
        {
            yield return new("BatchedMatMul", [S(batch, m, k), S(batch, k, n)], x => x[0].BatchedMatMul(x[1]), x =>
                [.. Enumerable.Range(0, batch)
                    .SelectMany(i => Reference.Product(x[0][(i * m * k)..((i + 1) * m * k)],
                        x[1][(i * k * n)..((i + 1) * k * n)], m, k, n))]);
        }
        foreach (var (rows, columns) in new[] { (3, 5), (1, 17), (17, 33), (16, 16) })
        {
            yield return new("Transpose", [S(rows, columns)], x => x[0].Transpose(),
                x => Reference.Transpose(x[0], rows, columns));
        }
        yield return new("Reshape", [S(3, 4)], x => x[0].Reshape(S(2, 6)), x => x[0]);
        yield return new("Reshape", [S(1)], x => x[0].Reshape(S()), x => x[0]);
    }

    private static double[] Scaled(double[] x, double factor) => Reference.Map(x, value => factor * value);

    /// <summary>x·Wᵀ + b for x [m, k], W [n, k]; b may be left out.</summary>
    private static double[] LinearReference(double[][] x, int m, int k, int n)
    {
        var product = Reference.Product(x[0], Reference.Transpose(x[1], n, k), m, k, n);
        return x.Length == 3 ? Reference.AddBias(product, x[2]) : product;
    }
}
