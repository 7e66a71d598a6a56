using System.CommandLine;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Cli;

/// <summary>lora devices: what can compute here, and why the rest cannot.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        var command = new ExampleCommand("devices", "Lists the devices that can compute here and, for each that cannot, why.", "lora devices");
        command.SetAction(_ =>
        {
            using var cpu = new CpuBackend();
            Console.WriteLine($"cpu     usable      {cpu.Description}");
            Console.WriteLine($"cuda    not usable  {Devices.GpuUnusable}");
            Console.WriteLine($"opencl  not usable  {Devices.GpuUnusable}");
            return 0;
        });
        return command;
    }
}
