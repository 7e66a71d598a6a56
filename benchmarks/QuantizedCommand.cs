using System.Diagnostics;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Products with packed weights beside the same products with float weights: X·Wᵀ, and dY·W of its
/// backward pass; and X·Wᵀ on whole numbers of 8 bits, with the rounding of X and the way back to
/// floats. Every call takes another weight out of 128 MiB and more of them, whatever its form: a
/// small one would stay in a cache otherwise. In each round all are measured one after the other,
/// and so is reading memory alone (a sum over the float weights); the ratio of a case is the median
/// over the rounds, so that all see the same moods of the machine.
/// </summary>
internal static class QuantizedCommand
{
    private const long LeastBytes = 128L << 20;
    private const int Rounds = 9;
    private const double WindowSeconds = 0.1;

    private static readonly int[] Rows = [1, 2, 4, 8, 16, 32, 128, 512];

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var json = options.Flag("json");
        Backends.Threads = options.Has("threads") ? options.Number("threads", 2) : 0;
        using var backend = Backends.Open(options.Text("device", Backends.Cpu));
        var format = new QuantizationFormat(options.Number("bits", 4), options.Number("group-size", 32));
        var width = options.Number("width", 4096);
        int[] rows = options.Has("rows") ? [options.Number("rows", 1)] : Rows;
        options.RequireAllUsed();
        format.CheckInput($"a layer of --width {width}", width);
        Measure(backend, format, width, rows, json);
        return 0;
    }

    private static void Measure(IBackend backend, QuantizationFormat format, int width, int[] rowCounts, bool json)
    {
        using var weights = new RotatedWeights(backend, format, width, LeastBytes);
        if (!json)
        {
            Console.WriteLine($"{backend.Description}; W [{width}, {width}], {format}: "
                + $"{format.BitsPerWeight / 32:P1} of float32; medians of {Rounds} rounds");
        }
        foreach (var forward in new[] { true, false })
        {
            foreach (var rows in rowCounts)
            {
                var (floats, packed, bytes, reading) =
                    (new List<double>(), new List<double>(), new List<double>(), new List<double>());
                using var y = backend.Allocate<float>(rows * width);
                using var x = backend.Allocate<float>(rows * width);
                backend.Fill(x, 0.5f);
                Matrix matrixY = new(y, rows, width), matrixX = new(x, rows, width);
                void Float() => backend.Product(matrixY, matrixX,
                    forward ? weights.NextFloat().T : weights.NextFloat());
                using var codes = backend.Allocate<byte>(rows * Int8Matrix.StrideOf(width));
                using var grids = backend.Allocate<RowGrid>(rows);
                using var sums = backend.Allocate<int>(rows * width);
                void Bytes()
                {
                    var weight = weights.NextBytes();
                    backend.QuantizeRows(codes, grids, x);
                    backend.Product(sums, codes, weight);
                    backend.Dequantize(y, sums, grids, weight, null);
                }
                void Packed() => backend.Product(matrixY, matrixX,
                    forward ? weights.NextPacked().T : weights.NextPacked());
                for (var round = -2; round < Rounds; round++)                       // the first two warm up
                {
                    var times = (Float: Seconds(backend, Float), Packed: Seconds(backend, Packed),
                        Bytes: forward ? Seconds(backend, Bytes) : double.NaN, Reading: Seconds(backend, weights.Read));
                    if (round >= 0)
                    {
                        floats.Add(times.Float);
                        packed.Add(times.Packed);
                        bytes.Add(times.Bytes);
                        reading.Add(times.Reading);
                    }
                }
                var result = new Result(forward ? "x·Wᵀ" : "dY·W", rows, width, format, Median(floats), Median(packed),
                    Median(floats.Zip(packed, (f, p) => f / p)),
                    forward ? Median(bytes) : null, Median(floats.Zip(bytes, (f, b) => f / b)),
                        weights.FloatBytes / Median(reading) * 1e-9);
                Console.WriteLine(json ? result.Json(backend) : result.ToString());
            }
        }
    }

    private static double Seconds(IBackend backend, Action run)
    {
        var watch = Stopwatch.StartNew();
        var count = 0;
        do
        {
            run();
            backend.Synchronize();
            count++;
        }
        while (watch.Elapsed.TotalSeconds < WindowSeconds);
        return watch.Elapsed.TotalSeconds / count;
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private sealed record Result(string Product, int Rows, int Width, QuantizationFormat Format, double FloatSeconds,
        double PackedSeconds, double Ratio, double? Int8Seconds, double Int8Ratio, double ReadingRate)
    {
        private double FloatRate => 4e-9 * Width * Width / FloatSeconds;

        public override string ToString() =>
            $"{Product,-5} N = {Rows,3}: float {1e3 * FloatSeconds,8:F3} ms (W at {FloatRate,5:F1} GB/s, reading "
                + $"alone {ReadingRate,5:F1}), packed {1e3 * PackedSeconds,8:F3} ms, {Ratio,5:F2} × as fast"
            + (Int8Seconds is { } seconds ? $", dynamic INT8 {1e3 * seconds,8:F3} ms, {Int8Ratio,5:F2} ×" : "");

        public string Json(IBackend backend) => JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["product"] = Product,
            ["rows"] = Rows,
            ["width"] = Width,
            ["bits"] = Format.Bits,
            ["group_size"] = Format.GroupSize,
            ["bytes_of_float32"] = Math.Round(Format.BitsPerWeight / 32, 5),
            ["float_ms"] = Math.Round(1e3 * FloatSeconds, 4),
            ["packed_ms"] = Math.Round(1e3 * PackedSeconds, 4),
            ["speedup"] = Math.Round(Ratio, 3),
            ["int8_ms"] = Int8Seconds is { } seconds ? Math.Round(1e3 * seconds, 4) : null,
            ["int8_speedup"] = Int8Seconds is null ? null : Math.Round(Int8Ratio, 3),
            ["float_gb_per_s"] = Math.Round(FloatRate, 2),
            ["reading_gb_per_s"] = Math.Round(ReadingRate, 2),
            ["device"] = backend.Description,
            ["threads"] = backend is CpuBackend cpu ? cpu.Workers.Threads : 0,
        });
    }
}
