using System.Diagnostics;
using System.Text.Json;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Products against the peak, which is the CPU's: on a GPU the products stand alone. Every round measures, for a few milliseconds each, the peak and a shape in turn, so that all see the same moods of the
/// machine: the peak is the best window, a product's figure the median one, with its best beside it. The windows are short because on a machine that
/// does other work too only short ones go undisturbed: there the best figures, and not the medians, speak of the code.
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
        new("x·W, N = 1", 1, 768, 768),
        new("x·W, N = 32", 32, 768, 768),
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
        const int peakIterations = 2_000;
        var peak = backend is CpuBackend cpu ? new Windows(() => PeakLoop.Run(cpu, peakIterations)) : null;
        peak?.WarmUp();
        products.ForEach(product => product.Windows.WarmUp());
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var product in products)
            {
                peak?.Measure(WindowSeconds / 4);
                product.Windows.Measure(WindowSeconds);
            }
        }
        if (!json)
        {
            Console.WriteLine($"{backend.Description}{(peak is null ? "" : $", peak {peak.Best:F0} GFLOP/s (its median window: {peak.Median:F0})")}; medians of {Rounds} windows");
        }
        foreach (var product in products)
        {
            Console.WriteLine(json ? product.Json(backend, peak) : product.Line(peak?.Best));
        }
    }

    private sealed class Measured
    {
        /// <summary>Products that a GPU is given before it is waited for: fewer would measure the way to the device.</summary>
        private const int ProductsPerWait = 10;

        private readonly Case shape;
        private readonly Matrix y, a, b;

        public Measured(IBackend backend, Case shape)
        {
            this.shape = shape;
            y = new(backend.Allocate<float>(shape.M * shape.N), shape.M, shape.N);
            a = Random(backend, shape.M, shape.K, shape.TransposeA);
            b = Random(backend, shape.K, shape.N, shape.TransposeB);
            var count = backend is CpuBackend ? 1 : ProductsPerWait;
            Windows = new(() =>
            {
                for (var i = 0; i < count; i++)
                {
                    backend.Product(y, a, b);
                }
                backend.Synchronize();
                return 2.0 * count * shape.M * shape.N * shape.K;
            });
        }

        public Windows Windows { get; }

        private double Microseconds => 2e-3 * shape.M * shape.N * shape.K / Windows.Best;

        public string Line(double? peak) => $"{shape.Name,-12} {shape.M,5} × {shape.N,5} × {shape.K,5} {Figure(Windows.Median, peak)}, best {Figure(Windows.Best, peak)} {Microseconds,9:F1} µs";

        public string Json(IBackend backend, Windows? peak)
        {
            var values = new Dictionary<string, object>
            {
                ["name"] = shape.Name,
                ["m"] = shape.M,
                ["n"] = shape.N,
                ["k"] = shape.K,
                ["gflops"] = Math.Round(Windows.Median, 2),
                ["gflops_best"] = Math.Round(Windows.Best, 2),
                ["device"] = backend.Description,
            };
            if (backend is CpuBackend cpu && peak is not null)
            {
                values["peak_gflops"] = Math.Round(peak.Best, 2);
                values["peak_gflops_median"] = Math.Round(peak.Median, 2);
                values["share"] = Math.Round(Windows.Median / peak.Best, 4);
                values["share_best"] = Math.Round(Windows.Best / peak.Best, 4);
                values["threads"] = cpu.Workers.Threads;
                values["instruction_set"] = cpu.InstructionSet.Name();
            }
            return JsonSerializer.Serialize(values);
        }

        private static string Figure(double gflops, double? peak) => $"{gflops,7:F1} {(peak is null ? "GFLOP/s" : $"GFLOP/s {gflops / peak,5:P0}")}";

        private static Matrix Random(IBackend backend, int rows, int columns, bool transposed)
        {
            var buffer = backend.Allocate<float>(rows * columns);
            var random = new Random(rows);
            backend.Upload<float>(buffer, Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f).ToArray());
            return transposed ? new Matrix(buffer, columns, rows).T : new Matrix(buffer, rows, columns);
        }
    }

    /// <summary>Repeats an action and keeps the GFLOP/s of each window of time.</summary>
    private sealed class Windows(Func<double> run)
    {
        private readonly List<double> gflops = [];

        public double Best => gflops.Max();

        public double Median => gflops.Order().ElementAt(gflops.Count / 2);

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

        public void Measure(double seconds)
        {
            var watch = Stopwatch.StartNew();
            var operations = 0.0;
            do
            {
                operations += run();
            }
            while (watch.Elapsed.TotalSeconds < seconds);
            gflops.Add(operations / watch.Elapsed.TotalSeconds * 1e-9);
        }
    }
}
