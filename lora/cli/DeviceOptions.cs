using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Cli;

/// <summary>The options that choose where a command computes: --device and --threads.</summary>
internal sealed class DeviceOptions
{
    private readonly Option<string> device = new Option<string>("--device")
    {
        Description = "Where to compute: auto takes CUDA where it is usable, else the CPU; OpenCL only by name. 'lora devices' lists them.",
        DefaultValueFactory = _ => "auto",
        HelpName = "auto|cpu|cuda|opencl",
    }.AcceptOnlyFromAmong("auto", "cpu", "cuda", "opencl");

    private readonly Option<int> threads = new("--threads") { Description = "Threads of the CPU device; 0: one per core.", DefaultValueFactory = _ => 0 };

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
            throw new InputException($"--threads {count}: expected 0 (one per core) to 1024.");
        }
        if (name is "cuda" or "opencl")
        {
            throw new InputException($"--device {name}: {Devices.GpuUnusable} Use --device cpu, or auto.");
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
