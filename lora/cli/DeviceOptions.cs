using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Cli;

/// <summary>The options that choose where a command computes: --device and --threads.</summary>
internal sealed class DeviceOptions
{
    private readonly Option<string> device = OptionKinds.Choice("--device",
        "Where to compute: auto takes CUDA where it is usable, else the CPU; OpenCL only by name. 'lora devices' lists them.", "auto", "cpu", "cuda", "opencl");

    private readonly Option<int> threads = OptionKinds.Whole("--threads", "Threads of the CPU device; 0: one per core. The results do not depend on it.", 0);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(device);
        command.Add(threads);
    }

    /// <summary>Opens the chosen device and makes it the engine's default.</summary>
    public IBackend Open(ParseResult parsed)
    {
        var name = parsed.GetValue(device)!;
        var count = parsed.GetValue(threads);
        if (count < 0 || count > 1024)
        {
            throw new InputException($"--threads is {count}; expected 1 to 1024, or 0 for one per core.");
        }
        if (name is "cuda" or "opencl")
        {
            throw new InputException($"--device is {name}, but {Devices.GpuUnusable} Use --device cpu, or auto.");
        }
        return Device.Default = new CpuBackend(count);
    }
}

/// <summary>What this program knows of devices.</summary>
internal static class Devices
{
    /// <summary>Why no GPU can be used.</summary>
    public const string GpuUnusable = "this version has no GPU backend.";
}
