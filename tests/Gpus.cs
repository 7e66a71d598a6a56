using System.Globalization;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests;

/// <summary>
/// The GPUs that tests run on: ILGPU's simulator, and this machine's own, with the sizes of groups
/// that users get. A GPU that is absent has no rows: thousands would be skipped; GpuDeviceTests has
/// one for it, which says why.
/// </summary>
public static class Gpus
{
    /// <summary>
    /// The environment variable that names this machine's, "cuda:1,opencl:0" or "none".
    /// </summary>
    public const string Variable = "LORASCRATCH_TEST_GPUS";

    /// <summary>Those of this machine that are asked for, absent ones too.</summary>
    public static IReadOnlyList<GpuCase> Asked { get; } =
        [.. (Environment.GetEnvironmentVariable(Variable) ?? "cuda:0,opencl:0")
            .Split(',', StringSplitOptions.TrimEntries).Where(id => id is not ("" or "none")).Select(GpuCase.Parse)];

    /// <summary>Those that can be used.</summary>
    public static IReadOnlyList<GpuCase> Real { get; } = [.. Asked.Where(gpu => gpu.Problem is null)];

    /// <summary>The simulator first.</summary>
    public static IReadOnlyList<GpuCase> All { get; } = [GpuCase.Simulator, .. Real];

    /// <summary>For fixtures of what only a GPU does.</summary>
    public static IEnumerable<TestFixtureData> Fixtures => All.Select(gpu =>
    {
        var fixture = new TestFixtureData(gpu);
        fixture.Properties.Add("Category", gpu.Category);
        return fixture;
    });

    /// <summary>For a test of what only a GPU does.</summary>
    public static IEnumerable<TestCaseData> Cases =>
        All.Select(gpu => new TestCaseData(gpu).SetArgDisplayNames(gpu.ToString()).In(gpu.Category));

    /// <summary>For lists of every kind of backend.</summary>
    internal static IEnumerable<BackendCase> Backends =>
        Real.Select(gpu => new BackendCase(gpu.ToString(), () => gpu.Open(groupThreads: 0), gpu.Category));
}

/// <summary>A GPU that tests open with what they need.</summary>
public sealed class GpuCase
{
    private readonly GpuKind? kind;
    private readonly int index;
    private readonly string name;

    private GpuCase(string name, GpuKind? kind, int index, string category) =>
        (this.name, this.kind, this.index, Category) = (name, kind, index, category);

    /// <summary>ILGPU's, which runs the kernels on threads of the CPU.</summary>
    public static GpuCase Simulator { get; } = new("simulator", null, 0, Categories.Simulator);

    /// <summary>See <see cref="Categories"/>.</summary>
    public string Category { get; }

    /// <summary>Whether it is far slower than the CPU.</summary>
    public bool IsSimulated => kind is null;

    /// <summary>Why it cannot be used, as a sentence; null where it can.</summary>
    public string? Problem
    {
        get
        {
            if (kind is null)
            {
                return null;
            }
            var devices = GpuDevices.Find(kind.Value);
            return devices.FirstOrDefault(device => device.Index == index) is { } found ? found.Problem
                : devices[0].Problem is { } problem && devices[0].Index is null ? problem
                : $"There is no such device; the devices are {string.Join(", ", devices.Select(device => device.Id))}.";
        }
    }

    /// <summary>The driver interface; null for the simulator.</summary>
    internal GpuKind? Kind => kind;

    /// <summary>Its number among the devices of its kind.</summary>
    internal int Index => index;

    /// <summary>One of this machine's.</summary>
    /// <param name="id">As the option device has it: "cuda", "cuda:1", "opencl:0".</param>
    /// <exception cref="FormatException">It is neither.</exception>
    public static GpuCase Parse(string id)
    {
        var parts = id.Split(':');
        GpuKind? kind = parts[0] switch { "cuda" => GpuKind.Cuda, "opencl" => GpuKind.OpenCL, _ => null };
        var index = 0;
        var isWhole = parts.Length == 1 || (parts.Length == 2
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index));
        return kind is not null && isWhole
            ? new GpuCase($"{parts[0]}:{index}", kind, index, Categories.Gpu)
            : throw new FormatException($"'{id}' is no GPU; cuda, opencl, or one with its number, such as cuda:1, is "
                + "expected.");
    }

    /// <summary>Opens it.</summary>
    /// <param name="groupThreads">
    /// Threads of a group on the simulator; a GPU has what users get.
    /// </param>
    /// <param name="planProduct">
    /// How products are cut (rows, columns, depth, batch); null as users get it.
    /// </param>
    /// <param name="decodedAtATime">
    /// Elements of a packed weight that are decoded at a time; null as users get it.
    /// </param>
    /// <param name="simulated">The level of optimisation on the simulator.</param>
    internal IBackend Open(int groupThreads, Func<int, int, int, int, ProductPlan>? planProduct = null,
        int? decodedAtATime = null, GpuOptimization simulated = GpuOptimization.O1) =>
        kind is null
            ? GpuDevices.OpenSimulator(simulated, groupThreads, planProduct, decodedAtATime)
            : GpuDevices.Open(kind.Value, index, GpuOptimization.O1, planProduct, decodedAtATime);

    public override string ToString() => name;
}
