namespace LoraScratch.Kernels.Gpu;

/// <summary>The driver interfaces that reach a GPU.</summary>
internal enum GpuKind
{
    /// <summary>NVIDIA's driver.</summary>
    Cuda,

    /// <summary>OpenCL 2.0 or later with the generic address space.</summary>
    OpenCL,
}

/// <summary>How hard ILGPU optimises a kernel before the driver's compiler does.</summary>
internal enum GpuOptimization
{
    /// <summary>ILGPU's own default.</summary>
    O1,

    /// <summary>Also infers address spaces and turns branches into selections.</summary>
    O2,
}

/// <summary>A device that a driver reports, or a kind of which there is none.</summary>
/// <param name="Index">
/// Its number among the devices of its kind; null where the kind has no device.
/// </param>
/// <param name="Name">The driver's name for it; empty where the kind has no device.</param>
/// <param name="Problem">Why it cannot be used, as a sentence; null where it can.</param>
internal sealed record GpuDevice(GpuKind Kind, int? Index, string Name, string? Problem)
{
    /// <summary>Whether <see cref="GpuDevices.Open"/> takes it.</summary>
    public bool IsUsable => Problem is null;

    /// <summary>
    /// What the option device calls it, such as "cuda:0"; "cuda" where the kind has no device.
    /// </summary>
    public string Id => Kind.Id() + (Index is { } index ? $":{index}" : "");
}
