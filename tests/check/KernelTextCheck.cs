using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Check;

/// <summary>
/// Every kernel as the driver is given it, in files, and what ptxas says of its registers where
/// there is a ptxas. What the device was given in this check is as it was given; the rest is
/// compiled without a device, for sm_80, and without the limits that a launch sets.
/// </summary>
internal static partial class KernelTextCheck
{
    private const string Section = "kernels", Assembler = "ptxas";

    public static void Run(CheckRun run) => run.Try(Section, "texts", () =>
    {
        var isPtx = run.Options.Gpu.Kind is not GpuKind.OpenCL;
        var ptxas = isPtx ? OnPath(Assembler) : null;
        if (run.Options.Dump is null && ptxas is null)
        {
            const string reason = "left out: there is neither --dump nor a ptxas on PATH.";
            run.Add(Section, new JsonObject { ["name"] = "texts", ["left_out"] = reason }, $"  {reason}");
            return;
        }
        using var temporary = run.Options.Dump is null ? new TemporaryFolder() : null;
        var folder = Directory.CreateDirectory(run.Options.Dump ?? temporary!.Root).FullName;
        var files = new Dictionary<string, string>();
        foreach (var kernel in GpuDevices.CompileKernels(isPtx ? GpuKind.Cuda : GpuKind.OpenCL, GpuOptimization.O1))
        {
            var file = Path.Combine(folder, $"{NoFileName().Replace(kernel.Kernel, "_")}.{(isPtx ? "ptx" : "cl")}");
            var wasLoaded = run.Loaded.TryGetValue(kernel.Kernel, out var loaded) && loaded.Length > 0;
            File.WriteAllText(file, wasLoaded ? loaded : kernel.Text);
            files.Add(kernel.Kernel, file);
        }
        var architecture = DeviceFacts.Architecture(run.Options.Gpu) ?? "sm_80";
        var lines = ptxas is null ? [] : Registers(ptxas, architecture, files);
        run.Add(Section, new JsonObject
        {
            ["name"] = "texts",
            ["count"] = files.Count,
            ["as_loaded"] = files.Keys.Count(kernel => run.Loaded.GetValueOrDefault(kernel, "").Length > 0),
            ["folder"] = run.Options.Dump,
            ["ptxas"] = ptxas is null ? null : $"{ptxas} -arch={architecture} -v",
            ["registers"] = lines.Count == 0 ? null : new JsonArray([.. lines.Select(line => (JsonNode)line.Json)]),
        }, $"  {files.Count} kernels{(run.Options.Dump is null ? "" : $" in {run.Options.Dump}")}"
            + (ptxas is null ? $"; no {Assembler} on PATH" : $"; {architecture}, most registers "
                + $"{lines.Max(line => line.Registers)}, with spills: {Words(lines.Where(line => line.Spills > 0))}"));
        foreach (var failed in lines.Where(line => line.Registers == 0))
        {
            run.Fail($"{Assembler} refuses {failed.Kernel}: {failed.Json["problem"]}");
        }
    });

    private static string Words(IEnumerable<Use> kernels) =>
        string.Join(", ", kernels.Select(kernel => $"{kernel.Kernel} ({kernel.Spills} bytes)")) is { Length: > 0 } names
            ? names : "none";

    private static List<Use> Registers(string ptxas, string architecture, Dictionary<string, string> files)
    {
        var uses = new ConcurrentBag<Use>();
        Parallel.ForEach(files, entry => uses.Add(UseOf(ptxas, architecture, entry.Key, entry.Value)));
        return [.. uses.OrderByDescending(use => use.Spills).ThenByDescending(use => use.Registers)
            .ThenBy(use => use.Kernel, StringComparer.Ordinal)];
    }

    private static Use UseOf(string ptxas, string architecture, string kernel, string file)
    {
        var said = ChildProcess.Run(ptxas, Path.GetTempPath(), out var exitCode,
            [$"-arch={architecture}", "-v", "-o", OperatingSystem.IsWindows() ? "NUL" : "/dev/null", file]);
        int Number(Regex pattern) => pattern.Match(said) is { Success: true } match
            ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        if (exitCode != 0)
        {
            return new Use(kernel, 0, 0, new JsonObject { ["kernel"] = kernel, ["problem"] = said.Trim() });
        }
        var (registers, stores, loads) = (Number(RegisterCount()), Number(SpillStores()), Number(SpillLoads()));
        return new Use(kernel, registers, stores + loads, new JsonObject
        {
            ["kernel"] = kernel,
            ["registers"] = registers,
            ["spill_stores"] = stores,
            ["spill_loads"] = loads,
            ["shared_bytes"] = Number(SharedBytes()),
        });
    }

    private static string? OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? $"{program}.exe" : program))
        .FirstOrDefault(File.Exists);

    private sealed record Use(string Kernel, int Registers, int Spills, JsonObject Json);

    [GeneratedRegex("[^A-Za-z0-9]+")]
    private static partial Regex NoFileName();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex RegisterCount();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    [GeneratedRegex(@"(\d+) bytes spill loads")]
    private static partial Regex SpillLoads();

    [GeneratedRegex(@"(\d+) bytes smem")]
    private static partial Regex SharedBytes();
}
