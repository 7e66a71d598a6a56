using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Benchmarks.Report;

/// <summary>What the machine can do at most, whatever the program.</summary>
internal sealed unsafe class Machine
{
    private const int PeakIterations = 20_000, Windows = 9;
    private const int SmallestBytes = 256 << 10, LargestBytes = 256 << 20;

    private static readonly TimeSpan LeastTime = TimeSpan.FromMilliseconds(250);

    private readonly CpuBackend backend;
    private readonly (long Bytes, double BytesPerSecond)[] bandwidths;

    /// <summary>Measures it.</summary>
    public Machine(CpuBackend backend)
    {
        this.backend = backend;
        FlopsPerSecond = Best(() => PeakLoop.Run(backend, PeakIterations));
        bandwidths = [.. Sizes().Select(bytes => (bytes, Bandwidth(bytes)))];
    }

    /// <summary>Multiply-adds on registers alone, two operations each.</summary>
    public double FlopsPerSecond { get; }

    /// <summary>Bytes read in a second, of memory that no cache holds.</summary>
    public double MemoryBytesPerSecond => bandwidths[^1].BytesPerSecond;

    /// <summary>By name: processor, kernel, threads, system, runtime.</summary>
    public IEnumerable<(string Name, string Value)> Facts()
    {
        yield return ("processor", ProcessorName());
        yield return ("kernels", $"{backend.InstructionSet.Name()}, {backend.Workers.Threads} threads");
        yield return ("peak", string.Create(CultureInfo.InvariantCulture,
            $"{FlopsPerSecond * 1e-9:F0} GFLOP/s (multiply-adds on registers alone)"));
        yield return ("reading", string.Join(", ", bandwidths.Select(entry => string.Create(
            CultureInfo.InvariantCulture, $"{Size(entry.Bytes)}: {entry.BytesPerSecond * 1e-9:F0} GB/s"))));
        yield return ("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}");
        yield return ("runtime", RuntimeInformation.FrameworkDescription);
    }

    /// <summary>
    /// The shortest time that work can take: its operations at the peak, or its bytes at the speed
    /// at which memory of their size is read.
    /// </summary>
    /// <param name="flops">Floating-point operations.</param>
    /// <param name="bytes">Every input and output once.</param>
    public (double Seconds, bool IsMemory) Limit(double flops, double bytes)
    {
        var (compute, memory) = (flops / FlopsPerSecond, bytes / SpeedOf(bytes));
        return (Math.Max(compute, memory), memory > compute);
    }

    private double SpeedOf(double bytes) =>
        bandwidths.Where(entry => entry.Bytes >= bytes).Append(bandwidths[^1]).Max(entry => entry.BytesPerSecond);

    private static IEnumerable<long> Sizes()
    {
        for (long bytes = SmallestBytes; bytes <= LargestBytes; bytes *= 4)
        {
            yield return bytes;
        }
    }

    private double Bandwidth(long bytes)
    {
        var blocks = backend.Workers.Threads * 4;
        var values = (float*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        var sums = stackalloc float[blocks];
        try
        {
            new Span<float>(values, (int)(bytes / sizeof(float))).Fill(1);
            var job = new Reading(values, (int)(bytes / sizeof(float)), sums, blocks);
            var repeats = (int)Math.Max(1, (LargestBytes >> 3) / bytes);
            return Best(() =>
            {
                for (var i = 0; i < repeats; i++)
                {
                    backend.Workers.Run(blocks, job);
                }
                return (double)bytes * repeats;
            });
        }
        finally
        {
            NativeMemory.AlignedFree(values);
        }
    }

    /// <summary>
    /// In windows over a quarter of a second at least: for its first milliseconds the system may
    /// run two threads on one core.
    /// </summary>
    private static double Best(Func<double> run)
    {
        var (best, whole) = (0.0, Stopwatch.StartNew());
        for (var i = 0; i < Windows || whole.Elapsed < LeastTime; i++)
        {
            var clock = Stopwatch.StartNew();
            var done = run();
            best = Math.Max(best, done / clock.Elapsed.TotalSeconds);
        }
        return best;
    }

    private static string Size(long bytes) => bytes >= 1 << 20 ? $"{bytes >> 20} MiB" : $"{bytes >> 10} KiB";

    private static string ProcessorName()
    {
        const string file = "/proc/cpuinfo", key = "model name";
        var line = File.Exists(file)
            ? File.ReadLines(file).FirstOrDefault(text => text.StartsWith(key, StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
            ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown";
    }

    /// <summary>A sum: four chains, so that it waits for memory and not for additions.</summary>
    private readonly struct Reading(float* values, int count, float* sums, int blocks) : IJob
    {
        public void Run(int block, Scratch scratch) => sums[block] = Sum<Lanes>(block);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private float Sum<T>(int block) where T : struct, ILanes<T>
        {
            var step = 4 * T.Width;
            var share = count / blocks / step * step;
            var from = values + (long)block * share;
            T a = T.Of(0), b = a, c = a, d = a;
            for (var i = 0; i < share; i += step)
            {
                a += T.Load(ref from[i]);
                b += T.Load(ref from[i + T.Width]);
                c += T.Load(ref from[i + 2 * T.Width]);
                d += T.Load(ref from[i + 3 * T.Width]);
            }
            return T.Sum(a + b + (c + d));
        }
    }
}
