using System.Text.Json.Nodes;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Check;

/// <summary>A product that is checked: Y [m, n] = A [m, k] · B [k, n].</summary>
internal sealed record ProductShape(string Name, int M, int N, int K, bool TransposeA = false, bool TransposeB = false)
{
    public double Flops => 2.0 * M * N * K;

    public override string ToString() =>
        $"{Name} {M} × {N} × {K}{(TransposeA ? ", Aᵀ" : "")}{(TransposeB ? ", Bᵀ" : "")}";
}

/// <summary>
/// Products: GFLOP/s, and how far from the CPU's; LoRA's shapes at 1,024 and 4,096 tokens, and
/// squares.
/// </summary>
internal static class ProductCheck
{
    /// <summary>
    /// How far an element may be from the CPU's, against the largest: the order of the sums is
    /// another one.
    /// </summary>
    public const double Bound = 1e-5;

    private const string Section = "products";

    /// <summary>What the CPU computes too, in a moment.</summary>
    private const double FlopsOfComparison = 2e10;

    private const double WindowSeconds = 0.02;

    /// <summary>By their size, so that each tells how long the next one takes.</summary>
    public static readonly ProductShape[] Shapes =
    [
        new("square", 64, 64, 64),
        new("x·A", 1024, 8, 768),
        new("z·B", 1024, 768, 8),
        new("dY·Bᵀ", 1024, 8, 768, TransposeB: true),
        new("xᵀ·u", 768, 8, 1024, TransposeA: true),
        new("zᵀ·dY", 8, 768, 1024, TransposeA: true),
        new("x·A", 4096, 8, 768),
        new("z·B", 4096, 768, 8),
        new("square", 512, 512, 512),
        new("x·Wᵀ", 16, 768, 768, TransposeB: true),
        new("x·Wᵀ", 128, 768, 768, TransposeB: true),
        new("x·Wᵀ", 1024, 768, 768, TransposeB: true),
        new("dY·W", 1024, 768, 768),
        new("dYᵀ·x", 768, 768, 1024, TransposeA: true),
        new("square", 1024, 1024, 1024),
        new("x·Wᵀ up", 1024, 3072, 768, TransposeB: true),
        new("x·Wᵀ down", 1024, 768, 3072, TransposeB: true),
        new("x·Wᵀ", 4096, 768, 768, TransposeB: true),
        new("square", 2048, 2048, 2048),
        new("x·Wᵀ up", 4096, 3072, 768, TransposeB: true),
        new("square", 4096, 4096, 4096),
        new("square", 8192, 8192, 8192),
    ];

    public static void Run(CheckRun run)
    {
        using var backend = run.Open();
        using var cpu = new CpuBackend();
        foreach (var shape in Shapes)
        {
            if (!run.IsTooMuch(Section, $"{shape}", shape.Flops))
            {
                run.Try(Section, $"{shape}", () => Measure(run, backend, cpu, shape));
            }
        }
        run.Try(Section, "copy", () => MeasureCopy(run, backend));
    }

    /// <summary>
    /// The largest difference to the CPU's product, against its largest element.
    /// </summary>
    public static double Difference(IBackend device, IBackend cpu, ProductShape shape)
    {
        using Factors there = new(device, shape), here = new(cpu, shape);
        var (got, expected) = (there.Product(), here.Product());
        double difference = 0, largest = 0;
        for (var i = 0; i < got.Length; i++)
        {
            var error = Math.Abs((double)got[i] - expected[i]);
            difference = double.IsNaN(error) ? double.PositiveInfinity : Math.Max(difference, error);
            largest = Math.Max(largest, Math.Abs(expected[i]));
        }
        return difference / largest;
    }

    private static void Measure(CheckRun run, GpuBackend backend, CpuBackend cpu, ProductShape shape)
    {
        using var factors = new Factors(backend, shape);
        var once = run.Seconds(factors.Run)[0];
        // as many between two waits as fill a window: fewer would measure the way to the device
        var count = (int)Math.Clamp(WindowSeconds / once, 1, 1000);
        var windows = count == 1 ? run.Seconds(factors.Run) : run.Seconds(() => factors.Run(count));
        var (median, best) = (CheckRun.Median(windows) / count, windows[0] / count);
        run.Took(shape.Flops, median);
        double? difference = shape.Flops > FlopsOfComparison ? null : Difference(backend, cpu, shape);
        if (difference > Bound)
        {
            run.Fail($"{shape} is {difference:E1} from the CPU's, {Bound:E0} is allowed.");
        }
        run.Add(Section, new JsonObject
        {
            ["name"] = shape.Name,
            ["m"] = shape.M,
            ["n"] = shape.N,
            ["k"] = shape.K,
            ["transpose_a"] = shape.TransposeA,
            ["transpose_b"] = shape.TransposeB,
            ["gflops"] = Math.Round(1e-9 * shape.Flops / median, 3),
            ["gflops_best"] = Math.Round(1e-9 * shape.Flops / best, 3),
            ["microseconds"] = Math.Round(1e6 * median, 1),
            ["difference"] = difference,
        }, FormattableString.Invariant($"  {$"{shape}",-32} {1e-9 * shape.Flops / median,10:F3} GFLOP/s, best ")
            + FormattableString.Invariant($"{1e-9 * shape.Flops / best,10:F3}  {1e6 * median,11:F1} µs")
            + (difference is null ? "" : FormattableString.Invariant($", {difference:E1} from the CPU's")));
    }

    /// <summary>What memory allows: 64 MiB are read, and as many written.</summary>
    private static void MeasureCopy(CheckRun run, GpuBackend backend)
    {
        const int Count = 16 << 20, Copies = 10;
        using var from = backend.Allocate<float>(Count);
        using var to = backend.Allocate<float>(Count);
        var seconds = CheckRun.Median(run.Seconds(() =>
        {
            for (var i = 0; i < Copies; i++)
            {
                backend.Copy(to, from);
            }
            backend.Synchronize();
        }));
        var rate = 2.0 * Copies * Count * sizeof(float) / seconds * 1e-9;
        run.Add(Section, new JsonObject { ["name"] = "copy", ["gigabytes_per_second"] = Math.Round(rate, 1) },
            FormattableString.Invariant($"  copy of 64 MiB: {rate:F1} GB/s read and written"));
    }

    /// <summary>A product's matrices on a backend; the same numbers on every one.</summary>
    private sealed class Factors : IDisposable
    {
        private readonly IBackend backend;
        private readonly Matrix y, a, b;

        public Factors(IBackend backend, ProductShape shape)
        {
            this.backend = backend;
            y = new(backend.Allocate<float>(shape.M * shape.N), shape.M, shape.N);
            a = Random(shape.M, shape.K, shape.TransposeA);
            b = Random(shape.K, shape.N, shape.TransposeB);
        }

        public void Run() => Run(1);

        public void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                backend.Product(y, a, b);
            }
            backend.Synchronize();
        }

        public float[] Product()
        {
            Run();
            var values = new float[y.Rows * y.Columns];
            backend.Download(values, y.Buffer);
            return values;
        }

        public void Dispose()
        {
            y.Buffer.Dispose();
            a.Buffer.Dispose();
            b.Buffer.Dispose();
        }

        private Matrix Random(int rows, int columns, bool transposed)
        {
            var values = new float[rows * columns];
            var random = new Random(rows);
            var some = values.AsSpan(0, Math.Min(values.Length, 1_000_003));    // a prime: rows are not the same
            foreach (ref var value in some)
            {
                value = random.NextSingle() - 0.5f;
            }
            for (var at = some.Length; at < values.Length; at += some.Length)
            {
                some[..Math.Min(some.Length, values.Length - at)].CopyTo(values.AsSpan(at));
            }
            var buffer = backend.Allocate<float>(values.Length);
            backend.Upload<float>(buffer, values);
            return transposed ? new Matrix(buffer, columns, rows).T : new Matrix(buffer, rows, columns);
        }
    }
}
