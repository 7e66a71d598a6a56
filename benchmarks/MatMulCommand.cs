using System.Diagnostics;
using System.Text.Json;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Products against the peak, which is the CPU's: on a GPU the products stand alone. Every window
/// of a product is followed by one of the peak that is as long, so that both see the same moods of
/// the machine. Three figures say how near a product comes: its median window against the peak's
/// best one, its best against the peak's best, and the median of the ratios of neighbours, which a
/// machine shared with others moves least.
/// </summary>
internal static class MatMulCommand
{
    private const int Rounds = 25;
    private const double WindowSeconds = 0.004;

    private sealed record Case(string Name, int M, int N, int K, bool TransposeA = false, bool TransposeB = false);

    private static readonly Case[] Cases =
    [
        new("square", 512, 512, 512),
        new("square", 2048, 2048, 2048),
        new("x·W", 1024, 768, 768),
        new("dY·Wᵀ", 1024, 768, 768, TransposeB: true),
        new("x·W up", 1024, 3072, 768),
        new("x·W down", 1024, 768, 3072),
        new("dYᵀ·x", 768, 768, 1024, TransposeA: true),
        new("dYᵀ·x up", 3072, 768, 1024, TransposeA: true),
        .. new[] { 1, 16, 32, 64, 128 }.Select(rows => new Case($"x·W, N = {rows}", rows, 768, 768)),
        .. new[] { 1, 16, 32, 64, 128 }.Select(rows => new Case($"x·Wᵀ, N = {rows}", rows, 768, 768, TransposeB: true)),
        .. from rank in new[] { 4, 8, 16, 64 }
           from skinny in new Case[]
           {
               new("x·A", 1024, rank, 768),
               new("z·B", 1024, 768, rank),
               new("dY·Bᵀ", 1024, rank, 768, TransposeB: true),
               new("u·Aᵀ", 1024, 768, rank, TransposeB: true),
               new("xᵀ·u", 768, rank, 1024, TransposeA: true),
               new("zᵀ·dY", rank, 768, 1024, TransposeA: true),
           }
           select skinny,
        new("q·kᵀ", 128, 128, 64, TransposeB: true),
        new("p·v", 128, 64, 128),
    ];

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var json = options.Flag("json");
        Backends.Threads = options.Has("threads") ? options.Number("threads", 2) : 0;
        using var backend = Backends.Open(options.Text("device", Backends.Cpu));
        options.RequireAllUsed();
        Measure(backend, json);
        return 0;
    }

    private static void Measure(IBackend backend, bool json)
    {
        var products = Cases.Select(shape => new Measured(backend, shape)).ToList();
        products.ForEach(product => product.WarmUp());
        for (var round = 0; round < Rounds; round++)
        {
            products.ForEach(product => product.Measure());
        }
        if (!json)
        {
            Console.WriteLine($"{backend.Description}; medians of {Rounds} "
                + $"windows{(backend is CpuBackend ? "; the peak's best beside them, and three shares of it: median "
                + "of best, best of best, in turn" : "")}");
        }
        foreach (var product in products)
        {
            Console.WriteLine(json ? product.Json(backend) : product.Line());
        }
    }

    private sealed class Measured
    {
        /// <summary>
        /// Products that a GPU is given before it is waited for: fewer would measure the way to the
        /// device.
        /// </summary>
        private const int ProductsPerWait = 10;

        private const int PeakIterations = 2_000;

        private readonly Case shape;
        private readonly Matrix y, a, b;
        private readonly Windows product;
        private readonly Windows? peak;

        public Measured(IBackend backend, Case shape)
        {
            this.shape = shape;
            y = new(backend.Allocate<float>(shape.M * shape.N), shape.M, shape.N);
            a = Random(backend, shape.M, shape.K, shape.TransposeA);
            b = Random(backend, shape.K, shape.N, shape.TransposeB);
            var count = backend is CpuBackend ? 1 : ProductsPerWait;
            product = new(() =>
            {
                for (var i = 0; i < count; i++)
                {
                    backend.Product(y, a, b);
                }
                backend.Synchronize();
                return 2.0 * count * shape.M * shape.N * shape.K;
            });
            peak = backend is CpuBackend cpu ? new(() => PeakLoop.Run(cpu, PeakIterations)) : null;
        }

        private double Microseconds => 2e-3 * shape.M * shape.N * shape.K / product.Best;

        public void WarmUp()
        {
            product.WarmUp();
            peak?.WarmUp();
        }

        /// <summary>
        /// One window of the product, and one of the peak that is as long: a product of 2048³ takes
        /// longer than a window should.
        /// </summary>
        public void Measure()
        {
            var seconds = product.Measure(WindowSeconds);
            peak?.Measure(seconds);
        }

        public string Line()
        {
            var line = $"{shape.Name,-12} {shape.M,5} × {shape.N,5} × {shape.K,5} {product.Median,7:F1} GFLOP/s, "
                + $"best {product.Best,6:F1} {Microseconds,9:F1} µs";
            return peak is null ? line
                : $"{line}, peak {peak.Best,4:F0} {product.Median / peak.Best,5:P0} {product.Best / peak.Best,5:P0} "
                    + $"{product.MedianRatio(peak),5:P0}";
        }

        public string Json(IBackend backend)
        {
            var values = new Dictionary<string, object>
            {
                ["name"] = shape.Name,
                ["m"] = shape.M,
                ["n"] = shape.N,
                ["k"] = shape.K,
                ["gflops"] = Math.Round(product.Median, 2),
                ["gflops_best"] = Math.Round(product.Best, 2),
                ["device"] = backend.Description,
            };
            if (backend is CpuBackend cpu && peak is not null)
            {
                values["peak_gflops"] = Math.Round(peak.Best, 2);
                values["peak_gflops_median"] = Math.Round(peak.Median, 2);
                values["share"] = Math.Round(product.Median / peak.Best, 4);
                values["share_best"] = Math.Round(product.Best / peak.Best, 4);
                values["share_in_turn"] = Math.Round(product.MedianRatio(peak), 4);
                values["threads"] = cpu.Workers.Threads;
                values["instruction_set"] = cpu.InstructionSet.Name();
            }
            return JsonSerializer.Serialize(values);
        }

        private static Matrix Random(IBackend backend, int rows, int columns, bool transposed)
        {
            var buffer = backend.Allocate<float>(rows * columns);
            var random = new Random(rows);
            backend.Upload<float>(buffer,
                Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f).ToArray());
            return transposed ? new Matrix(buffer, columns, rows).T : new Matrix(buffer, rows, columns);
        }
    }

    /// <summary>Repeats an action and keeps the GFLOP/s of each window of time.</summary>
    private sealed class Windows(Func<double> run)
    {
        private readonly List<double> gflops = [];

        public double Best => gflops.Max();

        public double Median => MedianOf(gflops);

        /// <summary>
        /// The median of the ratios of these windows to those of another list, one by one.
        /// </summary>
        public double MedianRatio(Windows other) => MedianOf(gflops.Zip(other.gflops, (own, others) => own / others));

        /// <summary>Long enough for the JIT's last tier to arrive.</summary>
        public void WarmUp()
        {
            for (var i = 0; i < 5; i++)
            {
                Measure(0.01);
                Thread.Sleep(10);
            }
            gflops.Clear();
        }

        /// <summary>
        /// Repeats the action for at least that time, and at least once; returns how long it took.
        /// </summary>
        public double Measure(double seconds)
        {
            var watch = Stopwatch.StartNew();
            var operations = 0.0;
            do
            {
                operations += run();
            }
            while (watch.Elapsed.TotalSeconds < seconds);
            var elapsed = watch.Elapsed.TotalSeconds;
            gflops.Add(operations / elapsed * 1e-9);
            return elapsed;
        }

        private static double MedianOf(IEnumerable<double> values) => values.Order().ElementAt(Rounds / 2);
    }
}
