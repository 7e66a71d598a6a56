using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Check;

/// <summary>What is checked: device, driver, and the program that checks.</summary>
internal static class DeviceFacts
{
    public static void Run(CheckRun run) => run.Try("device", $"{run.Options.Gpu}", () =>
    {
        using var backend = run.Open();
        var facts = new JsonObject
        {
            ["id"] = $"{run.Options.Gpu}",
            ["description"] = backend.Description,
        };
        foreach (var (name, value) in Of(Device(run.Options.Gpu)))
        {
            facts[name] = value;
        }
        facts["ilgpu"] = $"{typeof(ILGPU.Context).Assembly.GetName().Version}";
        facts["lora_scratch"] = $"{typeof(GpuDevices).Assembly.GetName().Version}";
        facts["runtime"] = RuntimeInformation.FrameworkDescription;
        facts["system"] = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, "
            + $"{Environment.ProcessorCount} processors";
        facts["time"] = $"{DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC";
        run.Add("device", facts, string.Join(Environment.NewLine,
            facts.Select(fact => $"  {fact.Key,-22} {fact.Value}")));
    });

    /// <summary>What ptxas calls it, such as sm_90; null where it is not CUDA's.</summary>
    public static string? Architecture(GpuCase gpu) => Device(gpu) is CudaDevice { Architecture: { } architecture }
        ? $"sm_{architecture.Major}{architecture.Minor}" : null;

    private static Device? Device(GpuCase gpu) => gpu.Kind switch
    {
        GpuKind.Cuda => CudaDevice.GetDevices(_ => true)[gpu.Index],
        GpuKind.OpenCL => CLDevice.GetDevices(_ => true)[gpu.Index],
        _ => null,
    };

    private static IEnumerable<(string Name, JsonNode? Value)> Of(Device? device)
    {
        if (device is null)
        {
            yield break;
        }
        yield return ("memory_bytes", device.MemorySize);
        yield return ("processors", device.NumMultiprocessors);
        yield return ("warp", device.WarpSize);
        yield return ("threads_of_a_group", device.MaxNumThreadsPerGroup);
        yield return ("shared_bytes_of_group", device.MaxSharedMemoryPerGroup);
        if (device is CudaDevice cuda)
        {
            yield return ("driver_of_cuda", $"{cuda.DriverVersion}");
            yield return ("architecture", $"{cuda.Architecture}");
            yield return ("ptx", $"{cuda.InstructionSet}");
            yield return ("clock_khz", cuda.ClockRate);
            yield return ("memory_clock_khz", cuda.MemoryClockRate);
            yield return ("memory_bus_bits", cuda.MemoryBusWidth);
        }
        if (device is CLDevice openCL)
        {
            yield return ("platform", openCL.PlatformName);
            yield return ("vendor", openCL.VendorName);
            yield return ("version", $"{openCL.DeviceVersion}");
            yield return ("opencl_c", $"{openCL.CLStdVersion}");
            yield return ("clock_mhz", openCL.ClockRate);
        }
    }
}
