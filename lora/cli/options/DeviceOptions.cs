using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Cli;

/// <summary>The options that choose where a command computes: --device and --threads.</summary>
internal sealed class DeviceOptions
{
    private readonly Option<string> device = OptionKinds.Device("--device",
        "Where to compute: auto takes CUDA where it is usable, else the CPU; OpenCL only by name. 'lora devices' "
            + "lists them.");

    private readonly Option<int> threads = OptionKinds.Whole("--threads", "Threads of the CPU device; 0: one per "
        + "core. The results do not depend on it.", 0);

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
        if (count == 0 && Processes.All.HasOthers)
        {
            count = Processes.Placement.Threads;
        }
        Device.Default = name switch
        {
            "cpu" => new CpuBackend(count),
            "auto" => OpenCuda() ?? new CpuBackend(count),
            _ => OpenGpu(name),
        };
        Processes.Say(Device.Default is CpuBackend ? $"{count} {(count == 1 ? "thread" : "threads")}"
            : "a device of its machine");
        return Device.Default;
    }

    /// <summary>
    /// The first CUDA device that is usable, or of several processes on a machine one for each;
    /// null where there is none, or where it does not open: other programs may have taken it, or
    /// all its memory.
    /// </summary>
    private static IBackend? OpenCuda()
    {
        try
        {
            return IndexOfMine(GpuKind.Cuda) is { } index ? GpuDevices.Open(GpuKind.Cuda, index) : null;
        }
        catch (PlatformNotSupportedException e)
        {
            Console.Error.WriteLine(Terminal.Printable($"note: {e.Message} The CPU computes instead (--device cpu "
                + "says so without this note)."));
            return null;
        }
    }

    /// <summary>
    /// Of the usable devices of a kind the one of this process, where several run on the machine;
    /// null where none is usable.
    /// </summary>
    private static int? IndexOfMine(GpuKind kind)
    {
        GpuDevice[] usable = [.. GpuDevices.Find(kind).Where(gpu => gpu.IsUsable)];
        return usable.Length == 0 ? null : usable[Processes.Placement.LocalRank % usable.Length].Index;
    }

    private static IBackend OpenGpu(string name)
    {
        var parts = name.Split(':');
        var kind = parts[0] == "cuda" ? GpuKind.Cuda : GpuKind.OpenCL;
        try
        {
            return GpuDevices.Open(kind, parts.Length > 1
                ? int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture)
                : IndexOfMine(kind) ?? 0);
        }
        catch (PlatformNotSupportedException e)
        {
            throw new InputException($"--device is {name}, but {e.Message} Use --device cpu, or auto.");
        }
    }
}
