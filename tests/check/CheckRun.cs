using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Check;

/// <summary>A check on its way: the report so far, and what its parts share.</summary>
/// <param name="options">What was asked for.</param>
/// <param name="output">Where a line for every figure goes.</param>
internal sealed class CheckRun(CheckOptions options, TextWriter output)
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>What a simulator does in a moment.</summary>
    private const double FlopsOfSimulator = 1e6;

    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly JsonObject report = [];
    private readonly List<string> failures = [];

    /// <summary>The largest product so far, and how long it took.</summary>
    private (double Flops, double Seconds) largest = (1, 0);

    public CheckOptions Options => options;

    /// <summary>A sentence for everything that is not as it should be.</summary>
    public IReadOnlyList<string> Failures => failures;

    /// <summary>
    /// Every kernel that the driver was given, by name, with the text that it was given.
    /// </summary>
    public Dictionary<string, string> Loaded { get; } = [];

    /// <summary>Seconds since the start.</summary>
    public double Elapsed => clock.Elapsed.TotalSeconds;

    /// <summary>Opens the device; every part has it to itself.</summary>
    public GpuBackend Open()
    {
        var backend = (GpuBackend)options.Gpu.Open(groupThreads: 8);
        backend.Kernels.KernelLoaded = kernel => Loaded[kernel.Kernel] = kernel.Text;
        return backend;
    }

    /// <summary>Adds to the report, prints a line, and writes the report.</summary>
    public void Add(string section, JsonObject figures, string line)
    {
        if (!report.TryGetPropertyValue(section, out var list))
        {
            report[section] = list = new JsonArray();
        }
        list!.AsArray().Add(figures);
        output.WriteLine(line);
        Save();
    }

    /// <summary>
    /// Runs what may fail: a problem of the device or of the program is a sentence in the report,
    /// and what comes after is tried all the same.
    /// </summary>
    public void Try(string section, string name, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            var isKnown = e is DeviceException or OutOfMemoryException or PlatformNotSupportedException
                or InputException or IOException or UnauthorizedAccessException;
            var message = isKnown ? e.Message : $"{e.GetType().Name}: {e.Message}";
            Fail($"{section}, {name}: {message}");
            Add(section, new JsonObject { ["name"] = name, ["problem"] = message }, $"  FAILED {name}: {message}");
        }
    }

    /// <summary>Remembers that something is wrong, as a sentence.</summary>
    public void Fail(string sentence)
    {
        failures.Add(sentence);
        report["failures"] = new JsonArray([.. failures.Select(failure => (JsonNode)failure)]);
    }

    /// <summary>
    /// Whether something would take too long, by the largest product so far; then the report says
    /// so.
    /// </summary>
    public bool IsTooMuch(string section, string name, double flops)
    {
        var expected = flops / largest.Flops * largest.Seconds;
        if (options.Gpu.IsSimulated ? flops < FlopsOfSimulator : expected <= options.Limit)
        {
            return false;
        }
        var reason = options.Gpu.IsSimulated ? "left out: it is too much for a simulator."
            : FormattableString.Invariant(
                $"left out: it would take about {expected:F0} s, and --limit is {options.Limit}.");
        Add(section, new JsonObject { ["name"] = name, ["left_out"] = reason }, $"  {name}: {reason}");
        return true;
    }

    /// <summary>
    /// What <see cref="IsTooMuch"/> goes by: small work would tell how long a launch takes.
    /// </summary>
    public void Took(double flops, double seconds)
    {
        if (flops >= largest.Flops)
        {
            largest = (flops, seconds);
        }
    }

    /// <summary>
    /// Seconds of an action in their order, run again and again for about a second, and at least
    /// once, after one that does not count.
    /// </summary>
    public double[] Seconds(Action action)
    {
        const int atMost = 15;
        var most = options.Gpu.IsSimulated ? 0.1 : 1;
        action();
        var seconds = new List<double>();
        var all = Stopwatch.StartNew();
        do
        {
            var one = Stopwatch.StartNew();
            action();
            seconds.Add(one.Elapsed.TotalSeconds);
        }
        while (seconds.Count < atMost && all.Elapsed.TotalSeconds < most);
        return [.. seconds.Order()];
    }

    /// <summary>The middle one of numbers in their order.</summary>
    public static double Median(double[] sorted) => sorted[sorted.Length / 2];

    /// <summary>Writes the report a last time.</summary>
    public void End()
    {
        report["all_is_right"] = failures.Count == 0;
        Save();
    }

    private void Save()
    {
        report["seconds"] = Math.Round(Elapsed, 1);
        if (options.Report is { } path)
        {
            AtomicFile.WriteText(path, report.ToJsonString(Indented));
        }
    }
}
